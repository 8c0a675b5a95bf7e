//! What the engine is handed or asked to change. Each call waits for the thread that does it, unless it says otherwise.
use std::sync::Arc;

use super::engine::Embedded;
use crate::index::ops::{Op, Request, RoutedOp};
use crate::index::queue::WriteHealth;
use crate::unrecorded::Slot;
use crate::writer::queue::Job;
use hookwright_model::metrics::STORE_ERRORS;
use hookwright_model::{EventId, ReplayJob};
use hookwright_store::{
    AppendError, AppendFuture, Condition, DiedFuture, Fault, GivenUp, NewEvent, Purged, RoomFuture,
    Routed, Settled, StoreError,
};

/// What a purge that fails is told as.
const PURGE: &str = "retention";

// What is handed in counts as unrecorded from before it enters a queue, so that no claim misses it. What a closed queue
// refuses stays counted: nothing is claimed from a closed store.
impl Embedded {
    /// Hands an event to the journal's thread. Resolves once it is synced. Never blocks.
    pub(super) fn append(&self, event: NewEvent) -> AppendFuture {
        let appended = match self.refusal() {
            Some(error) => Err(error),
            None => self.queue.append(event),
        };
        Box::pin(async move { appended?.await.unwrap_or(Err(AppendError::Closed)) })
    }

    /// See [`hookwright_store::EventLog::fullness`].
    pub(super) fn fullness(&self) -> f32 {
        let behind = self.index.weight() as f32 / self.most_behind as f32;
        behind.max(self.queue.fullness())
    }

    /// See [`hookwright_store::WorkQueue::room`].
    pub(super) fn room(self: &Arc<Self>) -> Option<RoomFuture> {
        let has_room = |store: &Self| {
            store.fullness() < 1.0 || store.queue.is_closed() || store.vitals.dead().is_some()
        };
        if has_room(self) {
            return None;
        }
        let store = Arc::clone(self);
        Some(Box::pin(async move { store.room.until(|| has_room(&store)).await }))
    }

    /// Hands an outcome of routing in, to whom it has to go through. False once closed. Never blocks.
    pub(super) fn routed(&self, routed: Routed) -> bool {
        let own = |payload: &Arc<_>| !hookwright_model::Payload::is_original(payload);
        // State goes one way, so that it is recorded in the order in which it
        // came; so does what is delivered in order.
        let keyed = |delivery: &hookwright_model::Delivery| delivery.order_key.is_some();
        let ordered = !routed.state_rows.is_empty() || routed.deliveries.iter().any(keyed);
        let changed =
            |delivery: &hookwright_model::Delivery| delivery.payload.as_ref().is_some_and(own);
        let journaled = ordered || routed.deliveries.iter().any(changed);
        let at_once = routed.first && !routed.deliveries.is_empty();
        let op = RoutedOp::new(routed);
        self.unrecorded.add(&op.slots);
        if journaled {
            self.queue.push(Job::Payloads(op))
        } else if at_once {
            self.hand_on(op)
        } else {
            self.index.push(Op::Routed(op))
        }
    }

    /// Hands an attempt in. False once closed. Never blocks.
    pub(super) fn settled(&self, settled: Settled) -> bool {
        self.unrecorded.add(&[Slot::destination(&settled.key.destination)]);
        self.index.push(Op::Settled(settled))
    }

    /// Hands in a delivery that ends without an attempt. False once closed. Never blocks.
    pub(super) fn given_up(&self, given_up: GivenUp) -> bool {
        self.unrecorded.add(&[Slot::destination(&given_up.key.destination)]);
        self.index.push(Op::GivenUp(given_up))
    }

    /// Starts a new round for an event, or for one of its deliveries.
    pub(super) fn replay(
        &self,
        event: EventId,
        destination: Option<&str>,
    ) -> Result<bool, StoreError> {
        if event.node() != self.segments.node {
            return Ok(false);
        }
        let (row, destination) = (event.row(), destination.map(Into::into));
        let now_ms = self.clock.now_ms();
        self.index.ask(|reply| Request::Replay {
            row,
            destination,
            now_ms,
            found: false,
            ready: None,
            reply,
        })
    }

    /// Returns once everything handed in before is committed and handed on.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        // Hand-offs under way first: they hold the lock.
        drop(self.handoff.write());
        // Then through the journal, since payloads go that way.
        self.ask_journal(|reply| Job::Rotate { before_ms: 0, reply })?;
        self.index.ask(|reply| Request::Barrier { all: true, reply })
    }

    /// Writes what is to be remembered of a destination.
    pub(super) fn set_condition(
        &self,
        destination: &str,
        condition: &Condition,
    ) -> Result<(), StoreError> {
        let (destination, condition) = (destination.into(), condition.clone());
        self.index.ask(|reply| Request::Condition { destination, condition, reply })
    }

    /// Gives up what waits for a destination.
    pub(super) fn discard(
        &self,
        destination: &str,
        cause: &str,
        most: usize,
    ) -> Result<u64, StoreError> {
        let (destination, cause) = (Box::from(destination), cause.to_owned());
        self.index.ask(|reply| Request::Discard { destination, cause, most, ended: 0, reply })
    }

    /// Writes how far a bulk replay has come.
    pub(super) fn put_replay(&self, job: &ReplayJob) -> Result<(), StoreError> {
        self.index.ask(|reply| Request::KeepReplay { job: job.clone(), reply })
    }

    /// Drops finished events of before that time, and tells where that fails.
    pub(super) fn purge(&self, before_ms: u64) -> Result<Purged, StoreError> {
        let purged = self.purge_before(before_ms);
        match &purged {
            Ok(_) => self.damage.clear(PURGE),
            Err(StoreError::Closed) => {}
            Err(error) => {
                metrics::counter!(STORE_ERRORS, "part" => "purge").increment(1);
                let what = format!("old events can't be dropped: {error}; tried at each interval");
                self.damage.raise(PURGE, &what);
            }
        }
        purged
    }

    /// False once a write failed in a way that does not pass by itself.
    pub(super) fn healthy(&self) -> bool {
        let alive = self.vitals.dead().is_none();
        alive && !self.queue.has_failed() && self.index.write_health() != WriteHealth::Failed
    }

    /// What of the files is damaged or lost. Reads a small folder.
    pub(super) fn faults(&self) -> Vec<Fault> {
        self.damage.list()
    }

    /// Resolves with the reason once a thread of the engine has panicked.
    pub(super) fn died(&self) -> DiedFuture {
        Box::pin(Arc::clone(&self.vitals).died())
    }
}
