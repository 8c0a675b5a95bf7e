//! Reads the events of one source that are only in their rows, whenever the window has room for them.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::in_flight::InFlight;
use super::worker::Worker;
use hookwright_store::{Claim, StoreError};

/// Rows read at once.
const PAGE: usize = 256;
/// When to poll again where the store could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// The wait of a lane with nothing due: longer than any wait that matters.
const IDLE: Duration = Duration::from_secs(600);

/// The task that keeps a lane supplied from the rows, from the lane's start to the stop.
pub(super) struct Reader {
    worker: Arc<Worker>,
    in_flight: Arc<InFlight>,
}

impl Reader {
    pub(super) fn new(worker: Arc<Worker>, in_flight: Arc<InFlight>) -> Self {
        Self { worker, in_flight }
    }

    /// Polls the rows whenever some were left behind and there is room again.
    pub(super) async fn run(self) {
        let mut due = Instant::now() + IDLE;
        // The clock at the last poll: due times may come from a clock that was ahead.
        let mut polled_ms = u64::MAX;
        loop {
            tokio::select! {
                () = self.worker.stopping.cancelled() => return,
                () = self.in_flight.woken() => {}
                () = tokio::time::sleep_until(due) => {
                    // Without room, an event that finishes wakes the reader; to wait for a past time would spin.
                    due = Instant::now() + IDLE;
                    self.in_flight.fall_behind();
                }
            }
            let now_ms = self.worker.services.clock.now_ms();
            if now_ms < polled_ms {
                self.rein_in(now_ms).await;
            }
            polled_ms = now_ms;
            if let Some(wait) = self.poll().await {
                due = Instant::now() + wait.min(IDLE);
            }
        }
    }

    /// At the start, and once the clock was set back: no event waits to be
    /// routed for longer than a lane without work does.
    async fn rein_in(&self, now_ms: u64) {
        match self.worker.services.store.rein_in(None, now_ms, IDLE).await {
            Ok(0) | Err(StoreError::Closed) => {}
            Ok(reined) => {
                tracing::warn!(
                    reined,
                    "events waited for a time that a wrong clock gave them; they are due now"
                );
                self.in_flight.fall_behind();
            }
            Err(error) => tracing::warn!(%error, "can't look for events that wait too long"),
        }
    }

    /// Takes pages of rows until there are no more that are due, or no room.
    /// Answers how long until the next is due; none where it did not get that far.
    async fn poll(&self) -> Option<Duration> {
        let mut after = None;
        loop {
            let open = self.in_flight.is_open() && !self.worker.stopping.is_cancelled();
            if !self.in_flight.begin_page(open, after.is_some()) {
                return None;
            }
            let now_ms = self.worker.services.clock.now_ms();
            let of = self.worker.source.as_str();
            let claim = Claim { of, now_ms, after: after.as_ref(), limit: PAGE };
            let page = match self.worker.services.store.claim_events(claim).await {
                Ok(page) => page,
                Err(StoreError::Closed) => return Some(IDLE),
                Err(error) => return Some(self.unread(&error)),
            };
            let more = page.next_due_ms.is_some_and(|due| due <= now_ms);
            after = page.next;
            let jobs = self.in_flight.end_page(page.events, more, self.worker.in_turn());
            self.worker.begin_queue(&self.in_flight);
            self.worker.begin(jobs);
            if !more {
                let until = |due| self.worker.services.clock.until(due);
                return Some(page.next_due_ms.map_or(IDLE, until));
            }
            if after.is_none() {
                // Every row of the page was unreadable; the store ends those.
                self.in_flight.break_off(true);
                return Some(READ_AGAIN);
            }
        }
    }

    fn unread(&self, error: &StoreError) -> Duration {
        tracing::warn!(source = %self.worker.source, %error, "can't read the events to be routed");
        // In order, no later event may overtake.
        self.in_flight.break_off(self.worker.in_turn());
        READ_AGAIN
    }
}
