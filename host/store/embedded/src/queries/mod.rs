//! Reads of the index: what waits to be routed or delivered, lists of events, and searches.
pub(crate) mod aside;
pub(crate) mod listing;
pub(crate) mod query;
pub(crate) mod search;
