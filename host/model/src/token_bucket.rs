//! Token buckets by the generic cell rate algorithm (ITU-T I.371, annex A): at most so many in so long.
//!
//! Intake counts requests with them, delivery spaces attempts. Pure: the caller
//! brings the time.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// A rate and the burst that it allows, in nanoseconds. A table of many buckets
/// holds one `Pace`, and a number of 8 bytes for each bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two tokens in the long run.
    interval: u64,
    /// How far ahead of the long run a burst may be.
    tolerance: u64,
}

impl Pace {
    /// So many tokens a second in the long run, clamped to 1e-6 to 1e9, and
    /// `burst` of them at once after a pause, at least 1.
    pub fn per_second(rate: f64, burst: u32) -> Self {
        // The bounds keep a year of tokens, and the sums below, within 64 bits.
        let interval = (1e9 / rate.clamp(1e-6, 1e9)) as u64;
        let interval = interval.max(1);
        let tolerance = interval.saturating_mul(u64::from(burst.saturating_sub(1)));
        Self { interval, tolerance }
    }

    /// One token for each `interval`, at least 1 ns. One that comes up to
    /// `tolerance` before its time is given all the same.
    pub fn spaced(interval: Duration, tolerance: Duration) -> Self {
        Self { interval: nanos(interval).max(1), tolerance: nanos(tolerance) }
    }

    /// Takes a token at `now` from a bucket whose next token is due at `next`,
    /// both in nanoseconds since the same moment. Answers the bucket's new `next`.
    /// A full bucket has any `next` that is not after `now`, such as 0.
    ///
    /// # Errors
    /// How long until there is a token.
    pub fn take(self, next: u64, now: u64) -> Result<u64, Duration> {
        let start = next.max(now);
        let early = start - now;
        if early > self.tolerance {
            return Err(Duration::from_nanos(early - self.tolerance));
        }
        Ok(start.saturating_add(self.interval))
    }
}

/// Nanoseconds from `epoch` to `now`, as [`Pace::take`] counts them; 0 where
/// `now` is earlier.
pub fn nanos_since(epoch: Instant, now: Instant) -> u64 {
    nanos(now.saturating_duration_since(epoch))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One bucket that threads share without a lock. Full at first.
#[derive(Debug)]
pub struct TokenBucket {
    pace: Pace,
    epoch: Instant,
    /// When the next token is due, in nanoseconds since the epoch.
    next: AtomicU64,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(pace: Pace) -> Self {
        Self { pace, epoch: Instant::now(), next: AtomicU64::new(0) }
    }

    /// What it was made with: a reload keeps the bucket of a rate that did not change.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether there is a token, without taking it.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn peek(&self, now: Instant) -> Result<(), Duration> {
        self.pace.take(self.next.load(Relaxed), nanos_since(self.epoch, now)).map(drop)
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let now = nanos_since(self.epoch, now);
        let mut next = self.next.load(Relaxed);
        loop {
            let after = self.pace.take(next, now)?;
            match self.next.compare_exchange_weak(next, after, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => next = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_then_the_pace_holds() {
        let bucket = TokenBucket::new(Pace::per_second(10.0, 3));
        let start = bucket.epoch;
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(start + Duration::from_millis(100)), Ok(()));
        assert!(bucket.take(start + Duration::from_millis(150)).is_err());
        // A long pause refills the burst and no more.
        let later = start + Duration::from_secs(3_600);
        let passed = (0..10).filter(|_| bucket.take(later).is_ok()).count();
        assert_eq!(passed, 3);
    }

    #[test]
    fn to_peek_takes_nothing() {
        let bucket = TokenBucket::new(Pace::per_second(10.0, 1));
        let start = bucket.epoch;
        assert_eq!((bucket.peek(start), bucket.peek(start)), (Ok(()), Ok(())));
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.peek(start), Err(Duration::from_millis(100)));
    }

    #[test]
    fn threads_share_one_burst() {
        let bucket = TokenBucket::new(Pace::per_second(1e-6, 100));
        let now = bucket.epoch;
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| bucket.take(now).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 100);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_pace(
            per_s in prop_oneof![0.1f64..1e6, any::<f64>()],
            burst in 0u32..50,
            gaps in prop::collection::vec(0u64..100_000_000, 1..100),
        ) {
            let bucket = TokenBucket::new(Pace::per_second(per_s, burst));
            let mut passed = 0u64;
            let mut now = bucket.epoch;
            for gap in gaps {
                now += Duration::from_nanos(gap);
                passed += u64::from(bucket.take(now).is_ok());
            }
            let elapsed = nanos_since(bucket.epoch, now);
            let most = u64::from(burst.max(1)) + elapsed / bucket.pace.interval;
            prop_assert!(passed <= most, "{} of {}", passed, most);
        }

        #[test]
        fn who_asks_again_when_told_gets_a_token(
            interval in 1u64..1_000_000_000,
            tolerance in 0u64..1_000_000_000,
            tries in 1usize..200,
        ) {
            let pace = Pace::spaced(Duration::from_nanos(interval), Duration::from_nanos(tolerance));
            let bucket = TokenBucket::new(pace);
            let mut now = bucket.epoch;
            for _ in 0..tries {
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(!wait.is_zero());
                    now += wait;
                    prop_assert_eq!(bucket.take(now), Ok(()));
                }
            }
        }
    }
}
