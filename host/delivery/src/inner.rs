//! A lane's state: what it holds, and whether the next attempt may begin.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Load;
use super::health::{self, Health, Ticket};
use super::known::Known;
use super::meter::Shown;
use super::rate::Bucket;
use super::settings::Settings;
use super::status::Last;
use super::window::{Limits, Window};
use hookwright_model::Delivery;
use hookwright_model::clock::Clock;
use hookwright_store::Condition;

pub(super) struct Inner {
    pub(super) window: Window,
    /// Of the window while the destination is well.
    pub(super) limits: Limits,
    pub(super) settings: Arc<Settings>,
    pub(super) health: Health,
    pub(super) in_flight: usize,
    pub(super) rate: Option<Bucket>,
    /// Since when deliveries are gathered for a batch.
    pub(super) gathering: Option<Instant>,
    /// What was learned of the destination's own limits on batches.
    pub(super) known: Known,
    /// Rate, health or a batch allow the next attempt then.
    pub(super) later: Option<Instant>,
    /// What is remembered over a restart.
    pub(super) condition: Condition,
    /// Until when a person has paused it, by a clock that nobody sets.
    pub(super) paused: Option<Instant>,
    /// Since when it fails, likewise, and how long it did before the start.
    pub(super) failing: Option<(Instant, Duration)>,
    /// That it fails was written down.
    pub(super) failing_is_known: bool,
    /// No longer in the settings.
    pub(super) removed: bool,
    /// For good: the task ends.
    pub(super) ended: bool,
    pub(super) failures: u32,
    /// An attempt went well since the start.
    pub(super) succeeded: bool,
    pub(super) last: Option<Last>,
    /// What the gauges say.
    pub(super) shown: Shown,
}

impl Inner {
    pub(super) fn is_open(&self) -> bool {
        (self.condition.disabled.is_none() && self.paused.is_none())
            && !self.settings.disabled
            && !self.removed
            && !self.ended
    }

    /// What the gauges should say. Of a destination that was removed, nothing.
    pub(super) fn to_show(&self) -> Shown {
        if self.removed {
            return Shown::default();
        }
        let limit = self.health.limit();
        Shown {
            open: !matches!(self.health.state(), health::State::Closed),
            disabled: self.condition.disabled.is_some(),
            limit,
            lowered: limit < self.settings.care.in_flight,
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
            self.gathering = None;
            return None;
        }
        if let Some(later) = self.gathers_until() {
            self.later = Some(later);
            return None;
        }
        if let Err(later) = self.health.admit(self.in_flight) {
            self.later = later;
            return None;
        }
        if let Some(bucket) = &mut self.rate
            && let Err(later) = bucket.take(Instant::now())
        {
            self.later = Some(later);
            return None;
        }
        let load = match &self.settings.batch {
            None => Load::One(self.window.pop()?),
            Some(batch) => {
                let bytes = self.known.bytes(batch);
                Load::Many(self.window.pop_many(batch.events, bytes, &self.known.alone))
            }
        };
        self.in_flight += 1;
        Some((load, Arc::clone(&self.settings), self.health.began()))
    }

    /// Until when deliveries wait for more of them, to leave together.
    fn gathers_until(&mut self) -> Option<Instant> {
        let batch = self.settings.batch.as_ref()?;
        let now = Instant::now();
        if self.window.has_enough(batch.events, self.known.bytes(batch)) {
            // Those that it leaves may begin to wait anew.
            self.gathering = None;
            return None;
        }
        // Once the time is up all go that are there, of whatever source: it
        // begins anew with the next one that finds nothing before it.
        let until = *self.gathering.get_or_insert(now) + batch.wait;
        (until > now).then_some(until)
    }

    /// As if it had never failed.
    pub(super) fn recover(&mut self) {
        self.health.forget();
        self.window.resize(self.limits);
    }

    /// Until when nothing can begin, where the lane is shut for a time.
    pub(super) fn shut_until(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.paused {
            if until > now {
                return Some(until);
            }
            self.paused = None;
            self.condition.paused_until_ms = None;
            self.window.clear();
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
