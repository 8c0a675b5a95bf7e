//! The index: its tables in SQLite, and the thread that writes them.
pub(crate) mod apply;
pub(crate) mod counts;
pub(crate) mod ops;
pub(crate) mod queue;
pub(crate) mod schema;
pub(crate) mod thread;
pub(crate) mod wal;
pub(crate) mod work;
