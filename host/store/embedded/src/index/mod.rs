//! The index: its tables in SQLite, and the thread that writes them.
pub(crate) mod apply;
pub(crate) mod columns;
pub(crate) mod commit;
pub(crate) mod counts;
pub(crate) mod ops;
mod pending;
pub(crate) mod queue;
pub(crate) mod rein;
pub(crate) mod schema;
pub(crate) mod stored;
pub(crate) mod thread;
pub(crate) mod wal;
pub(crate) mod work;
