//! How many attempts failed, and how many there were, within the last so and so long.
use std::time::Duration;

use tokio::time::Instant;

/// The window moves by a tenth of itself.
const SLOTS: usize = 10;

#[derive(Debug)]
pub(super) struct Tally {
    slot: Duration,
    /// Failed and all, by the number of the slot.
    counts: [(u32, u32); SLOTS],
    began: Option<Instant>,
    newest: u64,
}

impl Tally {
    pub(super) fn new(window: Duration) -> Self {
        let slot = (window / SLOTS as u32).max(Duration::from_millis(1));
        Self { slot, counts: [(0, 0); SLOTS], began: None, newest: 0 }
    }

    /// Nothing was counted since the start.
    pub(super) fn is_clean(&self) -> bool {
        self.began.is_none()
    }

    /// Counts one; answers how many failed and how many there were.
    pub(super) fn count(&mut self, failed: bool, now: Instant) -> (u32, u32) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began).as_nanos() / self.slot.as_nanos();
        let number = u64::try_from(passed).unwrap_or(u64::MAX).max(self.newest);
        let skipped = (number - self.newest).min(SLOTS as u64);
        for step in 0..skipped {
            self.counts[((number - step) % SLOTS as u64) as usize] = (0, 0);
        }
        self.newest = number;
        let own = &mut self.counts[(number % SLOTS as u64) as usize];
        own.0 = own.0.saturating_add(u32::from(failed));
        own.1 = own.1.saturating_add(1);
        let sum =
            |a: (u32, u32), b: &(u32, u32)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        let counted = self.counts.iter().fold((0, 0), sum);
        if counted.0 == 0 {
            // All that failed is long ago: the next failure begins anew.
            self.clear();
        }
        counted
    }

    pub(super) fn clear(&mut self) {
        self.counts = [(0, 0); SLOTS];
        self.began = None;
        self.newest = 0;
    }
}
