//! What a destination's attempts came to since its last success: how long it has failed, and what follows from that.
use std::time::Duration;

use tokio::time::Instant;

use crate::status::Last;

/// A failure that is over sooner is not written down.
const WORTH_WRITING: Duration = Duration::from_secs(60);
/// Fewer failures in a row since the start disable nothing, however long ago the first
/// one was: the host may have been down in between.
const FEWEST_FAILURES: u32 = 10;
/// Of `disable_after`, what a failure from before the start counts for at the
/// most: the clock may have been set, and the host may have been down.
const BEFORE: f64 = 0.8;

/// What follows from how long a destination has failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// What is remembered of it has changed.
    Remember,
    /// It has failed for too long.
    TooLong(Duration),
}

/// What a destination's attempts came to since its last success. The lane's state
/// tells it of each attempt, and it says when a lasting failure is to be written
/// down or disables the destination. Pure.
#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<Last>,
    /// Failed attempts since the last success, from the start on.
    failures: u32,
    /// An attempt went well since the start.
    succeeded: bool,
    /// None: the last attempt that counts went well.
    failing: Option<Streak>,
    /// The store was told that it fails.
    is_written: bool,
}

/// Failures without a success in between.
#[derive(Debug, Clone, Copy)]
struct Streak {
    /// The first of them, milliseconds since 1970.
    since_ms: u64,
    /// The first of them since the start, by a clock that nobody sets.
    since: Instant,
    /// How long it had lasted at the start.
    before: Duration,
}

impl Streak {
    /// At most so much from before the start is counted.
    fn lasts(self, most_before: Duration, now: Instant) -> Duration {
        now.duration_since(self.since) + self.before.min(most_before)
    }
}

impl History {
    /// With what was written down before the start: since when it fails, milliseconds since 1970.
    pub(super) fn restore(failing_since_ms: Option<u64>, now: Instant, now_ms: u64) -> Self {
        let failing = failing_since_ms.map(|since_ms| {
            let before = Duration::from_millis(now_ms.saturating_sub(since_ms));
            Streak { since_ms, since: now, before }
        });
        Self { failing, is_written: failing.is_some(), ..Self::default() }
    }

    /// An attempt ended. One that does not `count` leaves the failures as they are.
    pub(super) fn note(&mut self, last: Last, success: bool, counts: bool) {
        if success {
            self.failures = 0;
        } else if counts {
            self.failures = self.failures.saturating_add(1);
        }
        self.succeeded |= success;
        self.last = Some(last);
    }

    /// What follows from an attempt that counts. It began at `at_ms`; `disable_after`
    /// is none where a lasting failure disables nothing.
    pub(super) fn judge(
        &mut self,
        success: bool,
        (at_ms, now): (u64, Instant),
        disable_after: Option<Duration>,
    ) -> Option<Failing> {
        if success {
            self.failing = None;
            return std::mem::take(&mut self.is_written).then_some(Failing::Remember);
        }
        let fresh = Streak { since_ms: at_ms, since: now, before: Duration::ZERO };
        let streak = *self.failing.get_or_insert(fresh);
        if let Some(most) = disable_after.filter(|_| self.failures >= FEWEST_FAILURES) {
            let lasts = streak.lasts(most.mul_f64(BEFORE), now);
            if lasts >= most {
                return Some(Failing::TooLong(lasts));
            }
        }
        if streak.lasts(WORTH_WRITING, now) >= WORTH_WRITING && !self.is_written {
            self.is_written = true;
            return Some(Failing::Remember);
        }
        None
    }

    /// A person knows that it is well again.
    pub(super) fn forgive(&mut self) {
        (self.failing, self.is_written) = (None, false);
    }

    /// The store is being told. Answers since when it fails, milliseconds since 1970.
    pub(super) fn write_down(&mut self) -> Option<u64> {
        self.is_written = self.failing.is_some();
        self.failing_since_ms()
    }

    /// The first failure since the last success, milliseconds since 1970.
    pub(super) fn failing_since_ms(&self) -> Option<u64> {
        self.failing.map(|streak| streak.since_ms)
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn succeeded(&self) -> bool {
        self.succeeded
    }

    pub(super) fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }
}
