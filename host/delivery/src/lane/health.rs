//! A destination's health as its answers tell it: a circuit breaker, a pause that the destination asks for, and an adaptive limit on attempts at once.
//!
//! The lane asks it before each attempt and tells it of each outcome. Pure: the
//! caller brings the time. Nothing here touches a delivery: while an attempt may
//! not begin, deliveries wait and lose no attempt.
use std::time::Duration;

use tokio::time::Instant;

use super::signal::HealthSignal;
use hookwright_model::Share;
use hookwright_model::breaker::{self, Breaker, Change, State};
use hookwright_model::sliding_counter::SlidingCounter;
use hookwright_settings as settings;

/// However long a `retry-after` asks, the other deliveries wait no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// The first pause of a destination that is throttling and names none, once the
/// limit can't be halved any more; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of those.
const LAST_PAUSE: Duration = Duration::from_secs(60);

fn policy(options: &settings::Breaker) -> breaker::Policy {
    breaker::Policy {
        failures: Share::fraction(options.failures),
        calls: options.attempts,
        wait: options.wait,
        cap: options.cap,
    }
}

/// What the health of a destination is judged by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HealthPolicy {
    /// None: never left alone.
    pub(crate) breaker: Option<settings::Breaker>,
    /// Fewer attempts at once where the destination throttles or is slow.
    pub(crate) adaptive: bool,
    /// Attempts at once, at the most.
    pub(crate) in_flight: usize,
}

impl HealthPolicy {
    fn breaker(&self) -> (breaker::Policy, SlidingCounter) {
        let options = self.breaker.clone().unwrap_or_default();
        (policy(&options), SlidingCounter::new(options.window))
    }
}

/// The state in which an attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    breaker: breaker::Ticket,
    backoffs: u32,
}

/// One destination's health: a breaker, a pause, and a limit on attempts at once.
/// The gate asks it before each attempt and tells it of each answer, so that a
/// destination that fails or has too much to do gets less.
#[derive(Debug)]
pub(super) struct Health {
    policy: HealthPolicy,
    /// Stays closed where the policy has none.
    breaker: Breaker<SlidingCounter>,
    /// Attempts at once that the destination copes with, 1 to `policy.in_flight`.
    limit: f64,
    /// Counts the reductions of the limit: of attempts that were in flight
    /// together only the first one reduces it.
    backoffs: u32,
    /// Nothing is sent before then.
    pause: Option<Instant>,
    /// Pauses since the last success.
    pauses: u32,
    /// It is left alone because there was nothing to prove with who sends.
    locked: bool,
}

impl Health {
    pub(super) fn new(policy: HealthPolicy) -> Self {
        let (breaker, window) = policy.breaker();
        Self {
            breaker: Breaker::new(breaker, window),
            limit: policy.in_flight as f64,
            policy,
            backoffs: 0,
            pause: None,
            pauses: 0,
            locked: false,
        }
    }

    /// Starts over where the settings have changed.
    pub(super) fn configure(&mut self, policy: HealthPolicy) {
        if self.policy != policy {
            self.policy = policy;
            self.forget();
        }
    }

    /// As if it had never failed: a person knows better, or the settings are new.
    pub(super) fn forget(&mut self) {
        let (breaker, window) = self.policy.breaker();
        self.breaker.reconfigure(breaker, window);
        self.limit = self.policy.in_flight as f64;
        (self.backoffs, self.pause, self.pauses, self.locked) = (0, None, 0, false);
    }

    /// Whether an attempt may begin beside those `in_flight`.
    ///
    /// # Errors
    /// When to ask again at the latest; none where the end of an attempt decides.
    pub(super) fn admit(&mut self, in_flight: usize) -> Result<(), Option<Instant>> {
        if in_flight >= self.limit() {
            return Err(None);
        }
        if let Some(until) = self.pause {
            if until > Instant::now() {
                return Err(Some(until));
            }
            self.pause = None;
        }
        self.breaker.admits()
    }

    /// An attempt that was admitted begins.
    pub(super) fn began(&mut self) -> Ticket {
        Ticket { breaker: self.breaker.begin(), backoffs: self.backoffs }
    }

