//! The embedded engine: a journal of append-only files, which is what is synced, and an index in SQLite.
//!
//! One thread writes the journal, one the index, one copies the index's log, and
//! one looks deduplication keys up for the journal's.
//! Reads go to the index over connections of their own and fetch contents from
//! the journal.

mod backup;
mod cursor;
mod error;
mod examine;
mod face;
mod flushes;
mod index;
mod journal;
mod open;
mod queries;
mod reads;
mod recovery;
mod rein_in;
mod retention;
mod room;
mod space;
mod unrecorded;
mod vitals;
mod writer;
mod writes;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

pub use error::OpenError;
pub use examine::{IndexCheck, check_index, faults_in};
pub use open::{Options, open};

use self::index::counts::Counts;
use self::index::ops::{Op, Reply, RoutedOp};
use self::index::queue::WriteHealth;
use self::journal::damage::Damage;
use self::journal::segments::Segments;
use self::queries::query::Readers;
use self::writer::queue::Job;
use hookwright_model::clock::Clock;
use hookwright_store::{AppendError, Handoff, StoreError};

/// The open store.
pub(crate) struct Embedded {
    dir: PathBuf,
    clock: Clock,
    queue: Arc<writer::queue::Queue>,
    index: Arc<index::queue::Queue>,
    checkpoints: Arc<index::wal::WalCheckpoints>,
    segments: Arc<Segments>,
    counts: Arc<Counts>,
    /// Locked for reading while a hand-off is on its way; none once closed.
    handoff: RwLock<Option<Arc<dyn Handoff>>>,
    readers: Readers,
    space: Arc<space::Space>,
    damage: Arc<Damage>,
    room: Arc<room::Room>,
    read_spacing: Duration,
    /// When rows were last committed for a reader.
    forced: Mutex<Option<Instant>>,
    vitals: Arc<vitals::Vitals>,
    unrecorded: Arc<unrecorded::Unrecorded>,
    /// What may wait for the index before events are refused, in bytes.
    most_behind: usize,
    purging: Mutex<()>,
    threads: Mutex<open::Threads>,
    /// Held for as long as the store is open.
    lock: Mutex<Option<recovery::lock::Lock>>,
}

impl Embedded {
    fn ask_journal<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        if !self.queue.push(job(reply)) {
            return Err(StoreError::Closed);
        }
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// The rows go ahead, so that no outcome can overtake them; a flush waits
    /// until the deliveries have followed.
    fn hand_on(&self, op: RoutedOp) -> bool {
        let handoff = self.handoff.read();
        let Some(handoff) = handoff.as_deref() else { return false };
        let (deliveries, slots) = (op.routed.deliveries.clone(), Arc::clone(&op.slots));
        self.unrecorded.add(&slots);
        let taken = self.index.push(Op::Routed(op.handed()));
        if taken {
            handoff.ready(deliveries);
        }
        self.unrecorded.remove(&slots);
        taken
    }

    /// Why an event can't be taken now.
    fn refusal(&self) -> Option<AppendError> {
        // It would be in the journal, and nobody would do anything with it.
        if let Some(thread) = self.vitals.dead() {
            return Some(AppendError::Failed(format!("its thread `{thread}` panicked").into()));
        }
        if self.space.is_low() {
            return Some(AppendError::Full);
        }
        if self.index.weight() <= self.most_behind {
            return None;
        }
        Some(match self.index.write_health() {
            WriteHealth::Healthy => AppendError::Busy,
            WriteHealth::Full => AppendError::Full,
            WriteHealth::Failed => AppendError::Failed("the index can't be written".into()),
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}
