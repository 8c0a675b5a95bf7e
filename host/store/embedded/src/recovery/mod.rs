//! Opening a data directory: its lock, and reading back what the journal has and the index has not.
pub(crate) mod lock;
pub(crate) mod pass;
