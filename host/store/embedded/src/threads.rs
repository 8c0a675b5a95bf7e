//! The engine's threads, which it ends one after the other.
use std::thread::JoinHandle;

use super::space::Looker;

/// Those that run. Each feeds the next, so they end in this order.
#[derive(Default)]
pub(super) struct Threads {
    /// Watches the room on the disk.
    pub(super) looker: Option<Looker>,
    /// Looks deduplication keys up for the journal.
    pub(super) lookup: Option<JoinHandle<()>>,
    pub(super) journal: Option<JoinHandle<()>>,
    pub(super) index: Option<JoinHandle<()>>,
    /// Copies the index's log.
    pub(super) checkpoints: Option<JoinHandle<()>>,
}

/// Waits for its end, and tells where that was a panic.
pub(super) fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the store had panicked");
    }
}
