//! Care for the store as a whole: retention, backups, health and the end.
use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use crate::Answer;

/// What retention, the backup command, the health checks and the shutdown do to the store.
pub trait Maintenance: Send + Sync + 'static {
    /// How much the store holds.
    ///
    /// # Errors
    /// Where it can't be read.
    fn usage(&self) -> Answer<'_, Usage>;

    /// Drops finished events accepted before `before_ms`, milliseconds since
    /// 1970. Costs the size of what is dropped. Unfinished ones are kept.
    ///
    /// # Errors
    /// Where it can't be done; what was dropped until then stays dropped.
    fn purge(&self, before_ms: u64) -> Answer<'_, Purged>;

    /// Copies all into a new folder while work continues; the copy opens as a
    /// store. No purge runs meanwhile.
    ///
    /// # Errors
    /// Where the folder exists or can't be written; nothing is left of it then.
    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, Backup>;

    /// False once a write failed in a way that does not pass by itself. Costs no
    /// read of the disk.
    fn healthy(&self) -> bool;

    /// What of its files is damaged or lost, until a person has looked at it.
    ///
    /// # Errors
    /// Where that can't be told.
    fn faults(&self) -> Answer<'_, Vec<Fault>>;

    /// Resolves with the reason once the store can't continue without a
    /// restart, and never where it is closed in order.
    fn died(&self) -> DiedFuture {
        Box::pin(std::future::pending())
    }

    /// Records all that was handed in, then stops. Later calls answer
    /// [`StoreError::Closed`](crate::StoreError::Closed).
    ///
    /// # Errors
    /// Where it did not end in order; the next start recovers then.
    fn close(&self) -> Answer<'_, ()>;
}

/// How much the store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on the disk: journal and index.
    pub bytes: u64,
    /// Events of any state.
    pub events: u64,
    /// Events that are still to be routed. Who reads the backlog after this
    /// finds every delivery of all others there.
    pub accepted: u64,
    /// When the oldest event was accepted, milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// What a purge has dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Events that are gone.
    pub events: u64,
    /// Bytes that the disk has back.
    pub bytes: u64,
    /// Unfinished events that were carried over into a newer segment.
    pub kept: u64,
}

/// Something of the store's files that is damaged or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or part that it is about; the same as long as it stands.
    pub subject: String,
    /// One line for a person.
    pub what: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Backup {
    /// Bytes of all its files.
    pub bytes: u64,
    /// Events in it.
    pub events: u64,
}

/// Resolves with why the store died.
pub type DiedFuture = Pin<Box<dyn Future<Output = String> + Send>>;
