//! What persons and lasting failures do to a lane: disable, enable, pause, and write that down.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::history::Failing;
use super::inner::Inner;
use super::lane::Lane;
use hookwright_store::StoreError;

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
        if self.inner.lock().switch.disabled().is_some() {
            return;
        }
        tracing::error!(destination = %self.name, reason, "the destination is disabled until somebody enables it; its deliveries are kept");
        self.disable(reason.to_owned());
        self.remember();
    }

    pub(super) fn disable(&self, reason: String) {
        self.change(|inner| inner.switch.disable(reason));
    }

    /// Opens the lane, whatever closed it but the settings, as if nothing had ever failed.
    pub(super) fn enable(&self) {
        self.change(|inner| {
            inner.switch = Default::default();
            inner.history.forgive();
            inner.recover();
        });
    }

    /// Keeps deliveries waiting for so long.
    pub(super) fn pause(&self, lasts: Duration) {
        let now_ms = self.shared.clock.now_ms();
        self.change(|inner| inner.switch.pause(lasts, Instant::now(), now_ms));
    }

    /// Ends what the lane decided by itself: breaker, pause and a lowered limit.
    pub(super) fn close_breaker(&self) {
        self.change(Inner::recover);
    }

    /// Writes to the store what is to be remembered.
    pub(super) async fn write_down(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().await;
        let condition = self.inner.lock().condition();
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
