//! What opens and closes a lane for longer than a breaker does: persons, a 410, and a failure that lasts.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::inner::Inner;
use super::lane::Lane;
use hookwright_model::clock::millis;
use hookwright_store::StoreError;

/// A failure that is over sooner is not written down.
const WORTH_WRITING: Duration = Duration::from_secs(60);
/// So few in a row since the start disable nothing, however long ago the first
/// failure was: the host may have been down in between.
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

impl Inner {
    /// An attempt that began at `at_ms` went well, or did not. How long that
    /// lasts is told by a clock that nobody sets.
    pub(super) fn note_failing(&mut self, well: bool, at_ms: u64, now: Instant) -> Option<Failing> {
        if well {
            self.condition.failing_since_ms = None;
            self.failing = None;
            return std::mem::take(&mut self.failing_is_known).then_some(Failing::Remember);
        }
        self.condition.failing_since_ms.get_or_insert(at_ms);
        let (since, before) = *self.failing.get_or_insert((now, Duration::ZERO));
        let lasts = |most: Duration| now.duration_since(since) + before.min(most);
        let may_disable = self.failures >= FEWEST_FAILURES && self.condition.disabled.is_none();
        match self.settings.disable_after {
            Some(most) if may_disable && lasts(most.mul_f64(BEFORE)) >= most => {
                Some(Failing::TooLong(lasts(most.mul_f64(BEFORE))))
            }
            _ if lasts(WORTH_WRITING) >= WORTH_WRITING && !self.failing_is_known => {
                self.failing_is_known = true;
                Some(Failing::Remember)
            }
            _ => None,
        }
    }
}

impl Lane {
    pub(super) fn follow(self: &Arc<Self>, failing: Failing) {
        match failing {
            Failing::Remember => self.remember(),
            Failing::TooLong(lasts) => {
                let hours = lasts.as_secs() / 3_600;
                self.gone(&format!("nothing but failures for {hours} hours"));
            }
        }
    }

    /// The destination gets no more until a person enables it.
    pub(super) fn gone(self: &Arc<Self>, reason: &str) {
        if self.inner.lock().condition.disabled.is_some() {
            return;
        }
        tracing::error!(destination = %self.name, reason, "the destination is disabled until somebody enables it; its deliveries are kept");
        self.disable(reason.to_owned());
        self.remember();
    }

    pub(super) fn disable(&self, reason: String) {
        self.change(|inner| inner.condition.disabled = Some(reason));
    }

    /// Opens the lane, whatever closed it but the settings, as if nothing had ever failed.
    pub(super) fn enable(&self) {
        self.change(|inner| {
            inner.condition = Default::default();
            (inner.paused, inner.failing) = (None, None);
            inner.failing_is_known = false;
            inner.recover();
        });
    }

    /// Keeps deliveries waiting for so long.
    pub(super) fn pause(&self, lasts: Duration) {
        let until_ms = self.shared.clock.now_ms().saturating_add(millis(lasts));
        self.change(|inner| {
            inner.condition.paused_until_ms = Some(until_ms);
            inner.paused = Some(Instant::now() + lasts);
        });
    }

    /// Ends what the lane decided by itself: breaker, pause and a lowered limit.
    pub(super) fn close_breaker(&self) {
        self.change(Inner::recover);
    }

    /// Writes to the store what is to be remembered.
    pub(super) async fn write_down(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().await;
        let condition = {
            let mut inner = self.inner.lock();
            inner.failing_is_known = inner.condition.failing_since_ms.is_some();
            inner.condition.clone()
        };
        self.shared.conditions.set_condition(&self.name, &condition).await
    }

    fn remember(self: &Arc<Self>) {
        let lane = Arc::clone(self);
        self.shared.tasks.spawn_piece(async move {
            if let Err(error) = lane.write_down().await {
                tracing::error!(destination = %lane.name, %error, "the destination's condition was not written down");
            }
        });
    }
}
