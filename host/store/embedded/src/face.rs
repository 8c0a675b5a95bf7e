//! What the engine answers to each part of the store's face.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Embedded;
use crate::index::ops::{Op, Request, RoutedOp};
use crate::index::queue::WriteHealth;
use crate::writer::queue::Job;
use hookwright_model::metrics::STORE_ERRORS;
use hookwright_model::{EventId, ReplayJob, StateRow};
use hookwright_store::{
    AppendError, AppendFuture, Backlog, Backup, Condition, Conditions, DiedFuture, DueCursor,
    DuePage, EventDetail, EventLog, EventQuery, EventRow, Fault, FeedPage, Found, GivenUp, Jobs,
    Maintenance, NewEvent, PluginState, Purged, Queries, RoomFuture, Routed, Settled, StoreError,
    UnroutedPage, Usage, WorkQueue,
};

/// What a purge that fails is told as.
const PURGE: &str = "retention";

impl EventLog for Embedded {
    fn append(&self, event: NewEvent) -> AppendFuture {
        let appended = match self.refusal() {
            Some(error) => Err(error),
            None => self.queue.append(event),
        };
        Box::pin(async move { appended?.await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn fullness(&self) -> f32 {
        let behind = self.index.weight() as f32 / self.most_behind as f32;
        behind.max(self.queue.fullness())
    }
}

impl WorkQueue for Embedded {
    fn room(self: Arc<Self>) -> Option<RoomFuture> {
        let has_room = |store: &Self| {
            store.fullness() < 1.0 || store.queue.is_closed() || store.vitals.dead().is_some()
        };
        if has_room(&self) {
            return None;
        }
        Some(Box::pin(async move { self.room.until(|| has_room(&self)).await }))
    }

    fn routed(&self, routed: Routed) {
        let own = |payload: &Arc<_>| !hookwright_model::Payload::is_original(payload);
        // State goes one way, so that it is recorded in the order in which it
        // came; so does what is delivered in order.
        let keyed = |delivery: &hookwright_model::Delivery| delivery.order_key.is_some();
        let ordered = !routed.state_rows.is_empty() || routed.deliveries.iter().any(keyed);
        let changed =
            |delivery: &hookwright_model::Delivery| delivery.payload.as_ref().is_some_and(own);
        let taken = if ordered || routed.deliveries.iter().any(changed) {
            self.queue.push(Job::Payloads(routed))
        } else if routed.first && !routed.deliveries.is_empty() {
            self.hand_on(routed)
        } else {
            self.index.push(Op::Routed(RoutedOp::new(routed)))
        };
        if !taken {
            tracing::debug!("an outcome of routing came after the close; it is found again");
        }
    }

    fn settled(&self, settled: Settled) {
        if !self.index.push(Op::Settled(settled)) {
            tracing::debug!("an attempt came after the close; it is made once more");
        }
    }

    fn given_up(&self, given_up: GivenUp) {
        if !self.index.push(Op::GivenUp(given_up)) {
            tracing::debug!("a delivery was given up after the close; it is looked at once more");
        }
    }

    fn rein_in(
        &self,
        destination: Option<&str>,
        now_ms: u64,
        longest: Duration,
    ) -> Result<u64, StoreError> {
        self.rein_in_rows(destination, now_ms, longest)
    }

    fn replay(&self, event: EventId, destination: Option<&str>) -> Result<bool, StoreError> {
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

    fn discard(&self, destination: &str, cause: &str, most: usize) -> Result<u64, StoreError> {
        let (destination, cause) = (Box::from(destination), cause.to_owned());
        self.index.ask(|reply| Request::Discard { destination, cause, most, ended: 0, reply })
    }

    fn flush(&self) -> Result<(), StoreError> {
        // Hand-offs under way first: they hold the lock.
        drop(self.handoff.write());
        // Then through the journal, since payloads go that way.
        self.ask_journal(|reply| Job::Rotate { before_ms: 0, reply })?;
        self.index.ask(|reply| Request::Barrier { all: true, reply })
    }

    fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<UnroutedPage, StoreError> {
        self.read_unrouted(source, now_ms, after, limit)
    }

    fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        self.read_due(destination, now_ms, after, limit)
    }
}

impl Queries for Embedded {
    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
        self.read_events(query)
    }

    fn search(&self, query: &EventQuery, text: &str) -> Result<Found, StoreError> {
        self.read_search(query, text)
    }

    fn feed(
        &self,
        query: &EventQuery,
        after: Option<EventId>,
    ) -> Result<Option<FeedPage>, StoreError> {
        self.read_feed(query, after)
    }

    fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.read_event(id)
    }

    fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read_backlog()
    }
}

impl PluginState for Embedded {
    fn state(&self) -> Result<Vec<StateRow>, StoreError> {
        self.read_state()
    }
}

impl Maintenance for Embedded {
    fn usage(&self) -> Result<Usage, StoreError> {
        self.read_usage()
    }

    fn purge(&self, before_ms: u64) -> Result<Purged, StoreError> {
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

    fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        self.copy_to(to)
    }

    fn healthy(&self) -> bool {
        let alive = self.vitals.dead().is_none();
        alive && !self.queue.has_failed() && self.index.write_health() != WriteHealth::Failed
    }

    fn faults(&self) -> Vec<Fault> {
        self.damage.list()
    }

    fn died(&self) -> DiedFuture {
        Box::pin(Arc::clone(&self.vitals).died())
    }

    fn close(&self) {
        self.shut();
    }
}

impl Conditions for Embedded {
    fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError> {
        self.read_conditions()
    }

    fn set_condition(&self, destination: &str, condition: &Condition) -> Result<(), StoreError> {
        let (destination, condition) = (destination.into(), condition.clone());
        self.index.ask(|reply| Request::Condition { destination, condition, reply })
    }
}

impl Jobs for Embedded {
    fn put_replay(&self, job: &ReplayJob) -> Result<(), StoreError> {
        self.index.ask(|reply| Request::KeepReplay { job: job.clone(), reply })
    }

    fn replays(&self) -> Result<Vec<ReplayJob>, StoreError> {
        self.read_replays()
    }
}
