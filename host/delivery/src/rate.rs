//! At most so many attempts in so long.
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::Rate;

/// Timers wake to the millisecond; what a pause of this length held up may
/// leave together.
const SLACK: Duration = Duration::from_millis(10);
/// Rarer than this is not kept up: it would be no rate but a stop.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Meters attempts (the generic cell rate algorithm, ITU-T I.371): no stretch
/// of time sees more than its share and 10 ms' worth.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: Duration,
    /// When the next one would be due if all were evenly spread.
    due: Instant,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { interval: (rate.per / rate.count.get()).min(LONGEST), due: now }
    }

    /// Takes leave for one attempt, or says when to ask again.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let slack = SLACK.saturating_sub(self.interval);
        if self.due > now + slack {
            return Err(self.due.checked_sub(slack).unwrap_or(self.due));
        }
        self.due = self.due.max(now) + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use proptest::prelude::*;

    fn rate(count: u32, per: Duration) -> Rate {
        Rate { count: NonZeroU32::new(count).expect("at least 1"), per }
    }

    proptest! {
        #[test]
        fn a_second_sees_its_share_and_no_more(count in 1u32..5_000, steps in prop::collection::vec(0u64..30, 1..400)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate(count, Duration::from_secs(1)), start);
            let mut now = start;
            let mut sent = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                while bucket.take(now).is_ok() {
                    sent.push(now);
                }
            }
            let most = count as usize + 2 + count as usize / 50;
            // However the second is placed: the one that is `most` later comes after it.
            for (first, beyond) in sent.iter().zip(sent.iter().skip(most)) {
                prop_assert!(*beyond >= *first + Duration::from_secs(1));
            }
        }

        #[test]
        fn whoever_asks_when_told_is_served(count in 1u32..5_000, tries in 1usize..200) {
            let mut now = Instant::now();
            let mut bucket = Bucket::new(rate(count, Duration::from_secs(1)), now);
            for _ in 0..tries {
                if let Err(later) = bucket.take(now) {
                    prop_assert!(later > now);
                    now = later;
                    prop_assert!(bucket.take(now).is_ok());
                }
            }
        }
    }
}
