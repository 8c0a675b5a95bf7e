//! Durable keys and values of this plugin, shared by all its events.
//!
//! Wants `grants = ["kv"]` in the plugin's settings. What a call writes takes
//! effect in one commit with its event's outcome, where that is `routed`,
//! `dropped` or `unrouted`, and is forgotten otherwise. A call sees its own
//! writes. An event that is replayed comes again: [`Event::replay`](crate::Event::replay)
//! tells it from the first time.
//!
//! A plugin keeps at most 10,000 keys and 4 MiB in all; a key has at most 256
//! bytes, a value 16 KiB, and a call writes to at most 256 keys. Outside Wasm
//! each thread has a state of its own, empty at first, so that tests need no host.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod double;

use std::fmt;
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::guest as host;

#[cfg(not(target_arch = "wasm32"))]
use double as host;

/// Why the host did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvError {
    /// The key is empty, or longer than 256 bytes.
    BadKey,
    /// The value is longer than 16 KiB.
    TooLarge,
    /// The plugin keeps as much as it may, or the call wrote to 256 keys already.
    Full,
    /// The value is no number, or the sum does not fit 64 bits.
    NoNumber,
}

impl fmt::Display for KvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadKey => "the key is empty or longer than 256 bytes",
            Self::TooLarge => "the value is longer than 16 KiB",
            Self::Full => "the plugin keeps as much state as it may",
            Self::NoNumber => "the value is no number, or the sum does not fit",
        })
    }
}

impl std::error::Error for KvError {}

/// The value as this call left it, else as earlier events did. None where
/// there is none or its time is over. A counter reads as its decimal digits.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::kv_get(key)
}

/// Keeps a value, for `ttl` where that is given.
///
/// # Errors
/// See [`KvError`].
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), KvError> {
    host::kv_set(key, value.as_ref(), ttl.map(millis))
}

/// Forgets a key.
///
/// # Errors
/// See [`KvError`].
pub fn delete(key: &str) -> Result<(), KvError> {
    host::kv_delete(key)
}

/// Adds to a counter, which begins at 0, and gives the sum. Calls under way at
/// the same time are counted in it: no two get the same. `ttl` is the
/// counter's from its beginning; later calls do not prolong it.
///
/// # Errors
/// See [`KvError`].
pub fn increment(key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, KvError> {
    host::kv_increment(key, by, ttl.map(millis))
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
