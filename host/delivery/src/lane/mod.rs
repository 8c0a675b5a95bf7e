//! One destination's lane: its state under a lock, and what attempts, people and the settings do to it.
mod batching;
mod gate;
mod gauges;
mod health;
mod history;
mod known;
mod load;
mod meter;
mod rate;
mod services;
mod settings;
mod signal;
mod state;
mod switch;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::history::Failing;
use self::meter::Meter;
use self::state::LaneState;
use crate::status::{Last, Status};
use hookwright_model::breaker::Change;
use hookwright_model::clock::millis;
use hookwright_model::sliding_counter::Counts;
use hookwright_model::{Name, Outcome, Response};
use hookwright_store::{Condition, StoreError};

pub(crate) use self::gate::Leave;
pub(crate) use self::health::Ticket;
pub(crate) use self::load::Load;
pub(crate) use self::services::{STORE_PAUSE_MS, Services};
pub(crate) use self::settings::Settings;
pub(crate) use self::state::{Action, Watch};
pub(crate) use self::window::{Limits, Offered, Poll};

/// The target of lines that tell what is remembered of a destination: users filter by it.
const CONDITION_LOG: &str = "hookwright_delivery::control";

/// One destination at work: what its task, its attempts and people share. The
/// handle makes one for each destination and changes it with the settings; it is
/// what the store's hand-offs, attempts that end and people act upon.
pub(crate) struct Lane {
    name: Name,
    services: Arc<Services>,
    meter: Meter,
    /// Ends what is in flight.
    cut: CancellationToken,
    /// Tells the lane's task that there is something to see to.
    wake: Notify,
    state: Mutex<LaneState>,
    /// One write of the condition to the store at a time, the latest last.
    writing: tokio::sync::Mutex<()>,
}

impl Lane {
    /// `condition` is what was remembered of it; `limits` are its share of memory.
    pub(crate) fn new(
        name: Name,
        services: Arc<Services>,
        settings: Arc<Settings>,
        condition: Condition,
        limits: Limits,
    ) -> Arc<Self> {
        let meter = Meter::new(&name);
        meter.begin(&*settings.kind);
        let now = (Instant::now(), services.clock.now_ms());
        Arc::new(Self {
            meter,
            cut: services.cut.child_token(),
            wake: Notify::new(),
            state: Mutex::new(LaneState::new(&name, settings, condition, limits, now)),
            writing: tokio::sync::Mutex::default(),
            name,
            services,
        })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Its state, locked: not to be held over anything that waits.
    pub(crate) fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock()
    }

    /// Has the lane's task see to it.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves once there is something to see to.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Resolves once attempts are to end at once.
    pub(crate) async fn cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// A message that left at `at_ms` with the ticket was answered at `now`.
    pub(crate) fn responded(
        self: &Arc<Self>,
        (at_ms, ticket): (u64, Ticket),
        response: &Response,
        now: Instant,
    ) {
        let last = Last { at_ms, outcome: without_excerpt(&response.outcome) };
        let (change, failing) = self.state().responded(ticket, last, response, now);
        if let Some(change) = change {
            self.tell(change);
        }
        match failing {
            Some(Failing::Remember) => self.remember(),
            Some(Failing::TooLong(lasts)) => {
                let hours = lasts.as_secs() / 3_600;
                self.gone(&format!("nothing but failures for {hours} hours"));
            }
            None => {}
        }
    }

    /// What the breaker did, for those who watch.
    fn tell(&self, change: Change) {
        match change {
            Change::Opened { wait, counts: Counts { failed, all } } => {
                let wait_ms = millis(wait);
                tracing::warn!(destination = %self.name, failed, of = all, wait_ms, "the breaker is open: nothing is sent until a probe, deliveries wait");
                self.meter.breaker_opened();
            }
            Change::Closed => {
                tracing::info!(destination = %self.name, "the breaker is closed: the destination is well again");
            }
        }
        self.wake();
    }

    /// The destination gets no more until a person enables it.
    pub(crate) fn gone(self: &Arc<Self>, reason: &str) {
        if self.state().gate().switch().disabled().is_some() {
            return;
        }
        tracing::error!(target: CONDITION_LOG, destination = %self.name, reason, "the destination is disabled until somebody enables it; its deliveries are kept");
        self.disable(reason.to_owned());
        self.remember();
    }

    /// Changes its state and has its task look at it.
    fn change(&self, change: impl FnOnce(&mut LaneState)) {
        change(&mut self.state());
        self.wake();
    }

    /// Takes new settings, for a lane that was removed before too.
    pub(crate) fn configure(&self, settings: Arc<Settings>, limits: Limits) {
        self.meter.begin(&*settings.kind);
        self.change(|state| state.configure(settings, limits));
    }

    /// The destination is no longer in the settings: no more attempts start.
    pub(crate) fn remove(&self) {
        self.change(LaneState::remove);
    }

    /// Whether the settings no longer have it.
    pub(crate) fn is_removed(&self) -> bool {
        self.state().gate().is_removed()
    }

    /// Starts no more attempts and ends the task.
    pub(crate) fn end(&self) {
        self.change(LaneState::end);
    }

    /// Ends a removed lane for good if nothing is in flight.
    pub(crate) fn end_if_idle(&self) -> bool {
        let idle = self.state().end_if_idle();
        self.wake();
        idle
    }

    /// Keeps deliveries waiting until somebody enables the destination.
    pub(crate) fn disable(&self, reason: String) {
        self.change(|state| state.disable(reason));
    }

    /// Opens the lane, whatever closed it but the settings, as if nothing had ever failed.
    pub(crate) fn enable(&self) {
        self.change(LaneState::enable);
    }

    /// Keeps deliveries waiting for so long.
    pub(crate) fn pause(&self, lasts: Duration) {
        let now_ms = self.services.clock.now_ms();
        self.change(|state| state.pause(lasts, Instant::now(), now_ms));
    }

    /// Ends what the lane decided by itself: breaker, pause and a lowered limit.
    pub(crate) fn close_breaker(&self) {
        self.change(LaneState::close_breaker);
    }

    /// Writes to the store what is to be remembered.
    ///
    /// # Errors
    /// The store did not keep it.
    pub(crate) async fn write_down(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().await;
        let condition = self.state().condition();
        self.services.conditions.set_condition(&self.name, &condition).await
    }

    fn remember(self: &Arc<Self>) {
        let lane = Arc::clone(self);
        self.services.tasks.spawn_piece(async move {
            if let Err(error) = lane.write_down().await {
                tracing::error!(target: CONDITION_LOG, destination = %lane.name, %error, "the destination's condition was not written down");
            }
        });
    }

    /// None where it is no longer in the settings.
    pub(crate) fn status(&self) -> Option<Status> {
        let now = (Instant::now(), self.services.clock.now_ms());
        self.state().status(&self.name, now)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.state().settings())
    }
}

fn without_excerpt(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Answered { status, retry_after_s, .. } => Outcome::Answered {
            status: *status,
            retry_after_s: *retry_after_s,
            excerpt: bytes::Bytes::new(),
        },
        other => other.clone(),
    }
}
