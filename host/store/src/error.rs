//! Why the store could not do what it was asked.
use std::sync::Arc;

/// What every part of the store but [`EventLog::append`](crate::EventLog::append) answers when it fails.
///
/// Its callers tell it to a person or try again later. `Damaged` alone is final.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database failed, for that reason. Trying again may help.
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    /// The host stops. Nothing that was durable is lost; the next start resumes it.
    #[error("the store is closed")]
    Closed,
    /// There is no space left to write to.
    #[error("the disk is full")]
    Full,
    /// What was asked for is in a record of the journal that is damaged or gone:
    /// it will not come back by itself, so asking again is of no use.
    #[error("the record can't be read any more: {0}")]
    Damaged(Arc<str>),
}
