//! A version's circuit breaker: one that fails for most events is quarantined, and tried again by single probes.
//!
//! Each version has one. While nothing fails, a call pays one relaxed load of a flag for it, and takes no lock.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_model::Share;
use hookwright_model::breaker::{self, Breaker, Policy, Signal, State, Ticket};
use hookwright_model::sliding_counter::LastOutcomes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::run::{Fault, Verdict};
use hookwright_model::plugin::Quarantine;

/// The longest wait between two probes, unless the settings' own wait is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// A version's quarantine, as the admin API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The cause, with the message of one failed call.
    pub why: String,
    /// Time since it began.
    pub lasts: Duration,
    /// Time until the next probe: zero where the next event is one, none where no probe will follow.
    pub next_probe: Option<Duration>,
}

/// What a call changed in its version's health, to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The quarantine began, for this reason.
    Quarantined(String),
    /// The quarantine is over.
    Recovered,
}

/// What a call says about its plugin.
fn signal(result: &Result<Verdict, Fault>) -> Signal {
    match result {
        // To reject a bad event is a plugin's work.
        Ok(_) | Err(Fault::Reject(_)) => Signal::Success,
        Err(fault) if fault.is_failure() => Signal::Failure,
        // The plugin asks for another try, or the host is at fault.
        Err(_) => Signal::Neutral,
    }
}

/// The health of one version: its breaker behind a flag.
pub(crate) struct Health {
    policy: Quarantine,
    /// A call has failed of late, or the breaker is not closed.
    failing: AtomicBool,
    guarded: Mutex<Guarded>,
}

/// What the lock guards: the breaker, and the quarantine while there is one.
struct Guarded {
    breaker: Breaker<LastOutcomes>,
    quarantine: Option<Began>,
}

/// The begin of a quarantine, which lasts over failed probes.
struct Began {
    why: String,
    at: Instant,
}

/// The right to make one call; ended by [`Self::settle`], or given back when it is dropped.
pub(crate) struct Admission<'h> {
    health: &'h Health,
    /// The call is a probe.
    probe: Option<Ticket>,
}

impl Health {
    pub(crate) fn new(policy: Quarantine) -> Self {
        let calls = policy.calls.min(LastOutcomes::MOST);
        let breaker = Policy {
            failures: Share::percent(policy.failures).unwrap_or(Share::ALL),
            calls,
            wait: policy.wait,
            cap: LONGEST.max(policy.wait),
        };
        let breaker = Breaker::new(breaker, LastOutcomes::new(calls));
        Self {
            policy: Quarantine { calls, ..policy },
            failing: AtomicBool::new(false),
            guarded: Mutex::new(Guarded { breaker, quarantine: None }),
        }
    }

    /// Asks for the right to make one call.
    ///
    /// # Errors
    /// Why the version is quarantined.
    pub(crate) fn admit(&self) -> Result<Admission<'_>, String> {
        let probe = match self.failing.load(Ordering::Relaxed) {
            false => None,
            true => self.guarded.lock().admit(Instant::now())?,
        };
        Ok(Admission { health: self, probe })
    }

    /// The quarantine, while there is one.
    pub(crate) fn quarantined(&self) -> Option<Quarantined> {
        let now = Instant::now();
        let guarded = self.guarded.lock();
        let Began { why, at } = guarded.quarantine.as_ref()?;
        let next_probe = match guarded.breaker.state() {
            State::Open { until } => until.saturating_duration_since(now),
            State::HalfOpen { .. } | State::Closed => Duration::ZERO,
        };
        let lasts = now.saturating_duration_since(*at);
        Some(Quarantined { why: why.clone(), lasts, next_probe: Some(next_probe) })
    }
}

impl Guarded {
    /// The ticket of a probe; none where the call is an ordinary one.
    fn admit(&mut self, now: Instant) -> Result<Option<Ticket>, String> {
        self.breaker.poll(now);
        let why = || self.quarantine.as_ref().map(|began| began.why.clone()).unwrap_or_default();
        self.breaker.admits().map_err(|_| why())?;
        let probes = self.breaker.state() != State::Closed;
        Ok(probes.then(|| self.breaker.begin()))
    }

    fn record(
        &mut self,
        probe: Option<Ticket>,
        signal: Signal,
        now: Instant,
        why: impl FnOnce(breaker::Change) -> String,
    ) -> Option<Change> {
        let ticket = match probe {
            Some(ticket) => ticket,
            None if self.breaker.state() == State::Closed => self.breaker.begin(),
            // A call that began before the quarantine says nothing new.
            None => return None,
        };
        match self.breaker.record(ticket, signal, now)? {
            // A failed probe: the quarantine continues.
            breaker::Change::Opened { .. } if self.quarantine.is_some() => None,
            opened @ breaker::Change::Opened { .. } => {
                let why = why(opened);
                self.quarantine = Some(Began { why: why.clone(), at: now });
                Some(Change::Quarantined(why))
            }
            breaker::Change::Closed => {
                self.quarantine = None;
                Some(Change::Recovered)
            }
        }
    }
}

