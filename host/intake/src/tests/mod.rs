//! The intake without a protocol, and what tests of all ways in share.
mod consumer;
pub(crate) mod store;
