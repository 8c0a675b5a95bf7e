//! A circuit breaker: closed, open for a wait that doubles, half open for single probes.
//!
//! Delivery has one for each destination, the plugin host one for each version
//! of a plugin. Pure: the caller brings the time and asks before each call.
use std::time::Duration;

use tokio::time::Instant;

use crate::Share;
use crate::sliding_counter::{Counts, Window};

/// Probes in a row that must succeed before a breaker closes.
const PROBES: u32 = 3;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// It opens by a failure where so large a share of the window failed.
    pub failures: Share,
    /// And where the window holds so many calls at least.
    pub calls: u32,
    /// From its opening to the first probe; doubled by each probe that fails.
    pub wait: Duration,
    /// The longest of these waits.
    pub cap: Duration,
}

/// What one call says about the party that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It works.
    Success,
    /// It fails.
    Failure,
    /// Nothing: the call itself or the caller was at fault.
    Neutral,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every call is let through.
    Closed,
    /// No call is let through.
    Open {
        /// When [`Breaker::poll`] makes it half open.
        until: Instant,
    },
    /// One call at a time is let through and shows whether calls succeed again.
    HalfOpen {
        /// That call is in flight.
        probing: bool,
        /// Probes that have succeeded.
        succeeded: u32,
    },
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The breaker opened.
    Opened {
        /// From now to the first probe.
        wait: Duration,
        /// What the window held; 1 of 1 for a probe and for [`Breaker::trip`].
        counts: Counts,
    },
    /// The breaker closed.
    Closed,
}

/// Says in which state a call began. What it came to counts only while that
/// state lasts: a call from before an opening says nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// A breaker over a window of outcomes.
#[derive(Debug)]
pub struct Breaker<W> {
    policy: Policy,
    window: W,
    state: State,
    /// Of the present or the next opening.
    wait: Duration,
    /// Counts the changes of the state.
    generation: u32,
}

impl<W: Window> Breaker<W> {
    /// Closed, with an empty window.
    pub fn new(policy: Policy, window: W) -> Self {
        Self { wait: policy.wait, policy, window, state: State::Closed, generation: 0 }
    }

    /// Closed again, as if there had never been a call: calls that are in flight
    /// count no more.
    pub fn reset(&mut self) {
        self.enter(State::Closed);
        self.wait = self.policy.wait;
        self.window.clear();
    }

    /// Takes another policy and an empty window for it, and is closed again as by
    /// [`Self::reset`].
    pub fn reconfigure(&mut self, policy: Policy, window: W) {
        (self.policy, self.window) = (policy, window);
        self.reset();
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether it is open, half open not included.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether it is closed and its window holds no failure: a successful call
    /// changes nothing then and need not be told.
    pub fn is_clean(&self) -> bool {
        self.state == State::Closed && self.window.is_clean()
    }

    /// Makes it half open where its wait is over. Answers until when it is open, if it still is.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open { until } if until > now => Some(until),
            State::Open { .. } => {
                self.enter(State::HalfOpen { probing: false, succeeded: 0 });
                None
            }
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Whether a call may begin.
    ///
    /// # Errors
    /// When to [`Self::poll`] again; none where the end of a probe decides.
    pub fn admits(&self) -> Result<(), Option<Instant>> {
        match self.state {
            State::Closed | State::HalfOpen { probing: false, .. } => Ok(()),
            State::HalfOpen { probing: true, .. } => Err(None),
            State::Open { until } => Err(Some(until)),
        }
    }

    /// A call that was admitted begins. Each ends by [`Self::record`] or [`Self::abandon`].
    pub fn begin(&mut self) -> Ticket {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = true;
        }
        Ticket(self.generation)
    }

    /// A call ended without an outcome: it was cut off.
    pub fn abandon(&mut self, ticket: Ticket) {
        if let State::HalfOpen { probing, .. } = &mut self.state
            && ticket.0 == self.generation
        {
            *probing = false;
        }
    }

