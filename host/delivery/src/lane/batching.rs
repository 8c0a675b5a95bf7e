//! Which deliveries leave together: how long they are gathered, and what was learned of the destination's limits on messages.
use tokio::time::Instant;

use super::known::Known;
use super::window::Window;
use hookwright_model::{Delivery, EventId, Response};
use hookwright_settings::Batch;

/// How a lane's deliveries are put together where its destination takes many at
/// once. The lane's state asks it before an attempt begins, the attempt tells it
/// what each message came to. Idle where the settings have no batches.
#[derive(Debug, Default)]
pub(crate) struct Batching {
    /// Since when deliveries are gathered for a batch.
    gathering: Option<Instant>,
    /// The destination's own limits on messages.
    known: Known,
}

impl Batching {
    /// Until when the deliveries in the window wait for more of them, to leave together.
    pub(super) fn gathers_until(
        &mut self,
        batch: &Batch,
        window: &Window,
        now: Instant,
    ) -> Option<Instant> {
        if window.has_enough(batch.events, self.known.bytes(batch)) {
            // Those that it leaves may begin to wait again.
            self.gathering = None;
            return None;
        }
        // Once the time is up all go that are there, of whatever source: it
        // begins again with the next one that finds nothing before it.
        let until = *self.gathering.get_or_insert(now) + batch.wait;
        (until > now).then_some(until)
    }

    /// Nothing waits, or nothing may leave.
    pub(super) fn stop_gathering(&mut self) {
        self.gathering = None;
    }

    /// Takes what leaves together out of the window; empty where that is.
    pub(super) fn take(&self, batch: &Batch, window: &mut Window) -> Vec<Delivery> {
        window.pop_many(batch.events, self.known.bytes(batch), self.known.alone())
    }

    /// The settings are new: the destination may take more by now.
    pub(super) fn forget_limits(&mut self) {
        self.known = Known::default();
    }

    /// Bytes of one message, at the most.
    pub(crate) fn bytes(&self, batch: &Batch) -> usize {
        self.known.bytes(batch)
    }

    /// A message with so many bytes was too large, or went through.
    pub(crate) fn learn(&mut self, batch: &Batch, size: usize, response: &Response) {
        self.known.learn(batch, size, response);
    }

    /// Remembers whether the delivery is to leave by itself the next time.
    pub(crate) fn set_alone(&mut self, event: EventId, alone: bool) {
        self.known.set_alone(event, alone);
    }
}
