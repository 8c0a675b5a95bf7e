//! All plugins of the host: loading, swapping and watching their files.
pub(crate) mod entry;
pub(crate) mod loader;
pub(crate) mod pinned;
pub(crate) mod plugins;
pub(crate) mod watch;
