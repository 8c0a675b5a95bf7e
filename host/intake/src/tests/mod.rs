//! The intake without a protocol, and what tests of all ways in share.
pub(crate) mod store;
