//! A place among a lane's attempts in flight.
use std::sync::Arc;

use super::health::Ticket;
use super::lane::{Lane, STORE_PAUSE_MS};
use crate::model::EventId;

/// A place among a lane's attempts in flight, freed when dropped: a hard limit.
pub(super) struct Slot {
    lane: Arc<Lane>,
    event: EventId,
    pub(super) ticket: Ticket,
    due_ms: Option<u64>,
    freed: bool,
}

impl Slot {
    pub(super) fn new(lane: Arc<Lane>, event: EventId, ticket: Ticket) -> Self {
        Self { lane, event, ticket, due_ms: None, freed: false }
    }

    /// The delivery is due again then.
    pub(super) fn due_again(&mut self, due_ms: u64) {
        self.due_ms = Some(due_ms);
    }

    /// Frees the place and lets the next attempt start from here, without a
    /// detour through the lane's task.
    pub(super) fn free(mut self) {
        let wake = self.give_back();
        if self.lane.pump() | wake {
            self.lane.wake.notify_one();
        }
    }

    /// True where the lane's task has something to see to.
    fn give_back(&mut self) -> bool {
        self.freed = true;
        self.lane.meter.attempt_ended();
        let mut inner = self.lane.inner.lock();
        inner.in_flight -= 1;
        inner.window.ended(self.event, self.due_ms);
        self.due_ms.is_some() || inner.window.wants_look()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.freed {
            // Cut off before it was settled: its row still waits.
            self.due_ms = Some(self.lane.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS));
            self.lane.inner.lock().health.broke_off(self.ticket);
            self.give_back();
            self.lane.wake.notify_one();
        }
    }
}