impl Admission<'_> {
    /// Records what came of the call.
    pub(crate) fn settle(mut self, result: &Result<Verdict, Fault>) -> Option<Change> {
        let (health, signal) = (self.health, signal(result));
        let calm = signal != Signal::Failure && !health.failing.load(Ordering::Relaxed);
        if health.policy.calls == 0 || calm {
            return None;
        }
        let why = |opened| {
            let breaker::Change::Opened { counts, .. } = opened else { return String::new() };
            let one = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            format!("{} of its last {} calls failed, one so: {one}", counts.failed, counts.all)
        };
        let mut guarded = health.guarded.lock();
        let change = guarded.record(self.probe.take(), signal, Instant::now(), why);
        health.failing.store(!guarded.breaker.is_clean(), Ordering::Relaxed);
        change
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.probe.take() {
            self.health.guarded.lock().breaker.abandon(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    fn bad() -> Result<Verdict, Fault> {
        Err(Fault::Other("the table is gone".into()))
    }

    fn good() -> Result<Verdict, Fault> {
        Ok(Verdict::Pass)
    }

    /// Makes the calls; answers the last change.
    fn calls(health: &Health, count: usize, result: &Result<Verdict, Fault>) -> Option<Change> {
        let mut last = None;
        for _ in 0..count {
            last = health.admit().ok()?.settle(result).or(last);
        }
        last
    }

    #[tokio::test(start_paused = true)]
    async fn most_of_a_full_window_quarantines_and_less_does_not() {
        let health = Health::new(Quarantine::default());
        assert_eq!(calls(&health, 19, &bad()), None, "too few to judge");
        let Some(Change::Quarantined(why)) = calls(&health, 1, &bad()) else { panic!("sound") };
        assert!(
            why.contains("20 of its last 20 calls") && why.contains("the table is gone"),
            "{why}"
        );
        let health = Health::new(Quarantine::default());
        for _ in 0..100 {
            assert_eq!(calls(&health, 2, &good()), None);
            assert_eq!(calls(&health, 1, &bad()), None, "a third fails");
        }
        assert!(health.quarantined().is_none());
        let never = Health::new(Quarantine { calls: 0, ..Quarantine::default() });
        assert_eq!(calls(&never, 1_000, &bad()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_plugin_says_of_its_event_is_no_failure() {
        let health = Health::new(Quarantine::default());
        assert_eq!(calls(&health, 100, &Err(Fault::Reject("no amount".into()))), None);
        assert_eq!(calls(&health, 100, &Err(Fault::Retry("later".into()))), None);
        assert_eq!(calls(&health, 100, &Err(Fault::Host("no slot".into()))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_go_one_at_a_time_and_three_good_ones_end_it() {
        let health = Health::new(Quarantine::default());
        calls(&health, 20, &bad());
        assert!(health.admit().is_err());
        assert_eq!(health.quarantined().unwrap().next_probe, Some(Duration::from_secs(10)));
        advance(Duration::from_secs(10)).await;
        let probe = health.admit().unwrap();
        assert!(health.admit().is_err(), "one probe at a time");
        assert_eq!(probe.settle(&bad()), None);
        assert!(health.admit().is_err());
        advance(Duration::from_secs(19)).await;
        assert!(health.admit().is_err(), "the wait has doubled");
        advance(Duration::from_secs(1)).await;
        assert_eq!(calls(&health, 2, &good()), None);
        // A probe whose call goes away is not an answer and holds nothing.
        drop(health.admit().unwrap());
        assert_eq!(calls(&health, 1, &Err(Fault::Retry("later".into()))), None);
        assert_eq!(calls(&health, 1, &good()), Some(Change::Recovered));
        assert!(health.quarantined().is_none());
        assert_eq!(calls(&health, 19, &bad()), None, "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_bounded() {
        let health = Health::new(Quarantine::default());
        calls(&health, 20, &bad());
        for _ in 0..50 {
            advance(health.quarantined().unwrap().next_probe.unwrap()).await;
            calls(&health, 1, &bad());
        }
        assert_eq!(health.quarantined().unwrap().next_probe, Some(LONGEST));
        assert!(health.quarantined().unwrap().lasts > LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_began_before_the_quarantine_do_not_prolong_it() {
        let health = Health::new(Quarantine::default());
        let late: Vec<_> = (0..5).map(|_| health.admit().unwrap()).collect();
        calls(&health, 20, &bad());
        let before = health.quarantined();
        for call in late {
            assert_eq!(call.settle(&bad()), None);
        }
        assert_eq!(health.quarantined(), before);
    }

    proptest! {
        /// The window against a plain list of outcomes.
        #[test]
        fn it_trips_exactly_when_most_of_the_last_calls_failed(
            outcomes in prop::collection::vec(any::<bool>(), 0..300),
            calls in 1u32..=64,
            failures in 1u32..=100,
        ) {
            let rule = Quarantine { calls, failures, wait: Duration::from_secs(1) };
            let (health, now) = (Health::new(rule), Instant::now());
            let mut seen: Vec<bool> = Vec::new();
            for failed in outcomes {
                let result = if failed { bad() } else { good() };
                let mut guarded = health.guarded.lock();
                let change = guarded.record(None, signal(&result), now, |_| String::new());
                seen.push(failed);
                let last = &seen[seen.len().saturating_sub(calls as usize)..];
                let bad = last.iter().filter(|failed| **failed).count() as u32;
                let due = failed && last.len() == calls as usize && bad * 100 >= calls * failures;
                prop_assert_eq!(change.is_some(), due);
                if due {
                    break;
                }
            }
        }
    }
}
