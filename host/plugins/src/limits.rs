//! Limits that are the same for all plugins; those that settings may change are [`Limits`](crate::Limits).
use std::time::Duration;

/// Wall-clock time against CPU time: a starved guest ends too.
pub const WALL_FACTOR: u32 = 20;
/// Calls into the host that one call of a plugin may make.
pub const HOST_CALLS: u32 = 10_000;
/// Log lines of one call that are kept.
pub const LOG_LINES: usize = 256;
/// JSON pointers in one `select`.
pub const POINTERS: usize = 64;
/// Arrays and objects in each other, in JSON that a plugin makes. A hundred is the
/// default for what comes from outside; a setting that raises that has room here, too.
pub const JSON_DEPTH: usize = 1_000;
/// Deliveries in one verdict.
pub const DELIVERIES: usize = 64;
/// CPU time of `init`, which runs once a version.
pub const INIT_TIME: Duration = Duration::from_secs(10);
/// Keys of one plugin's state.
pub const STATE_KEYS: usize = 10_000;
/// Bytes of one plugin's state, keys and values.
pub const STATE_BYTES: usize = 4 << 20;
/// Bytes of a key.
pub const STATE_KEY: usize = 256;
/// Bytes of a value.
pub const STATE_VALUE: usize = 16 << 10;
/// Keys that one call may write to.
pub const STATE_WRITES: usize = 256;
/// Requests that one call may make.
pub const HTTP_CALLS: u32 = 8;
/// Bytes of the body of an answer to one of them.
pub const HTTP_BODY: usize = 1 << 20;
/// Bytes of the body of an answer to the source.
pub const REPLY_BODY: usize = 1 << 20;
/// Bytes of a component file.
pub const COMPONENT_BYTES: u64 = 64 << 20;
