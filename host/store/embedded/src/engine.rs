//! The engine itself: what it is made of, and what its reads and writes share.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::space::Space;
use super::threads::{self, Threads};
use super::unrecorded::Unrecorded;
use super::vitals::Vitals;
use crate::index;
use crate::index::counts::Counts;
use crate::index::ops::{Op, Reply, RoutedOp};
use crate::index::queue::WriteHealth;
use crate::index::wal::WalCheckpoints;
use crate::journal::damage::Damage;
use crate::journal::segments::Segments;
use crate::queries::query::Readers;
use crate::recovery::lock::Lock;
use crate::writer;
use crate::writer::queue::Job;
use hookwright_model::clock::Clock;
use hookwright_store::{AppendError, Handoff, Room, StoreError};

/// The open store.
pub(crate) struct Embedded {
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) queue: Arc<writer::queue::Queue>,
    pub(super) index: Arc<index::queue::Queue>,
    pub(super) checkpoints: Arc<WalCheckpoints>,
    pub(super) segments: Arc<Segments>,
    pub(super) counts: Arc<Counts>,
    /// Locked for reading while a hand-off is on its way; none once closed.
    pub(super) handoff: RwLock<Option<Arc<dyn Handoff>>>,
    pub(super) readers: Readers,
    pub(super) space: Arc<Space>,
    pub(super) damage: Arc<Damage>,
    pub(super) room: Arc<Room>,
    pub(super) read_spacing: Duration,
    /// When rows were last committed for a reader.
    pub(super) forced: Mutex<Option<Instant>>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) unrecorded: Arc<Unrecorded>,
    /// What may wait for the index before events are refused, in bytes.
    pub(super) most_behind: usize,
    pub(super) purging: Mutex<()>,
    pub(super) threads: Mutex<Threads>,
    /// Held for as long as the store is open.
    pub(super) lock: Mutex<Option<Lock>>,
}

impl Embedded {
    pub(super) fn ask_journal<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        if !self.queue.push(job(reply)) {
            return Err(StoreError::Closed);
        }
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// The rows go ahead, so that no outcome can overtake them; a flush waits
    /// until the deliveries have followed.
    pub(super) fn hand_on(&self, op: RoutedOp) -> bool {
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
    pub(super) fn refusal(&self) -> Option<AppendError> {
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

    /// Each part has ended before the one that it feeds is closed. The last
    /// connection to close copies what is left of the index's log.
    pub(super) fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        *self.handoff.write() = None;
        drop(threads.looker);
        self.queue.close();
        threads::join(threads.lookup);
        threads::join(threads.journal);
        self.index.close();
        threads::join(threads.index);
        self.readers.close();
        self.checkpoints.close();
        threads::join(threads.checkpoints);
        *self.lock.lock() = None;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}
