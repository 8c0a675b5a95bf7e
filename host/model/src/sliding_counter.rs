//! Sliding windows of outcomes: how many failed, and of how many, lately.
//!
//! A [`Breaker`](crate::breaker::Breaker) opens by what they count. Pure: the
//! caller brings the time.
use std::time::Duration;

use tokio::time::Instant;

/// What a window holds after an outcome was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Failures within the window.
    pub failed: u32,
    /// All outcomes within the window.
    pub all: u32,
}

/// A window over the last outcomes, bounded by time or by their number.
pub trait Window {
    /// Records one outcome and answers what the window holds with it.
    fn record(&mut self, failed: bool, now: Instant) -> Counts;

    /// Whether it holds no failure.
    fn is_clean(&self) -> bool;

    /// Forgets everything.
    fn clear(&mut self);
}

/// A window of time moves by a tenth of itself.
const SLOTS: usize = 10;

/// Outcomes within the last so and so long. It counts from the first failure on:
/// while nothing fails, a success costs one comparison.
#[derive(Debug)]
pub struct SlidingCounter {
    slot: Duration,
    counts: [Counts; SLOTS],
    /// When the first failure was; none while there is none.
    began: Option<Instant>,
    /// The slot that is counted in, numbered from `began`.
    newest: u64,
}

impl SlidingCounter {
    /// An empty window of that length, in steps of at least 1 ms.
    pub fn new(window: Duration) -> Self {
        let slot = (window / SLOTS as u32).max(Duration::from_millis(1));
        Self { slot, counts: Default::default(), began: None, newest: 0 }
    }

    /// Empties the slots between the newest and the one of `now`, which becomes the newest.
    fn advance(&mut self, began: Instant, now: Instant) {
        let passed = now.saturating_duration_since(began).as_nanos() / self.slot.as_nanos();
        let number = u64::try_from(passed).unwrap_or(u64::MAX).max(self.newest);
        let skipped = (number - self.newest).min(SLOTS as u64);
        for step in 0..skipped {
            self.counts[((number - step) % SLOTS as u64) as usize] = Counts::default();
        }
        self.newest = number;
    }
}

impl Window for SlidingCounter {
    fn record(&mut self, failed: bool, now: Instant) -> Counts {
        if !failed && self.is_clean() {
            return Counts::default();
        }
        let began = *self.began.get_or_insert(now);
        self.advance(began, now);
        let slot = &mut self.counts[(self.newest % SLOTS as u64) as usize];
        slot.failed = slot.failed.saturating_add(u32::from(failed));
        slot.all = slot.all.saturating_add(1);
        let sum = |a: Counts, b: &Counts| Counts {
            failed: a.failed.saturating_add(b.failed),
            all: a.all.saturating_add(b.all),
        };
        let counted = self.counts.iter().fold(Counts::default(), sum);
        if counted.failed == 0 {
            // All failures have left the window: the next one begins a new count.
            self.clear();
        }
        counted
    }

    fn is_clean(&self) -> bool {
        self.began.is_none()
    }

    fn clear(&mut self) {
        self.counts = Default::default();
        self.began = None;
        self.newest = 0;
    }
}

/// The last so many outcomes, at most 64, whenever they were.
#[derive(Debug, Clone)]
pub struct LastOutcomes {
    /// The newest in the lowest bit; 1 is a failure.
    failed: u64,
    all: u32,
    size: u32,
}

impl LastOutcomes {
    /// More are not remembered.
    pub const MOST: u32 = u64::BITS;

    /// An empty window of that many outcomes, clamped to 1 to [`Self::MOST`].
    pub fn new(size: u32) -> Self {
        Self { failed: 0, all: 0, size: size.clamp(1, Self::MOST) }
    }
}

impl Window for LastOutcomes {
    fn record(&mut self, failed: bool, _now: Instant) -> Counts {
        let mask = u64::MAX >> (Self::MOST - self.size);
        self.failed = (self.failed << 1 | u64::from(failed)) & mask;
        self.all = self.all.saturating_add(1).min(self.size);
        Counts { failed: self.failed.count_ones(), all: self.all }
    }

    fn is_clean(&self) -> bool {
        self.failed == 0
    }

    fn clear(&mut self) {
        (self.failed, self.all) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let start = Instant::now();
        let mut window = SlidingCounter::new(Duration::from_secs(10));
        let mut at = |s: u64, failed| window.record(failed, start + Duration::from_secs(s));
        assert_eq!(at(0, false), Counts::default(), "nothing has failed yet");
        assert_eq!(at(1, true), Counts { failed: 1, all: 1 });
        assert_eq!(at(5, false), Counts { failed: 1, all: 2 });
        assert_eq!(at(12, true), Counts { failed: 1, all: 2 });
        assert_eq!(at(40, false), Counts { failed: 0, all: 1 });
        assert!(window.is_clean());
    }

    proptest! {
        /// Against a plain list of times: what the counter holds is never more than
        /// the window, nor less than nine tenths of it.
        #[test]
        fn the_counter_holds_its_window_to_a_tenth(
            steps in prop::collection::vec((0u64..400, any::<bool>()), 1..300),
        ) {
            let (start, length) = (Instant::now(), 1_000);
            let mut window = SlidingCounter::new(Duration::from_millis(length));
            let (mut now, mut seen) = (0, Vec::new());
            for (step, failed) in steps {
                now += step;
                if window.is_clean() {
                    seen.clear();
                }
                if failed || !window.is_clean() {
                    seen.push((now, failed));
                }
                let counts = window.record(failed, start + Duration::from_millis(now));
                let within = |most: u64| {
                    let young = seen.iter().filter(move |(at, _)| at + most > now);
                    (young.clone().filter(|(_, failed)| *failed).count() as u32, young.count() as u32)
                };
                let (least, most) = (within(length * 9 / 10), within(length));
                prop_assert!((least.0..=most.0).contains(&counts.failed), "{counts:?} {least:?} {most:?}");
                prop_assert!((least.1..=most.1).contains(&counts.all), "{counts:?} {least:?} {most:?}");
            }
        }

        /// Against a plain list of outcomes.
        #[test]
        fn the_last_outcomes_are_the_last_ones(
            outcomes in prop::collection::vec(any::<bool>(), 0..300),
            size in 1u32..=64,
        ) {
            let (mut window, now) = (LastOutcomes::new(size), Instant::now());
            for end in 1..=outcomes.len() {
                let last = &outcomes[end.saturating_sub(size as usize)..end];
                let failed = last.iter().filter(|failed| **failed).count() as u32;
                let counts = window.record(outcomes[end - 1], now);
                prop_assert_eq!(counts, Counts { failed, all: last.len() as u32 });
                prop_assert_eq!(window.is_clean(), failed == 0);
            }
        }
    }
}
