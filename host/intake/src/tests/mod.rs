//! The intake without a protocol, and what tests of all ways in share.
mod consumer;
pub(crate) mod store;

/// So many in so many seconds.
pub(crate) fn rate(count: u32, seconds: u64) -> hookwright_model::Rate {
    let count = count.try_into().expect("at least 1");
    hookwright_model::Rate { count, per: std::time::Duration::from_secs(seconds) }
}
