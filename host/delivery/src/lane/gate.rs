//! Whether the next attempt may begin: the settings, a person, the destination's health, its rate and its places in flight.
use tokio::time::Instant;

use super::gauges::Shown;
use super::health::{Health, Ticket};
use super::rate::RateLimit;
use super::settings::Settings;
use super::signal::HealthSignal;
use super::switch::Switch;
use crate::status::State;
use hookwright_model::breaker::{self, Change};
use hookwright_model::clock::millis;

/// All that can keep a lane from its next attempt, whatever waits in it. The
/// lane's state asks it before each attempt and tells it of each outcome; it
/// exists so that one place asks everything that has a say, in one order. Pure:
/// the caller brings the time.
pub(super) struct Gate {
    switch: Switch,
    health: Health,
    rate: RateLimit,
    /// Attempts that have begun and hold their permit.
    in_flight: usize,
    /// No longer in the settings; it may come back.
    removed: bool,
    /// For good: the lane's task ends.
    ended: bool,
}

/// What time alone has changed since the gate was asked the last time.
pub(super) struct Passed {
    /// Until when nothing can begin, where it is shut for a time.
    pub(super) shut_until: Option<Instant>,
    /// A person's pause has ended.
    pub(super) pause_ended: bool,
    /// The breaker wants probes.
    pub(super) probes: bool,
}

/// Whether another message may leave within an attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    Now,
    /// The rate allows it then.
    At(Instant),
    /// The breaker opened: the destination as a whole fails.
    BreakerOpen,
    /// It asked for a pause, or somebody switched it off.
    Shut,
}

impl Gate {
    pub(super) fn new(settings: &Settings, switch: Switch) -> Self {
        Self {
            switch,
            health: Health::new(settings.health.clone()),
            rate: RateLimit::new(settings.rate),
            in_flight: 0,
            removed: false,
            ended: false,
        }
    }

    /// Takes new settings in place of those `before`; a destination that was removed is back.
    pub(super) fn configure(&mut self, settings: &Settings, before: &Settings) {
        if before.rate != settings.rate {
            self.rate = RateLimit::new(settings.rate);
        }
        self.health.configure(settings.health.clone());
        self.switch.set_by_settings(settings.disabled);
        self.removed = false;
    }

    pub(super) fn switch(&self) -> &Switch {
        &self.switch
    }

    pub(super) fn switch_mut(&mut self) -> &mut Switch {
        &mut self.switch
    }

    /// The destination is no longer in the settings.
    pub(super) fn remove(&mut self) {
        self.removed = true;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    /// No attempt begins any more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Ends a removed lane if nothing is in flight. True where it has ended, now or before.
    pub(super) fn end_if_idle(&mut self) -> bool {
        self.ended |= self.removed && self.in_flight == 0;
        self.ended
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether deliveries may leave, as far as settings and people have a say.
    pub(super) fn is_open(&self) -> bool {
        self.switch.is_on() && !self.removed && !self.ended
    }

    /// Whether deliveries may wait in memory: not while the breaker is open.
    pub(super) fn takes(&self) -> bool {
        self.is_open() && !self.health.is_open()
    }

    /// Ends pauses and waits whose time is up.
    pub(super) fn poll(&mut self, now: Instant) -> Passed {
        let (paused_until, pause_ended) = self.switch.poll(now);
        if paused_until.is_some() {
            return Passed { shut_until: paused_until, pause_ended, probes: false };
        }
        let was_open = self.health.is_open();
        let shut_until = self.health.open_until(now);
        Passed { shut_until, pause_ended, probes: was_open && shut_until.is_none() }
    }

    /// Whether an attempt may begin, of a lane that is open. Takes a token of the rate for it.
    ///
    /// # Errors
    /// When to ask again at the latest; none where the end of an attempt decides.
    pub(super) fn admit(&mut self) -> Result<(), Option<Instant>> {
        self.health.admit(self.in_flight)?;
        self.rate.paced_until(Instant::now()).map_or(Ok(()), |later| Err(Some(later)))
    }

    /// An attempt that was admitted begins.
    pub(super) fn begin(&mut self) -> Ticket {
        self.in_flight += 1;
        self.health.began()
    }

    /// Whether a further message of an attempt may leave. Takes a token of the rate for it.
    pub(super) fn leave(&self, now: Instant) -> Leave {
        if self.health.is_open() {
            return Leave::BreakerOpen;
        }
        let paused = self.health.paused_until().is_some_and(|until| until > now);
        if paused || !self.is_open() {
            return Leave::Shut;
        }
        self.rate.paced_until(now).map_or(Leave::Now, Leave::At)
    }

    /// A message of the attempt with this ticket was answered.
    pub(super) fn responded(
        &mut self,
        ticket: Ticket,
        signal: HealthSignal,
        now: Instant,
    ) -> Option<Change> {
        self.health.ended(ticket, signal, now)
    }

    /// An attempt ends without an outcome; it still holds its place.
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        self.health.abandoned(ticket);
    }

    /// An attempt gives its place back.
    pub(super) fn free(&mut self) {
        self.in_flight -= 1;
    }

    /// Forgets what the destination was slowed down by.
    pub(super) fn recover(&mut self) {
        self.health.forget();
    }

    /// Whether the destination is left alone for want of credentials.
    pub(super) fn wants_credentials(&self) -> bool {
        self.health.is_locked()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Attempts at once that are allowed now.
    pub(super) fn limit(&self) -> usize {
        self.health.limit()
    }

    /// What the gauges should say. Of a destination that was removed, nothing.
    pub(super) fn shown(&self) -> Shown {
        if self.removed {
            return Shown::default();
        }
        Shown {
            open: !matches!(self.health.state(), breaker::State::Closed),
            disabled: self.switch.disabled().is_some(),
            limit: self.health.limit(),
            lowered: self.health.is_lowered(),
        }
    }

    /// For people: what keeps the destination from its deliveries, and until when,
    /// milliseconds since 1970, where that is known.
    pub(super) fn state(&self, now: Instant, now_ms: u64) -> (State, Option<u64>) {
        let in_ms = |until: Instant| now_ms.saturating_add(millis(until.duration_since(now)));
        if self.switch.reason().is_some() {
            return (State::Disabled, None);
        }
        if let Some(until_ms) = self.switch.pause_shown_ms(now, now_ms) {
            return (State::Paused, Some(until_ms));
        }
        match self.health.state() {
            breaker::State::Open { until } => (State::BreakerOpen, Some(in_ms(until))),
            breaker::State::HalfOpen { .. } => (State::Probing, None),
            breaker::State::Closed => {
                let pause = self.health.paused_until().filter(|until| *until > now);
                let slowed = pause.is_some() || self.health.is_lowered();
                let state = if slowed { State::Slowed } else { State::Running };
                (state, pause.map(in_ms))
            }
        }
    }
}
