//! A lane's state: what it holds, and whether the next attempt may begin.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Load;
use super::health::{Health, Ticket};
use super::history::History;
use super::known::Known;
use super::meter::Shown;
use super::pacing::Pacing;
use super::settings::Settings;
use super::switch::Switch;
use super::window::{Limits, Window};
use hookwright_model::Delivery;
use hookwright_model::breaker::State;
use hookwright_model::clock::Clock;
use hookwright_store::Condition;

/// What a lane's lock holds. Each part has its own file and decides by itself; this
/// one asks them in turn.
pub(super) struct Inner {
    pub(super) window: Window,
    /// Of the window while the destination is well.
    pub(super) limits: Limits,
    pub(super) settings: Arc<Settings>,
    pub(super) health: Health,
    pub(super) in_flight: usize,
    pub(super) pacing: Pacing,
    /// What was learned of the destination's own limits on batches.
    pub(super) known: Known,
    /// Rate, health or a batch allow the next attempt then.
    later: Option<Instant>,
    pub(super) switch: Switch,
    pub(super) history: History,
    /// No longer in the settings.
    pub(super) removed: bool,
    /// For good: the task ends.
    pub(super) ended: bool,
    /// What the gauges say.
    shown: Shown,
}

impl Inner {
    /// `limits` are the window's; `condition` was written down before.
    pub(super) fn new(
        settings: Arc<Settings>,
        condition: Condition,
        limits: Limits,
        (now, now_ms): (Instant, u64),
    ) -> Self {
        let Condition { disabled, paused_until_ms, failing_since_ms } = condition;
        Self {
            window: Window::new(limits),
            limits,
            health: Health::new(settings.health.clone()),
            in_flight: 0,
            pacing: Pacing::new(settings.rate),
            known: Known::default(),
            later: None,
            switch: Switch::restore(disabled, paused_until_ms, (now, now_ms)),
            history: History::restore(failing_since_ms, now, now_ms),
            removed: false,
            ended: false,
            shown: Shown::default(),
            settings,
        }
    }

    /// When time alone allows the next attempt, where it does.
    pub(super) fn later(&self) -> Option<Instant> {
        self.later
    }

    /// What is to be remembered over a restart, about to be written down.
    pub(super) fn condition(&mut self) -> Condition {
        Condition {
            disabled: self.switch.disabled().map(str::to_owned),
            paused_until_ms: self.switch.paused_until_ms(),
            failing_since_ms: self.history.write_down(),
        }
    }

    /// What the gauges should say, where that is not what they say.
    pub(super) fn news(&mut self) -> Option<Shown> {
        let shown = self.to_show();
        let before = std::mem::replace(&mut self.shown, shown);
        (shown != before).then_some(shown)
    }

    pub(super) fn is_open(&self) -> bool {
        self.switch.is_on() && !self.settings.disabled && !self.removed && !self.ended
    }

    /// What the gauges should say. Of a destination that was removed, nothing.
    fn to_show(&self) -> Shown {
        if self.removed {
            return Shown::default();
        }
        Shown {
            open: !matches!(self.health.state(), State::Closed),
            disabled: self.switch.disabled().is_some(),
            limit: self.health.limit(),
            lowered: self.health.is_lowered(),
        }
    }

    /// Whether deliveries may wait in memory: not while the breaker is open.
    pub(super) fn takes(&self) -> bool {
        self.is_open() && !self.health.is_open()
    }

    /// What waits and is too old for an attempt to begin, with the cause. Those
    /// that a person replays have no age.
    pub(super) fn too_old(&mut self, clock: &Clock) -> Vec<(Delivery, String)> {
        let policy = &self.settings.policy;
        if policy.max_age.is_none() || !self.is_open() {
            return Vec::new();
        }
        let sure_ms = clock.sure_ms();
        let cause = |delivery: &Delivery| {
            let age = sure_ms.saturating_sub(delivery.event.received_ms());
            delivery.has_age().then(|| policy.too_old(Duration::from_millis(age))).flatten()
        };
        let all = self.settings.batch.is_some();
        let over = self.window.take_out(all, |delivery| cause(delivery).is_some());
        let told = over.into_iter().map(|delivery| {
            let cause = cause(&delivery).unwrap_or_default();
            (delivery, cause)
        });
        told.collect()
    }

    /// What is to be sent next, where limits, health and state allow it.
    pub(super) fn next(&mut self) -> Option<(Load, Arc<Settings>, Ticket)> {
        self.later = None;
        if self.window.len() == 0 || !self.is_open() {
            self.pacing.stop_gathering();
            return None;
        }
        if let Some(later) = self.gathers_until(Instant::now()) {
            self.later = Some(later);
            return None;
        }
        if let Err(later) = self.health.admit(self.in_flight) {
            self.later = later;
            return None;
        }
        if let Some(later) = self.pacing.paced_until(Instant::now()) {
            self.later = Some(later);
            return None;
        }
        let load = match &self.settings.batch {
            None => Load::One(self.window.pop()?),
            Some(batch) => {
                let bytes = self.known.bytes(batch);
                Load::Many(self.window.pop_many(batch.events, bytes, self.known.alone()))
            }
        };
        self.in_flight += 1;
        Some((load, Arc::clone(&self.settings), self.health.began()))
    }

    /// Until when deliveries wait for more of them, to leave together.
    fn gathers_until(&mut self, now: Instant) -> Option<Instant> {
        let batch = self.settings.batch.as_ref()?;
        let bytes = self.known.bytes(batch);
        self.pacing.gathers_until(batch, bytes, &self.window, now)
    }

    /// As if it had never failed.
    pub(super) fn recover(&mut self) {
        self.health.forget();
        self.window.resize(self.limits);
    }

    /// Until when nothing can begin, where the lane is shut for a time.
    pub(super) fn shut_until(&mut self, now: Instant) -> Option<Instant> {
        match self.switch.poll(now) {
            (Some(until), _) => return Some(until),
            (None, true) => self.window.clear(),
            (None, false) => {}
        }
        let was_open = self.health.is_open();
        let until = self.health.open_until(now);
        if was_open && until.is_none() {
            // A few rows are enough for probes.
            self.window.resize(Limits::FEW);
        }
        until
    }
}
