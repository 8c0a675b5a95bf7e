//! The journal on disk: the format of its segment files, reading them, and what is damaged in them.
pub(crate) mod codec;
pub(crate) mod damage;
pub(crate) mod disk;
pub(crate) mod find;
pub(crate) mod locator;
pub(crate) mod record;
pub(crate) mod resync;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod segments;
