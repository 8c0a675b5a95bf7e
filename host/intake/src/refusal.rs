//! Why an event is refused, whatever protocol it came by, and what its sender should do.
use std::time::Duration;

use super::decode::DecodeError;
use hookwright_model::Invalid;
use hookwright_signing::hops::Loop;
use hookwright_store::AppendError;

/// Seconds after which a full disk, a failed write, a stop and a full queue may be over.
const DISK_FULL: Duration = Duration::from_secs(30);
const WRITE_FAILED: Duration = Duration::from_secs(10);
const STOPPING: Duration = Duration::from_secs(5);
const QUEUE_FULL: Duration = Duration::from_secs(1);

/// Why an event is refused. `Display` is for the operator's log; [`Refusal::class`] is for the way in, which turns it
/// into an answer of its protocol.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The source's `rate` is used up.
    #[error("the source's `rate` is used up")]
    Rate {
        /// Until the next event may come.
        wait: Duration,
    },
    /// The body is longer than the source's `max_body`.
    #[error("the body is longer than the limit")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// The byte budget of events on their way in is used up.
    #[error("there was no memory left for the body")]
    Memory,
    /// The event has gone through too many of this host's own deliveries.
    #[error("{0}")]
    Loop(Loop),
    /// The body could not be decompressed.
    #[error("{error}")]
    Encoding {
        /// What went wrong.
        error: DecodeError,
        /// The limit of the plain body in bytes.
        max: usize,
    },
    /// The JSON is nested too deeply.
    #[error("the JSON is deeper than `max_json_depth`, {max}")]
    TooDeep {
        /// The limit in levels.
        max: usize,
    },
    /// The event breaks a rule of its source.
    #[error("{0}")]
    Invalid(Invalid),
    /// The store's queue is more than half full, and the source has had its fair share of it.
    #[error("the queue before the store is more than half full, and the source has had its share")]
    Share,
    /// The store refused the event.
    #[error("{0}")]
    Store(AppendError),
}

/// What a refusal means for the way in that holds the event: give it up, or hand it in again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The event is not as its source's must be. It would be refused again.
    Invalid,
    /// The event is larger than may be. It would be refused again.
    TooLarge,
    /// The source is over its rate: hand the event in again after this time.
    Throttled(Duration),
    /// The host has no room, or is stopping: hand in nothing for this time, then the event again.
    Busy(Duration),
}

impl Refusal {
    /// What the way in should do with the event.
    pub fn class(&self) -> Class {
        match self {
            Self::Rate { wait } => Class::Throttled(*wait),
            Self::TooLarge { .. } | Self::Store(AppendError::TooLarge) => Class::TooLarge,
            Self::Encoding { error, .. } => match error {
                DecodeError::Unsupported | DecodeError::Broken => Class::Invalid,
                DecodeError::TooLarge | DecodeError::Hollow | DecodeError::Bomb => Class::TooLarge,
                DecodeError::Memory => Class::Busy(QUEUE_FULL),
            },
            Self::Loop(_) | Self::TooDeep { .. } | Self::Invalid(_) => Class::Invalid,
            Self::Memory | Self::Share | Self::Store(AppendError::Busy) => Class::Busy(QUEUE_FULL),
            Self::Store(AppendError::Full) => Class::Busy(DISK_FULL),
            Self::Store(AppendError::Failed(_)) => Class::Busy(WRITE_FAILED),
            Self::Store(AppendError::Closed) => Class::Busy(STOPPING),
        }
    }
}
