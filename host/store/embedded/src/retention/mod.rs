//! Dropping old segments of the journal.
mod purge;
mod unreadable;
