//! Writing events down: the part of the store that the acknowledgement to the sender depends on.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use hookwright_model::{EventId, Name};

use crate::StoreError;

/// The durable log of events, as the way in sees it.
///
/// Intake appends each event that it has checked and acknowledges the event
/// once the append has resolved.
pub trait EventLog: Send + Sync + 'static {
    /// Writes the event down. Resolves once it is durable. Never blocks.
    fn append(&self, event: NewEvent) -> AppendFuture;

    /// Which share of what may wait to be written does wait: at 1 and more
    /// [`append`](Self::append) answers [`AppendError::Busy`]. Costs no lock, so
    /// intake asks before each event.
    fn fullness(&self) -> f32 {
        0.0
    }
}

/// An event that intake hands in to be written down.
#[derive(Debug)]
pub struct NewEvent {
    /// The source that it came from.
    pub source: Name,
    /// Its type, as the source names it; empty where the source names none.
    pub kind: Box<str>,
    /// The headers that are kept, as they came.
    pub headers: HeaderMap,
    /// The body, byte for byte as it came.
    pub body: Bytes,
    /// How a second delivery of the same event is recognised; none: it is not.
    pub dedupe: Option<Dedupe>,
}

/// A deduplication key: a second event with the same key from the same source
/// within the window is answered with the id of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// The first 16 bytes of the SHA-256 of the key.
    pub key: [u8; 16],
    /// How long the key is remembered from the first event on.
    pub window: Duration,
}

/// What an append has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The event is durable under this id.
    New(EventId),
    /// The id of the first event with this key; nothing was written.
    Duplicate(EventId),
}

/// Why an event could not be written down. The caller may try again later in
/// every case but [`TooLarge`](Self::TooLarge).
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Too much waits already. It passes as soon as the disk has caught up.
    #[error("the store has as much waiting to be written as it may hold in memory")]
    Busy,
    /// There is no space left to write to.
    #[error("the disk is full")]
    Full,
    /// The disk or the database failed, for that reason.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    /// The host stops.
    #[error("the store is closed")]
    Closed,
    /// No try will ever succeed.
    #[error("the event is larger than the journal can hold")]
    TooLarge,
}

impl From<AppendError> for StoreError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full => Self::Full,
            AppendError::Closed => Self::Closed,
            AppendError::Failed(why) => Self::Failed(why),
            AppendError::Busy | AppendError::TooLarge => Self::Failed(error.to_string().into()),
        }
    }
}

/// Resolves once the event is durable or refused.
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;
