//! A place among a lane's attempts in flight.
use std::sync::Arc;

use super::batch::Load;
use super::health::Ticket;
use super::lane::{Lane, STORE_PAUSE_MS};
use hookwright_model::EventId;

/// A place among a lane's attempts in flight, freed when dropped: a hard limit.
pub(super) struct Slot {
    lane: Arc<Lane>,
    first: Held,
    /// Of a batch.
    others: Vec<Held>,
    pub(super) ticket: Ticket,
    freed: bool,
}

/// A delivery that is under way.
struct Held {
    event: EventId,
    /// It is due again then.
    due_ms: Option<u64>,
}

impl Held {
    fn new(event: EventId) -> Self {
        Self { event, due_ms: None }
    }
}

impl Slot {
    pub(super) fn new(lane: Arc<Lane>, load: &Load, ticket: Ticket) -> Self {
        let (first, others) = load.split_first();
        let others = others.iter().map(|one| Held::new(one.event.id)).collect();
        Self { lane, first: Held::new(first.event.id), others, ticket, freed: false }
    }

    /// The delivery at this place of the load is due again then.
    pub(super) fn due_again(&mut self, place: usize, due_ms: u64) {
        let held = match place.checked_sub(1) {
            None => Some(&mut self.first),
            Some(place) => self.others.get_mut(place),
        };
        if let Some(held) = held {
            held.due_ms = Some(due_ms);
        }
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
        let mut again = false;
        for held in std::iter::once(&self.first).chain(&self.others) {
            inner.window.ended(held.event, held.due_ms);
            again |= held.due_ms.is_some();
        }
        again || inner.window.wants_look()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.freed {
            // Cut off before it was settled: its row still waits.
            let due_ms = self.lane.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS);
            (0..=self.others.len()).for_each(|place| self.due_again(place, due_ms));
            self.lane.inner.lock().health.broke_off(self.ticket);
            self.give_back();
            self.lane.wake.notify_one();
        }
    }
}
