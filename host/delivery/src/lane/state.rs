//! A lane's state: what it holds, and what is to be done next.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batching::Batching;
use super::gate::{Gate, Leave};
use super::gauges::Gauges;
use super::health::Ticket;
use super::history::{Failing, History};
use super::load::Load;
use super::settings::Settings;
use super::signal::HealthSignal;
use super::switch::Switch;
use super::window::{Limits, Offered, Poll, Rein, SWEEP_MS, Window};
use crate::status::{Last, Status};
use hookwright_model::breaker::Change;
use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, EventId, Name, Response};
use hookwright_store::{Condition, DuePage};

/// What a lane's lock holds. Its parts decide by themselves and know nothing of
/// one another; here stands what one of them means for the others: a breaker
/// that opens empties the window, a change of any kind is shown by the gauges.
/// Used under the lane's lock, shortly, from any thread.
pub(crate) struct LaneState {
    settings: Arc<Settings>,
    /// What is due and in memory.
    window: Window,
    /// Whether the next attempt may begin.
    gate: Gate,
    /// What leaves together.
    batching: Batching,
    /// What attempts came to.
    history: History,
    gauges: Gauges,
    /// When time alone allows the next attempt, as [`next`](Self::next) found last.
    later: Option<Instant>,
}

/// What a lane is to do next.
pub(crate) enum Action {
    /// Make an attempt.
    Begin(Load, Arc<Settings>, Ticket),
    /// End these without an attempt, for the cause beside each.
    GiveUp(Vec<(Delivery, String)>),
    /// Nothing may begin, or there is nothing. With a time: then, if nothing happens before.
    Wait(Option<Instant>),
}

/// What a lane's task is to do next.
pub(crate) struct Watch {
    /// Come back then at the latest.
    pub(crate) until: Instant,
    /// Poll the rows. Waits of more than so long are none that the policy has made.
    pub(crate) poll: Option<(Poll, Duration)>,
}

impl LaneState {
    /// `limits` are the window's; `condition` was written down before.
    pub(super) fn new(
        name: &Name,
        settings: Arc<Settings>,
        condition: Condition,
        limits: Limits,
        (now, now_ms): (Instant, u64),
    ) -> Self {
        let Condition { disabled, paused_until_ms, failing_since_ms } = condition;
        let by_settings = settings.disabled;
        let switch = Switch::restore(by_settings, disabled, paused_until_ms, (now, now_ms));
        let mut state = Self {
            window: Window::new(limits),
            gate: Gate::new(&settings, switch),
            batching: Batching::default(),
            history: History::restore(failing_since_ms, now, now_ms),
            gauges: Gauges::new(name),
            later: None,
            settings,
        };
        state.show();
        state
    }