    /// A call ended.
    pub fn record(&mut self, ticket: Ticket, signal: Signal, now: Instant) -> Option<Change> {
        if ticket.0 != self.generation {
            return None;
        }
        match (&mut self.state, signal) {
            (State::HalfOpen { probing, .. }, Signal::Neutral) => {
                *probing = false;
                None
            }
            (State::HalfOpen { .. }, Signal::Failure) => {
                self.wait = self.longer_wait();
                Some(self.open(now + self.wait, now, Counts { failed: 1, all: 1 }))
            }
            (State::HalfOpen { probing, succeeded }, Signal::Success) => {
                *probing = false;
                *succeeded += 1;
                (*succeeded >= PROBES).then(|| self.close())
            }
            (State::Closed, Signal::Success | Signal::Failure) => {
                self.count(signal == Signal::Failure, now)
            }
            (State::Closed, Signal::Neutral) | (State::Open { .. }, _) => None,
        }
    }

    /// Opens it by one call, for its wait and at least until `not_before`: what
    /// that call met is the same for every call. Nothing where it is open already.
    pub fn trip(&mut self, ticket: Ticket, not_before: Instant, now: Instant) -> Option<Change> {
        if ticket.0 != self.generation {
            return None;
        }
        self.wait = match self.state {
            State::Open { .. } => return None,
            State::HalfOpen { .. } => self.longer_wait(),
            State::Closed => self.policy.wait,
        };
        let until = not_before.max(now + self.wait);
        Some(self.open(until, now, Counts { failed: 1, all: 1 }))
    }

    fn count(&mut self, failed: bool, now: Instant) -> Option<Change> {
        let counts = self.window.record(failed, now);
        let opens = failed
            && counts.all >= self.policy.calls
            && self.policy.failures.is_reached(counts.failed, counts.all);
        if !opens {
            return None;
        }
        self.wait = self.policy.wait;
        Some(self.open(now + self.wait, now, counts))
    }

    fn longer_wait(&self) -> Duration {
        self.wait.saturating_mul(2).min(self.policy.cap)
    }

    fn open(&mut self, until: Instant, now: Instant, counts: Counts) -> Change {
        self.enter(State::Open { until });
        Change::Opened { wait: until - now, counts }
    }

    fn close(&mut self) -> Change {
        self.enter(State::Closed);
        self.window.clear();
        Change::Closed
    }

