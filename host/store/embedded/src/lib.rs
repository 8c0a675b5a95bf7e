//! The embedded engine: a journal of append-only files, which is what is synced, and an index in SQLite.
//!
//! One thread writes the journal, one the index, one copies the index's log, and
//! one looks deduplication keys up for the journal's.
//! Reads go to the index over connections of their own and fetch contents from
//! the journal.
#![deny(missing_docs)]

mod backup;
mod cursor;
mod engine;
mod error;
mod examine;
mod face;
mod flushes;
mod index;
mod journal;
mod open;
mod queries;
mod reads;
mod recovery;
mod rein_in;
mod retention;
mod space;
mod threads;
mod unrecorded;
mod vitals;
mod writer;
mod writes;

#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use examine::{IndexCheck, check_index, faults_in};
pub use open::{Options, open};
