//! What keeps a lane closed for longer than a breaker does: it is disabled, or a person has paused it.
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::clock::millis;

/// Of the pauses that a person asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The gate asks it before each attempt; the settings, a person, a 410 and a lasting failure turn it. Pure.
#[derive(Debug, Default)]
pub(super) struct Switch {
    /// The settings disable it: only they enable it again.
    by_settings: bool,
    /// Why it is disabled, by a person or by itself.
    disabled: Option<String>,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    /// By a clock that nobody sets.
    until: Instant,
    /// As it was told, milliseconds since 1970.
    until_ms: u64,
}

impl Switch {
    /// With what was written down before the start; `by_settings` says whether the settings disable it.
    pub(super) fn restore(
        by_settings: bool,
        disabled: Option<String>,
        paused_until_ms: Option<u64>,
        (now, now_ms): (Instant, u64),
    ) -> Self {
        let pause = paused_until_ms.map(|until_ms| {
            // One that ends later was begun while the clock was ahead.
            let rest = Duration::from_millis(until_ms.saturating_sub(now_ms)).min(LONGEST_PAUSE);
            Pause { until: now + rest, until_ms }
        });
        Self { by_settings, disabled, pause }
    }

    /// Whether deliveries may leave.
    pub(super) fn is_on(&self) -> bool {
        !self.by_settings && self.disabled.is_none() && self.pause.is_none()
    }

    pub(super) fn set_by_settings(&mut self, disabled: bool) {
        self.by_settings = disabled;
    }

    /// Why nothing leaves, whoever disabled it.
    pub(super) fn reason(&self) -> Option<&str> {
        let by_settings = self.by_settings.then_some("disabled in the settings");
        by_settings.or(self.disabled())
    }

    /// Why it is disabled, where that is not by the settings.
    pub(super) fn disabled(&self) -> Option<&str> {
        self.disabled.as_deref()
    }

    pub(super) fn disable(&mut self, reason: String) {
        self.disabled = Some(reason);
    }

    /// Ends what a person or the lane itself has turned off.
    pub(super) fn enable(&mut self) {
        (self.disabled, self.pause) = (None, None);
    }

    pub(super) fn pause(&mut self, lasts: Duration, now: Instant, now_ms: u64) {
        let until_ms = now_ms.saturating_add(millis(lasts));
        self.pause = Some(Pause { until: now + lasts, until_ms });
    }

    /// Until when it is paused, if it still is at `now`. True beside it where the
    /// pause has just ended.
    pub(super) fn poll(&mut self, now: Instant) -> (Option<Instant>, bool) {
        match self.pause {
            Some(pause) if pause.until > now => (Some(pause.until), false),
            Some(_) => {
                self.pause = None;
                (None, true)
            }
            None => (None, false),
        }
    }

    /// When the pause ends, as it was told, milliseconds since 1970.
    pub(super) fn paused_until_ms(&self) -> Option<u64> {
        self.pause.map(|pause| pause.until_ms)
    }

    /// The same for people: by the clock as it is now, where that was set since.
    pub(super) fn pause_shown_ms(&self, now: Instant, now_ms: u64) -> Option<u64> {
        let pause = self.pause?;
        let until_ms = now_ms.saturating_add(millis(pause.until.duration_since(now)));
        let is_as_told = pause.until_ms.abs_diff(until_ms) < 1_000;
        Some(if is_as_told { pause.until_ms } else { until_ms })
    }
}