    fn enter(&mut self, state: State) {
        self.generation = self.generation.wrapping_add(1);
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sliding_counter::LastOutcomes;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(calls: u32, percent: u32) -> Policy {
        let failures = Share::percent(percent).expect("a percentage");
        Policy { failures, calls, wait: 10 * SECOND, cap: 60 * SECOND }
    }

    fn breaker(calls: u32, percent: u32) -> Breaker<LastOutcomes> {
        Breaker::new(policy(calls, percent), LastOutcomes::new(calls))
    }

    fn call(breaker: &mut Breaker<LastOutcomes>, signal: Signal, now: Instant) -> Option<Change> {
        breaker.poll(now);
        breaker.admits().expect("it is let through");
        let ticket = breaker.begin();
        breaker.record(ticket, signal, now)
    }

    #[test]
    fn probes_go_one_at_a_time_and_three_that_succeed_close_it() {
        let mut breaker = breaker(1, 100);
        let mut now = Instant::now();
        let counts = Counts { failed: 1, all: 1 };
        let opened = Change::Opened { wait: 10 * SECOND, counts };
        assert_eq!(call(&mut breaker, Signal::Failure, now), Some(opened));
        assert_eq!(breaker.admits(), Err(Some(now + 10 * SECOND)));
        now += 10 * SECOND;
        assert_eq!(breaker.poll(now), None);
        let probe = breaker.begin();
        assert_eq!(breaker.admits(), Err(None), "one at a time");
        let opened = Change::Opened { wait: 20 * SECOND, counts };
        assert_eq!(breaker.record(probe, Signal::Failure, now), Some(opened));
        now += 20 * SECOND;
        assert_eq!(breaker.poll(now), None);
        let cut_off = breaker.begin();
        breaker.abandon(cut_off);
        for signal in [Signal::Success, Signal::Neutral, Signal::Success] {
            assert_eq!(call(&mut breaker, signal, now), None);
        }
        assert_eq!(call(&mut breaker, Signal::Success, now), Some(Change::Closed));
        assert!(breaker.is_clean());
    }

    #[test]
    fn a_call_from_before_an_opening_says_nothing_new() {
        let mut breaker = breaker(1, 100);
        let mut now = Instant::now();
        let (first, second) = (breaker.begin(), breaker.begin());
        assert!(breaker.record(first, Signal::Failure, now).is_some());
        assert_eq!(breaker.record(second, Signal::Failure, now), None);
        now += 10 * SECOND;
        breaker.poll(now);
        let probe = breaker.begin();
        breaker.abandon(second);
        assert_eq!(breaker.admits(), Err(None), "the probe is still in flight");
        assert_eq!(breaker.record(second, Signal::Failure, now), None);
        assert_eq!(breaker.record(probe, Signal::Success, now), None);
        breaker.reset();
        assert_eq!(breaker.record(probe, Signal::Failure, now), None);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn one_call_trips_it_where_all_would_meet_the_same() {
        let mut breaker = breaker(20, 80);
        let now = Instant::now();
        let (ticket, late) = (breaker.begin(), breaker.begin());
        let counts = Counts { failed: 1, all: 1 };
        let opened = Change::Opened { wait: 30 * SECOND, counts };
        assert_eq!(breaker.trip(ticket, now + 30 * SECOND, now), Some(opened));
        assert_eq!(breaker.trip(late, now, now), None);
    }

    #[test]
    fn the_wait_is_bounded() {
        let mut breaker = breaker(1, 100);
        let mut now = Instant::now();
        for _ in 0..50 {
            call(&mut breaker, Signal::Failure, now);
            now = breaker.poll(now).expect("it is open");
        }
        let opened = call(&mut breaker, Signal::Failure, now);
        assert!(matches!(opened, Some(Change::Opened { wait, .. }) if wait == 60 * SECOND));
    }

    proptest! {
        /// Against a plain list of outcomes.
        #[test]
        fn it_opens_exactly_when_enough_of_the_last_calls_failed(
            outcomes in prop::collection::vec(any::<bool>(), 0..300),
            calls in 1u32..=64,
            percent in 1u32..=100,
        ) {
            let (mut breaker, now) = (breaker(calls, percent), Instant::now());
            for end in 1..=outcomes.len() {
                let failed = outcomes[end - 1];
                let signal = if failed { Signal::Failure } else { Signal::Success };
                let change = call(&mut breaker, signal, now);
                let last = &outcomes[end.saturating_sub(calls as usize)..end];
                let bad = last.iter().filter(|failed| **failed).count() as u32;
                let due = failed && last.len() == calls as usize && bad * 100 >= calls * percent;
                prop_assert_eq!(change.is_some(), due);
                if due {
                    break;
                }
            }
        }

        /// Whatever comes in whatever order, at most one probe is in flight, and
        /// only three successes in a row of one half-open time close it.
        #[test]
        fn no_order_of_events_lets_two_probes_through(
            steps in prop::collection::vec((0u8..5, 0u64..20), 1..200),
        ) {
            let mut breaker = breaker(2, 50);
            let mut now = Instant::now();
            let mut flying: Vec<(Ticket, bool)> = Vec::new();
            for (what, pick) in steps {
                let half_open = matches!(breaker.state(), State::HalfOpen { .. });
                match what {
                    0 => now += Duration::from_secs(pick),
                    1 => drop(breaker.poll(now)),
                    2 if breaker.admits().is_ok() => {
                        let ticket = breaker.begin();
                        let other = flying.iter().any(|(other, probe)| *probe && *other == ticket);
                        prop_assert!(!(half_open && other), "two probes of one half-open time");
                        flying.push((ticket, half_open));
                    }
                    2 => {}
                    _ if flying.is_empty() => {}
                    3 => {
                        let (ticket, _) = flying.swap_remove(pick as usize % flying.len());
                        breaker.abandon(ticket);
                    }
                    _ => {
                        let (ticket, probe) = flying.swap_remove(pick as usize % flying.len());
                        let signal = if pick % 3 == 0 { Signal::Failure } else { Signal::Success };
                        let change = breaker.record(ticket, signal, now);
                        if change == Some(Change::Closed) {
                            prop_assert!(probe && signal == Signal::Success);
                        }
                    }
                }
            }
        }
    }
}
