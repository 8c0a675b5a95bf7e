//! Dropping old segments of the journal.
pub(crate) mod purge;
