//! Events that wait for their rows, and readers that wait for those events.
//!
//! An accepted event needs no row at once: it lies in the journal, and a crash finds it there. So its rows wait a
//! little for the outcome of its routing and of its deliveries, and most events are written once instead of written
//! and changed again and again.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ops::{Accepted, Reply, Request, RoutedOp};
use super::work::{PendingEvent, Work};
use crate::journal::locator::Position;
use hookwright_store::{Settled, StoreError};

/// So many events' rows wait for the outcome of their routing at most.
const MOST_PENDING: usize = 8_192;

/// The events without rows, by their row keys. Owned by the index thread, which folds each operation into it and takes
/// out of it what is to be written.
pub(super) struct PendingEvents {
    events: BTreeMap<i64, PendingEvent>,
    /// How long an event waits at most.
    hold: Duration,
    /// The last event that came, and where its record ends.
    seen: (i64, Position),
    /// Readers that wait until no event up to that row is pending any more.
    waiters: Vec<(i64, Reply<()>)>,
}

impl PendingEvents {
    /// `seen` is the last event that has a row, and up to where the journal is indexed.
    pub(super) fn new(hold: Duration, seen: (i64, Position)) -> Self {
        Self { events: BTreeMap::new(), hold, seen, waiters: Vec::new() }
    }

    /// When the first of them will have waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.events.first_key_value().map(|(_, pending)| pending.since + self.hold)
    }

    pub(super) fn add(&mut self, accepted: Accepted, now: Instant) {
        let row = accepted.event.id.row();
        self.seen = (row, accepted.at.end());
        self.events.insert(row, PendingEvent::new(accepted, now));
    }

    /// An outcome of routing: kept with its event, or to be recorded by itself. Answers how many bytes of memory the
    /// event was counted for twice.
    pub(super) fn routed(&mut self, mut op: RoutedOp, work: &mut Vec<Work>) -> usize {
        let row = op.routed.event.id.row();
        let Some(pending) = self.events.get_mut(&row) else {
            work.push(Work::Routed(op));
            return 0;
        };
        let twice = match Arc::ptr_eq(&op.routed.event, &pending.accepted.event) {
            true => op.share_event(),
            false => 0,
        };
        pending.routed = Some(op);
        self.release_complete(row, work);
        twice
    }

    /// An attempt: kept with its event, or to be recorded by itself.
    pub(super) fn settled(&mut self, settled: Settled, work: &mut Vec<Work>) {
        let row = settled.key.event.row();
        match self.events.get_mut(&row) {
            Some(pending) => {
                pending.settled.push(settled);
                self.release_complete(row, work);
            }
            None => work.push(Work::Settled(settled)),
        }
    }

    /// What a request needs to be written before it. False where it was a reader's that waits here now.
    pub(super) fn prepare(&mut self, request: &Request, work: &mut Vec<Work>) -> bool {
        match request {
            Request::Settle { reply } => {
                let Some((last, _)) = self.events.last_key_value() else { return true };
                self.waiters.push((*last, reply.clone()));
                return false;
            }
            Request::Replay { row, .. } => self.release_one(*row, work),
            Request::Repoint { moved, .. } => {
                // The journal told of every event before these copies first.
                let ends = moved.iter().map(|one| one.to.end());
                self.seen.1 = ends.fold(self.seen.1, Position::max);
            }
            Request::Barrier { all: true, .. } => self.release_all(work),
            Request::Barrier { all: false, .. } => {
                let routed = self.events.extract_if(.., |_, pending| pending.routed.is_some());
                work.extend(routed.map(|(_, pending)| Work::New(pending)));
            }
            _ => {}
        }
        true
    }

    pub(super) fn release_one(&mut self, row: i64, work: &mut Vec<Work>) {
        work.extend(self.events.remove(&row).map(Work::New));
    }

    fn release_complete(&mut self, row: i64, work: &mut Vec<Work>) {
        if self.events.get(&row).is_some_and(PendingEvent::is_complete) {
            self.release_one(row, work);
        }
    }

    pub(super) fn release_all(&mut self, work: &mut Vec<Work>) {
        work.extend(std::mem::take(&mut self.events).into_values().map(Work::New));
    }

    /// Takes out those that have waited long enough by `now`, or all of them where there are too many.
    pub(super) fn release_due(&mut self, now: Instant, work: &mut Vec<Work>) {
        if self.events.len() > MOST_PENDING {
            return self.release_all(work);
        }
        while let Some(entry) = self.events.first_entry() {
            if entry.get().since + self.hold > now {
                break;
            }
            work.push(Work::New(entry.remove()));
        }
    }

    /// The last row before which, and the position up to which, every event has its row once what was taken out is
    /// committed.
    pub(super) fn checkpoint(&self) -> (i64, Position) {
        match self.events.first_key_value() {
            Some((row, pending)) => (row - 1, pending.accepted.at.start()),
            None => self.seen,
        }
    }

    /// Answers the readers before whose row nothing is pending. Called after a commit.
    pub(super) fn answer_waiters(&mut self) {
        let first = self.events.first_key_value().map(|(row, _)| *row);
        let settled =
            self.waiters.extract_if(.., |(row, _)| first.is_none_or(|first| first > *row));
        for (_, reply) in settled {
            // The reader may have gone.
            let _ = reply.send(Ok(()));
        }
    }

    /// Tells all waiting readers that the index can't be written.
    pub(super) fn refuse_waiters(&mut self, error: &StoreError) {
        for (_, reply) in self.waiters.drain(..) {
            // The reader may have gone.
            let _ = reply.send(Err(error.clone()));
        }
    }
}