    fn show(&mut self) {
        self.gauges.show(self.gate.shown());
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What leaves together, for an attempt that sends it.
    pub(crate) fn batching(&mut self) -> &mut Batching {
        &mut self.batching
    }

    /// Takes a delivery that was handed on. None where nothing may wait in memory:
    /// the row keeps it, and opening polls the rows.
    pub(crate) fn offer(&mut self, delivery: Delivery, now_ms: u64) -> Option<Offered> {
        self.gate.takes().then(|| self.window.offer(delivery, now_ms))
    }

    /// What is to be done next, where limits, health and state allow it.
    pub(crate) fn next(&mut self, clock: &Clock) -> Action {
        let over = self.too_old(clock);
        if !over.is_empty() {
            return Action::GiveUp(over);
        }
        match self.begin() {
            Ok((load, ticket)) => {
                self.later = None;
                Action::Begin(load, Arc::clone(&self.settings), ticket)
            }
            Err(later) => {
                self.later = later;
                Action::Wait(later)
            }
        }
    }

    /// What waits and is too old for an attempt to begin, with the cause. Those
    /// that a person replays have no age.
    fn too_old(&mut self, clock: &Clock) -> Vec<(Delivery, String)> {
        let policy = &self.settings.policy;
        if policy.max_age.is_none() || !self.gate.is_open() {
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

    /// What is to be sent next.
    ///
    /// # Errors
    /// Nothing is; then, where time alone allows it.
    fn begin(&mut self) -> Result<(Load, Ticket), Option<Instant>> {
        if self.window.len() == 0 || !self.gate.is_open() {
            self.batching.stop_gathering();
            return Err(None);
        }
        let batch = self.settings.batch.as_ref();
        if let Some(batch) = batch
            && let Some(later) = self.batching.gathers_until(batch, &self.window, Instant::now())
        {
            return Err(Some(later));
        }
        self.gate.admit()?;
        let load = match batch {
            None => Load::One(self.window.pop().ok_or(None)?),
            Some(batch) => Load::Many(self.batching.take(batch, &mut self.window)),
        };
        Ok((load, self.gate.begin()))
    }

    /// Whether a further message of an attempt may leave.
    pub(crate) fn leave(&self, now: Instant) -> Leave {
        self.gate.leave(now)
    }

    /// A delivery has ended without an attempt, and the store was told so before.
    pub(crate) fn given_up(&mut self, event: EventId) {
        self.window.ended(event, None);
    }

    /// An attempt ends: each of its deliveries, and when it is due again, where it
    /// is. The store was told so before. True where the lane's task has something
    /// to see to.
    pub(crate) fn free(
        &mut self,
        deliveries: impl Iterator<Item = (EventId, Option<u64>)>,
    ) -> bool {
        self.gate.free();
        let mut again = false;
        for (event, due_ms) in deliveries {
            self.window.ended(event, due_ms);
            again |= due_ms.is_some();
        }
        again || self.window.wants_poll()
    }

    /// An attempt was cut off and has no outcome; [`free`](Self::free) ends it.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        self.gate.abandon(ticket);
    }

    /// A message with the ticket was answered at `now`; `last` says when it left. What
    /// the breaker did, and what follows from a lasting failure.
    pub(super) fn responded(
        &mut self,
        ticket: Ticket,
        last: Last,
        response: &Response,
        now: Instant,
    ) -> (Option<Change>, Option<Failing>) {
        let signal = HealthSignal::of(response);
        let well = response.is_accepted();
        // Our own queue is not a failure of the destination.
        let counts = signal != HealthSignal::Queued;
        let at_ms = last.at_ms;
        self.history.note(last, well, counts);
        let change = self.gate.responded(ticket, signal, now);
        match change {
            Some(Change::Opened { .. }) => self.window.clear(),
            Some(Change::Closed) => self.window.widen(),
            None => {}
        }
        self.show();
        let switch = self.gate.switch();
        let disable_after = self.settings.disable_after.filter(|_| switch.disabled().is_none());
        let failing =
            counts.then(|| self.history.judge(well, (at_ms, now), disable_after)).flatten();
        (change, failing)
    }

    /// What the lane's task is to do; none where it ends.
    pub(crate) fn watch(&mut self, now: Instant, now_ms: u64) -> Option<Watch> {
        if self.gate.has_ended() {
            return None;
        }
        let wait = |ms: u64| now + Duration::from_millis(ms.min(SWEEP_MS));
        let until = wait(SWEEP_MS);
        let passed = self.gate.poll(now);
        if passed.pause_ended {
            self.window.clear();
        }
        if passed.probes {
            self.window.narrow();
        }
        if let Some(shut) = passed.shut_until {
            return Some(Watch { until: shut.min(until), poll: None });
        }
        if !self.gate.is_open() {
            return Some(Watch { until, poll: None });
        }
        let until_attempt = self.later.map_or(until, |at| at.min(until));
        if let Some(poll) = self.window.poll(now_ms) {
            let policy = &self.settings.policy;
            let longest = match poll.rein {
                Some(Rein::SetBack) => policy.longest_backoff(),
                _ => policy.longest_wait(),
            };
            return Some(Watch { until: until_attempt, poll: Some((poll, longest)) });
        }
        let wake = self.window.wake_at().map(|at_ms| wait(at_ms.saturating_sub(now_ms)));
        Some(Watch { until: wake.map_or(until_attempt, |at| at.min(until_attempt)), poll: None })
    }

    /// A poll ended: the rows that were due, and by which time.
    ///
    /// The rows could not be read where it is an error: when to try again,
    /// milliseconds since 1970.
    pub(crate) fn polled(&mut self, poll: Poll, read: Result<(DuePage, u64), u64>) {
        match read {
            Ok((page, now_ms)) => self.window.done(page, poll.limit, now_ms),
            Err(again_ms) => self.window.failed(poll, again_ms),
        }
        if !self.gate.takes() {
            self.window.clear();
        }
    }

    /// After any change of what opens and closes, the rows are polled again.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.gate.takes();
        change(self);
        if self.gate.takes() != before {
            self.window.clear();
        }
        self.show();
    }

    pub(super) fn configure(&mut self, settings: Arc<Settings>, limits: Limits) {
        self.change(|state| {
            state.gate.configure(&settings, &state.settings);
            state.batching.forget_limits();
            state.settings = settings;
            state.window.resize(limits);
            // The new ones may have credentials that work.
            if state.gate.wants_credentials() {
                state.gate.recover();
            }
        });
    }

    pub(super) fn remove(&mut self) {
        self.change(|state| state.gate.remove());
    }

    pub(super) fn end(&mut self) {
        self.gate.end();
    }

    pub(super) fn end_if_idle(&mut self) -> bool {
        self.gate.end_if_idle()
    }

    pub(super) fn disable(&mut self, reason: String) {
        self.change(|state| state.gate.switch_mut().disable(reason));
    }

    pub(super) fn enable(&mut self) {
        self.change(|state| {
            state.gate.switch_mut().enable();
            state.history.forgive();
            state.gate.recover();
            state.window.widen();
        });
    }

    pub(super) fn pause(&mut self, lasts: Duration, now: Instant, now_ms: u64) {
        self.change(|state| state.gate.switch_mut().pause(lasts, now, now_ms));
    }

    pub(super) fn close_breaker(&mut self) {
        self.change(|state| {
            state.gate.recover();
            state.window.widen();
        });
    }

    /// What is to be remembered over a restart, about to be written down.
    pub(super) fn condition(&mut self) -> Condition {
        let switch = self.gate.switch();
        Condition {
            disabled: switch.disabled().map(str::to_owned),
            paused_until_ms: switch.paused_until_ms(),
            failing_since_ms: self.history.write_down(),
        }
    }

    /// For people; none where the destination is no longer in the settings.
    pub(super) fn status(&self, name: &Name, (now, now_ms): (Instant, u64)) -> Option<Status> {
        let Self { gate, history, .. } = self;
        if gate.is_removed() {
            return None;
        }
        let (state, until_ms) = gate.state(now, now_ms);
        Some(Status {
            destination: name.clone(),
            state,
            reason: gate.switch().reason().map(str::to_owned),
            until_ms,
            in_flight: gate.in_flight(),
            limit: gate.limit(),
            window: self.window.len(),
            failures: history.failures(),
            succeeded: history.succeeded(),
            failing_since_ms: history.failing_since_ms(),
            last: history.last().cloned(),
        })
    }
}