    /// The attempt ended without an outcome.
    pub(super) fn abandoned(&mut self, ticket: Ticket) {
        self.breaker.abandon(ticket.breaker);
    }

    /// The attempt ended.
    pub(super) fn ended(
        &mut self,
        ticket: Ticket,
        signal: HealthSignal,
        now: Instant,
    ) -> Option<Change> {
        if let HealthSignal::NoCredentials { until } = signal {
            return self.lock(ticket, until, now);
        }
        let verdict = signal.for_breaker();
        self.locked &= verdict == breaker::Signal::Neutral;
        self.adapt(ticket, signal, now);
        self.policy.breaker.as_ref()?;
        self.breaker.record(ticket.breaker, verdict, now)
    }

    /// Credentials that do not work are so for every delivery: the first attempt
    /// stops them all for a while, by the breaker or, without one, by a pause.
    fn lock(&mut self, ticket: Ticket, until: Option<Instant>, now: Instant) -> Option<Change> {
        let until = until.map_or(now, |until| until.min(now + LONGEST_PAUSE));
        if self.policy.breaker.is_none() {
            if self.pause.is_none_or(|until| until <= now) {
                let pause = self.next_pause();
                self.pause_until(until.max(now + pause));
            }
            self.locked = true;
            return None;
        }
        let change = self.breaker.trip(ticket.breaker, until, now)?;
        self.locked = true;
        Some(change)
    }

    /// Whether it is left alone for want of credentials: new ones may work at once.
    pub(super) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Doubled from one to the next without a success in between.
    fn next_pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16));
        self.pauses = self.pauses.saturating_add(1);
        pause.min(LAST_PAUSE)
    }

    /// Until when the breaker is open. Once that is past, it is half open.
    pub(super) fn open_until(&mut self, now: Instant) -> Option<Instant> {
        self.breaker.poll(now)
    }

    /// Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of
    /// the Increase and Decrease Algorithms for Congestion Avoidance in Computer
    /// Networks", 1989; the constants of TCP, RFC 5681): one attempt more after a whole
    /// round went well, half as many where it has too much.
    fn adapt(&mut self, ticket: Ticket, signal: HealthSignal, now: Instant) {
        if signal == HealthSignal::Healthy {
            self.pauses = 0;
        }
        if !self.policy.adaptive {
            return;
        }
        let most = self.policy.in_flight as f64;
        match signal {
            HealthSignal::Healthy => {
                if self.limit < most {
                    self.limit = (self.limit + 1.0 / self.limit).min(most);
                }
            }
            HealthSignal::Slow | HealthSignal::Queued => drop(self.back_off(ticket)),
            HealthSignal::Throttled { pause: Some(asked), .. } => {
                self.back_off(ticket);
                self.pause_until(now + asked.min(LONGEST_PAUSE));
            }
            HealthSignal::Throttled { pause: None, .. } => {
                if self.back_off(ticket) == Backoff::AtOne {
                    let pause = self.next_pause();
                    self.pause_until(now + pause);
                }
            }
            HealthSignal::Failing | HealthSignal::Neutral | HealthSignal::NoCredentials { .. } => {}
        }
    }

    fn back_off(&mut self, ticket: Ticket) -> Backoff {
        if ticket.backoffs != self.backoffs {
            return Backoff::Already;
        }
        self.backoffs = self.backoffs.wrapping_add(1);
        if self.limit < 2.0 {
            self.limit = 1.0;
            return Backoff::AtOne;
        }
        self.limit /= 2.0;
        Backoff::Halved
    }

    fn pause_until(&mut self, until: Instant) {
        self.pause = Some(self.pause.map_or(until, |before| before.max(until)));
    }

    /// Attempts at once that are allowed now.
    pub(super) fn limit(&self) -> usize {
        // At least 1 and at most `in_flight`: the cast cuts only what is behind the point.
        self.limit as usize
    }

    /// Whether the limit is lower than the settings say.
    pub(super) fn is_lowered(&self) -> bool {
        self.limit() < self.policy.in_flight
    }

    pub(super) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(super) fn state(&self) -> State {
        self.breaker.state()
    }

    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.pause
    }
}

/// What a reduction of the limit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backoff {
    /// An attempt that was in flight at the same time has reduced it.
    Already,
    Halved,
    AtOne,
}
