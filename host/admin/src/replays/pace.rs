//! How long a bulk replay waits between two steps. Pure: the caller brings the time.
use std::time::Duration;

use tokio::time::Instant;

/// Spreads steps by what has passed since the last one: what a stopped or
/// sleeping machine missed is not made up for.
pub(super) struct Pace {
    /// When the next step would come if all were evenly spread.
    due: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// After a step that ended `now` and looked at so many events: how long to
    /// wait where so many a second may be; none: no limit. One that comes late
    /// by no more than its own share is made up for, so that the rate is kept.
    pub(super) fn after(&mut self, now: Instant, looked: usize, rate: Option<u32>) -> Duration {
        let Some(rate) = rate else { return Duration::ZERO };
        let share = Duration::from_secs_f64(looked as f64 / f64::from(rate.max(1)));
        let earliest = now.checked_sub(share).unwrap_or(now);
        self.due = self.due.max(earliest) + share;
        self.due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    /// Ten a second, and the machine stood still for ten seconds: 49 were sent within 0.2 s.
    #[test]
    fn regression_what_a_stopped_machine_missed_is_not_made_up_for() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..20 {
            let wait = pace.after(now, 1, Some(10));
            assert_eq!(wait, STEP);
            now += wait;
        }
        now += Duration::from_secs(10);
        let stopped = now;
        let mut sent = 0;
        while now < stopped + Duration::from_secs(1) {
            sent += 1;
            now += pace.after(now, 1, Some(10));
        }
        assert!((10..=11).contains(&sent), "{sent}");
    }

    #[test]
    fn a_step_that_comes_a_little_late_does_not_lower_the_rate() {
        let began = Instant::now();
        let (mut now, mut pace) = (began, Pace::new(began));
        for _ in 0..100 {
            now += pace.after(now, 3, Some(30)) + Duration::from_millis(20);
        }
        let took = now - began;
        assert!(took < Duration::from_millis(10_100), "{took:?}");
        assert_eq!(pace.after(now, 64, None), Duration::ZERO);
    }
}
