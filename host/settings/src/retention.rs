//! Retention: how long finished events are kept.
use std::time::Duration;

/// When finished events are purged. Unfinished ones are kept until they finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The age at which a finished event goes. Default 30 days.
    pub keep: Duration,
    /// From one purge to the next. Default 10 minutes.
    pub interval: Duration,
}
