//! How a destination is doing, as the admin part shows it.
use tokio::time::Instant;

use super::inner::Inner;
use hookwright_model::breaker;
use hookwright_model::clock::millis;
use hookwright_model::{Name, Outcome};

/// Whether a destination gets its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Deliveries leave as they become due.
    Running,
    /// It has too much to do: it gets less at once, or nothing for a moment.
    Slowed,
    /// It fails: deliveries are kept waiting for a while.
    BreakerOpen,
    /// One delivery at a time finds out whether it is well again.
    Probing,
    /// By a person, for a time.
    Paused,
    /// Deliveries are kept waiting.
    Disabled,
}

impl State {
    /// As the API and the console write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Slowed => "slowed",
            Self::BreakerOpen => "breaker-open",
            Self::Probing => "probing",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// A destination's health.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its name in the settings.
    pub destination: Name,
    /// What keeps it from its deliveries, where something does.
    pub state: State,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// Until when nothing is sent, milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts at once that are allowed now.
    pub limit: usize,
    /// Deliveries that are due and in memory; the store knows the backlog.
    pub window: usize,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Whether any attempt went well since the start: before, `failures` does
    /// not tell that the destination is well again.
    pub succeeded: bool,
    /// The first of them, or of those before a restart, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    /// None before the first attempt since the start.
    pub last: Option<Last>,
}

/// The attempt that ended last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its start, milliseconds since 1970.
    pub at_ms: u64,
    /// Its excerpt is left out.
    pub outcome: Outcome,
}

impl Status {
    /// None where the destination is no longer in the settings.
    pub(super) fn of(name: &Name, inner: &Inner, (now, now_ms): (Instant, u64)) -> Option<Self> {
        if inner.removed {
            return None;
        }
        let by_settings = inner.settings.disabled.then_some("disabled in the settings");
        let reason = by_settings.or(inner.switch.disabled()).map(str::to_owned);
        let (state, until_ms) = match reason {
            Some(_) => (State::Disabled, None),
            None => state(inner, now, now_ms),
        };
        Some(Self {
            destination: name.clone(),
            state,
            reason,
            until_ms,
            in_flight: inner.in_flight,
            limit: inner.health.limit(),
            window: inner.window.len(),
            failures: inner.history.failures(),
            succeeded: inner.history.succeeded(),
            failing_since_ms: inner.history.failing_since_ms(),
            last: inner.history.last().cloned(),
        })
    }
}

fn state(inner: &Inner, now: Instant, now_ms: u64) -> (State, Option<u64>) {
    let in_ms = |until: Instant| now_ms.saturating_add(millis(until.duration_since(now)));
    if let Some(until_ms) = inner.switch.pause_shown_ms(now, now_ms) {
        return (State::Paused, Some(until_ms));
    }
    match inner.health.state() {
        breaker::State::Open { until } => (State::BreakerOpen, Some(in_ms(until))),
        breaker::State::HalfOpen { .. } => (State::Probing, None),
        breaker::State::Closed => {
            let pause = inner.health.paused_until().filter(|until| *until > now);
            let slowed = pause.is_some() || inner.health.is_lowered();
            let state = if slowed { State::Slowed } else { State::Running };
            (state, pause.map(in_ms))
        }
    }
}
