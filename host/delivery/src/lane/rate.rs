//! How fast a destination is sent to: at most so many attempts in so long.
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::Rate;
use hookwright_model::token_bucket::{Pace, TokenBucket};

/// Timers wake to the millisecond, so attempts that a pause of this length held
/// up may leave together.
const SLACK: Duration = Duration::from_millis(10);
/// The longest time between two attempts: a rarer rate would be a stop.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The rate that the settings allow a destination. The gate asks it before each
/// attempt, and before each further message of a batch. Health is apart: that is
/// the destination's say.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// None: as fast as attempts in flight allow.
    bucket: Option<TokenBucket>,
}

impl RateLimit {
    /// What was sent under another one counts no more.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { bucket: rate.map(|rate| TokenBucket::new(pace(rate))) }
    }

    /// Takes a token for one message; when to ask again, where there is none.
    pub(super) fn paced_until(&self, now: Instant) -> Option<Instant> {
        self.bucket.as_ref()?.take(now).err().map(|wait| now + wait)
    }
}

/// The pace of attempts at a rate: `50/s` is 50 in 1 s, spread evenly and not sent in
/// bursts. No stretch of time sees more than its part of the rate, and 10 ms' worth.
fn pace(rate: Rate) -> Pace {
    let interval = (rate.per / rate.count.get()).min(LONGEST);
    Pace::spaced(interval, SLACK.saturating_sub(interval))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn bucket(count: u32, per: Duration) -> TokenBucket {
        let count = NonZeroU32::new(count).expect("at least 1");
        TokenBucket::new(pace(Rate { count, per }))
    }

    proptest! {
        #[test]
        fn a_second_sees_its_share_and_no_more(count in 1u32..5_000, steps in prop::collection::vec(0u64..30, 1..400)) {
            let bucket = bucket(count, Duration::from_secs(1));
            let mut now = Instant::now();
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
        fn who_asks_again_when_told_is_served(count in 1u32..5_000, tries in 1usize..200) {
            let bucket = bucket(count, Duration::from_secs(1));
            let mut now = Instant::now();
            for _ in 0..tries {
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(!wait.is_zero());
                    now += wait;
                    prop_assert!(bucket.take(now).is_ok());
                }
            }
        }
    }
}
