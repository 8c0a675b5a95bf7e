//! A token bucket without a lock: the generic cell rate algorithm (ITU-T I.371, annex A).
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::Rate;

/// Counts one source's requests against its rate.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) rate: Rate,
    epoch: Instant,
    pace: Pace,
    /// When the next request would be on pace, in nanoseconds since the epoch.
    next: AtomicU64,
}

/// A rate in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between requests in the long run.
    interval: u64,
    /// How far ahead of that pace a burst may be.
    ahead: u64,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        // The bounds keep a year of requests, and the sums below, within 64 bits.
        let interval = (1e9 / rate.per_s.clamp(1e-6, 1e9)) as u64;
        let interval = interval.max(1);
        let ahead = interval.saturating_mul(u64::from(rate.burst.saturating_sub(1)));
        Self { interval, ahead }
    }

    /// The request after this one would be on pace then, where the present one
    /// would at `next`.
    ///
    /// # Errors
    /// How long until a request may pass.
    pub(super) fn take(self, next: u64, now: u64) -> Result<u64, Duration> {
        let start = next.max(now);
        let early = start - now;
        if early > self.ahead {
            return Err(Duration::from_nanos(early - self.ahead));
        }
        Ok(start.saturating_add(self.interval))
    }
}

/// From the epoch until now.
pub(super) fn nanos(now: Instant, epoch: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX)
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        let next = AtomicU64::new(0);
        Self { rate, epoch: Instant::now(), pace: Pace::new(rate), next }
    }

    /// Whether there is a token, without taking it.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn peek(&self, now: Instant) -> Result<(), Duration> {
        self.pace.take(self.next.load(Relaxed), nanos(now, self.epoch)).map(drop)
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let now = nanos(now, self.epoch);
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
        let bucket = Bucket::new(Rate { per_s: 10.0, burst: 3 });
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
    fn threads_share_one_burst() {
        let bucket = Bucket::new(Rate { per_s: 1e-6, burst: 100 });
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
            let bucket = Bucket::new(Rate { per_s, burst });
            let mut passed = 0u64;
            let mut now = bucket.epoch;
            for gap in gaps {
                now += Duration::from_nanos(gap);
                passed += u64::from(bucket.take(now).is_ok());
            }
            let elapsed = (now - bucket.epoch).as_nanos() as u64;
            let most = u64::from(burst.max(1)) + elapsed / bucket.pace.interval;
            prop_assert!(passed <= most, "{} of {}", passed, most);
        }
    }
}
