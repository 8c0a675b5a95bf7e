//! A version's health: one that fails for most events is quarantined, and tried again by single probes.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::run::fault::Fault;
use crate::run::verdict::Verdict;
use hookwright_model::plugin::Quarantine;

/// Calls that are remembered, at most.
const WINDOW: u32 = 64;
/// Probes that must go well, one after the other, before all events come again.
const PROBES: u32 = 3;
/// A failed probe doubles the wait, up to this, or to `wait` where that is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// A quarantine as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub why: String,
    /// How long it lasts already.
    pub lasts: Duration,
    /// Until the next probe; zero where the next event is one, none where there is no next.
    pub next_probe: Option<Duration>,
}

/// What a call made of its version's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Quarantined(String),
    Recovered,
}

/// What a call says of its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Good,
    Bad,
    /// Nothing: the plugin asks for another try, or the host is at fault.
    Neither,
}

impl Sign {
    fn of(result: &Result<Verdict, Fault>) -> Self {
        match result {
            // To reject a bad event is a plugin's work.
            Ok(_) | Err(Fault::Reject(_)) => Self::Good,
            Err(fault) if fault.is_failure() => Self::Bad,
            Err(_) => Self::Neither,
        }
    }
}

pub(crate) struct Health {
    rule: Quarantine,
    /// Some call failed lately. Where none did, a call costs one look at this.
    ailing: AtomicBool,
    breaker: Mutex<Breaker>,
}

/// The right to make one call.
pub(crate) struct Admission<'h> {
    health: &'h Health,
    /// Given back when it is dropped, also where the call never ends.
    probe: bool,
}

impl Health {
    pub(crate) fn new(rule: Quarantine) -> Self {
        let rule = Quarantine { calls: rule.calls.min(WINDOW), ..rule };
        Self { rule, ailing: AtomicBool::new(false), breaker: Mutex::default() }
    }

    /// # Errors
    /// Why the version is quarantined.
    pub(crate) fn admit(&self) -> Result<Admission<'_>, String> {
        let probe =
            self.ailing.load(Ordering::Relaxed) && self.breaker.lock().admit(Instant::now())?;
        Ok(Admission { health: self, probe })
    }

    pub(crate) fn quarantined(&self) -> Option<Quarantined> {
        let now = Instant::now();
        match &*self.breaker.lock() {
            Breaker::Sound(_) => None,
            Breaker::Quarantined(ward) => Some(Quarantined {
                why: ward.why.clone(),
                lasts: now.saturating_duration_since(ward.since),
                next_probe: Some(ward.due.saturating_duration_since(now)),
            }),
        }
    }
}

impl Admission<'_> {
    /// Tells what came of the call.
    pub(crate) fn settle(self, result: &Result<Verdict, Fault>) -> Option<Change> {
        let (health, sign) = (self.health, Sign::of(result));
        if health.rule.calls == 0 || (sign != Sign::Bad && !health.ailing.load(Ordering::Relaxed)) {
            return None;
        }
        let why = || result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let mut breaker = health.breaker.lock();
        let change = breaker.settle(&health.rule, Instant::now(), self.probe, sign, why);
        health.ailing.store(breaker.is_ailing(), Ordering::Relaxed);
        change
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.health.breaker.lock().give_back();
        }
    }
}

/// The pure part: times and outcomes in, admissions and changes out.
#[derive(Debug)]
enum Breaker {
    Sound(Window),
    Quarantined(Ward),
}

/// The last outcomes, the newest in the lowest bit; 1 is a failure.
#[derive(Debug, Default)]
struct Window {
    failed: u64,
    calls: u32,
}

#[derive(Debug)]
struct Ward {
    why: String,
    since: Instant,
    /// No probe before that.
    due: Instant,
    wait: Duration,
    /// Probes that went well, one after the other.
    good: u32,
    probing: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Sound(Window::default())
    }
}

impl Breaker {
    fn is_ailing(&self) -> bool {
        !matches!(self, Self::Sound(Window { failed: 0, .. }))
    }

    /// Whether the call is a probe; else why there is none.
    fn admit(&mut self, now: Instant) -> Result<bool, String> {
        match self {
            Self::Sound(_) => Ok(false),
            Self::Quarantined(ward) if !ward.probing && now >= ward.due => {
                ward.probing = true;
                Ok(true)
            }
            Self::Quarantined(ward) => Err(ward.why.clone()),
        }
    }

    fn give_back(&mut self) {
        if let Self::Quarantined(ward) = self {
            ward.probing = false;
        }
    }

    fn settle(
        &mut self,
        rule: &Quarantine,
        now: Instant,
        probe: bool,
        sign: Sign,
        why: impl FnOnce() -> String,
    ) -> Option<Change> {
        match self {
            Self::Sound(_) if sign == Sign::Neither => None,
            Self::Sound(window) => {
                let failures = window.push(sign == Sign::Bad, rule.calls);
                let most = failures * 100 >= rule.calls * rule.failures;
                if sign != Sign::Bad || window.calls < rule.calls || !most {
                    return None;
                }
                let why = format!(
                    "{failures} of its last {} calls failed, one so: {}",
                    rule.calls,
                    why()
                );
                let (wait, due) = (rule.wait, now + rule.wait);
                let ward =
                    Ward { why: why.clone(), since: now, due, wait, good: 0, probing: false };
                *self = Self::Quarantined(ward);
                Some(Change::Quarantined(why))
            }
            // Those that began before it tell nothing new.
            Self::Quarantined(ward) if probe => ward.probed(rule, now, sign).then(|| {
                *self = Self::default();
                Change::Recovered
            }),
            Self::Quarantined(_) => None,
        }
    }
}

impl Window {
    /// Answers how many of the last `calls` failed.
    fn push(&mut self, failed: bool, calls: u32) -> u32 {
        let mask = u64::MAX >> (WINDOW - calls.clamp(1, WINDOW));
        self.failed = (self.failed << 1 | u64::from(failed)) & mask;
        self.calls = self.calls.saturating_add(1).min(calls);
        self.failed.count_ones()
    }
}

impl Ward {
    /// Whether the probe was the last that was wanted.
    fn probed(&mut self, rule: &Quarantine, now: Instant, sign: Sign) -> bool {
        match sign {
            Sign::Good => self.good += 1,
            Sign::Neither => {}
            Sign::Bad => {
                self.good = 0;
                self.wait = self.wait.saturating_mul(2).min(LONGEST.max(rule.wait));
                self.due = now + self.wait;
            }
        }
        self.good >= PROBES
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
        // A probe whose call goes away is no answer and holds nothing.
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
            let (mut breaker, now) = (Breaker::default(), Instant::now());
            let mut seen: Vec<bool> = Vec::new();
            for failed in outcomes {
                let sign = if failed { Sign::Bad } else { Sign::Good };
                let change = breaker.settle(&rule, now, false, sign, String::new);
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
