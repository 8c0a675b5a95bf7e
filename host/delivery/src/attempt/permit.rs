//! The permit of one attempt: a place among those that a lane may have in flight.
use std::sync::Arc;

use crate::lane::{Lane, Load, STORE_PAUSE_MS, Ticket};
use hookwright_model::EventId;

/// The permit of one attempt, given back when dropped: a hard limit. It names the
/// deliveries that the attempt sends, so that the lane hears of each when it ends.
pub(crate) struct Permit {
    lane: Arc<Lane>,
    first: InFlight,
    /// Of a batch.
    others: Vec<InFlight>,
    pub(super) ticket: Ticket,
    freed: bool,
}

/// A delivery that is in flight.
struct InFlight {
    event: EventId,
    /// It is due again then.
    due_ms: Option<u64>,
}

impl InFlight {
    fn new(event: EventId) -> Self {
        Self { event, due_ms: None }
    }
}

impl Permit {
    pub(crate) fn new(lane: Arc<Lane>, load: &Load, ticket: Ticket) -> Self {
        let (first, others) = load.split_first();
        let others = others.iter().map(|one| InFlight::new(one.event.id)).collect();
        Self { lane, first: InFlight::new(first.event.id), others, ticket, freed: false }
    }

    /// The delivery at this place of the load is due again then.
    pub(super) fn due_again(&mut self, place: usize, due_ms: u64) {
        let one = match place.checked_sub(1) {
            None => Some(&mut self.first),
            Some(place) => self.others.get_mut(place),
        };
        if let Some(one) = one {
            one.due_ms = Some(due_ms);
        }
    }

    /// Gives the permit back, once all is settled. True where the lane's task has
    /// something to see to.
    pub(crate) fn free(mut self) -> bool {
        self.give_back()
    }

    fn give_back(&mut self) -> bool {
        self.freed = true;
        self.lane.meter().attempt_ended();
        let all = std::iter::once(&self.first).chain(&self.others);
        self.lane.state().free(all.map(|one| (one.event, one.due_ms)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.freed {
            // Cut off before it was settled: its row still waits.
            let due_ms = self.lane.services().clock.now_ms().saturating_add(STORE_PAUSE_MS);
            (0..=self.others.len()).for_each(|place| self.due_again(place, due_ms));
            self.lane.state().abandon(self.ticket);
            self.give_back();
            self.lane.wake();
        }
    }
}
