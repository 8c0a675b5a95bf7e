//! Whether a destination is well, as its answers tell: the breaker, the pause that it asks for, and how many attempts at once are good for it.
//!
//! Pure: the caller brings the time. Nothing here touches a delivery: while an
//! attempt may not begin, deliveries wait and lose none of theirs.
use std::time::Duration;

use tokio::time::Instant;

use super::signs::Sign;
use super::tally::Tally;
use hookwright_settings::Breaker;

/// Probes in a row that must go well before the breaker closes.
const PROBES: u32 = 3;
/// However long a `retry-after` asks, the other deliveries wait no longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// The pause where it says nothing, once there is no more to halve; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of those.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// What the health of a destination is judged by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Care {
    /// None: never left alone.
    pub(super) breaker: Option<Breaker>,
    /// Send less at once where it has too much.
    pub(super) adaptive: bool,
    /// Attempts at once, at the most.
    pub(super) in_flight: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    /// Nothing is sent until then.
    Open {
        until: Instant,
    },
    /// One attempt at a time shows whether it is well again.
    HalfOpen {
        probing: bool,
        well: u32,
    },
}

/// What the breaker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened {
        wait: Duration,
        /// Failed attempts and all attempts within the window.
        failed: (u32, u32),
    },
    Closed,
}

/// What was so when an attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    turn: u32,
    cuts: u32,
}

#[derive(Debug)]
pub(super) struct Health {
    care: Care,
    tally: Tally,
    state: State,
    /// Of the present or the next opening.
    wait: Duration,
    /// Counts the breaker's changes: an attempt that began before the last one
    /// says nothing any more.
    turn: u32,
    /// Attempts at once that are good for it, 1 to `care.in_flight`.
    limit: f64,
    /// Counts what was taken off the limit: of the attempts that were under way
    /// together only the first one does.
    cuts: u32,
    pause: Option<Instant>,
    pauses: u32,
    /// It is left alone since there was nothing to prove by who sends.
    locked: bool,
}

impl Health {
    pub(super) fn new(care: Care) -> Self {
        let breaker = care.breaker.clone().unwrap_or_default();
        Self {
            tally: Tally::new(breaker.window),
            wait: breaker.wait,
            limit: care.in_flight as f64,
            care,
            state: State::Closed,
            turn: 0,
            cuts: 0,
            pause: None,
            pauses: 0,
            locked: false,
        }
    }

    /// Begins anew where the settings have changed.
    pub(super) fn configure(&mut self, care: Care) {
        if self.care != care {
            let turn = self.turn.wrapping_add(1);
            *self = Self { turn, ..Self::new(care) };
        }
    }

    /// A person knows better: as if it had never failed.
    pub(super) fn forget(&mut self) {
        let turn = self.turn.wrapping_add(1);
        *self = Self { turn, ..Self::new(self.care.clone()) };
    }

    /// Whether one more attempt may begin beside so many; else when to ask
    /// again at the latest, where only time can tell.
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
        match self.state {
            State::Closed | State::HalfOpen { probing: false, .. } => Ok(()),
            State::HalfOpen { probing: true, .. } => Err(None),
            State::Open { until } => Err(Some(until)),
        }
    }

    /// An attempt that was admitted begins.
    pub(super) fn began(&mut self) -> Ticket {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = true;
        }
        Ticket { turn: self.turn, cuts: self.cuts }
    }

    /// It ended without an outcome.
    pub(super) fn broke_off(&mut self, ticket: Ticket) {
        if let State::HalfOpen { probing, .. } = &mut self.state
            && ticket.turn == self.turn
        {
            *probing = false;
        }
    }

    pub(super) fn ended(&mut self, ticket: Ticket, sign: Sign, now: Instant) -> Option<Change> {
        if let Sign::Locked { rest } = sign {
            return self.lock(ticket, rest, now);
        }
        self.locked &= sign.is_ill().is_none();
        self.adapt(ticket, sign, now);
        if self.care.breaker.is_none() || ticket.turn != self.turn {
            return None;
        }
        match (&mut self.state, sign.is_ill()) {
            (State::HalfOpen { probing, .. }, None) => {
                *probing = false;
                None
            }
            (State::HalfOpen { .. }, Some(true)) => {
                let cap = self.care.breaker.as_ref().map_or(self.wait, |breaker| breaker.cap);
                self.wait = (self.wait * 2).min(cap);
                Some(self.open(now, (1, 1)))
            }
            (State::HalfOpen { probing, well }, Some(false)) => {
                *probing = false;
                *well += 1;
                (*well >= PROBES).then(|| self.close())
            }
            (State::Closed, Some(ill)) => self.count(ill, now),
            (State::Closed, None) | (State::Open { .. }, _) => None,
        }
    }

    fn count(&mut self, ill: bool, now: Instant) -> Option<Change> {
        // Without a failure of late there is nothing to count.
        if !ill && self.tally.is_clean() {
            return None;
        }
        let (failed, all) = self.tally.count(ill, now);
        let breaker = self.care.breaker.as_ref()?;
        let opens = ill
            && all >= breaker.attempts
            && f64::from(failed) >= breaker.failures * f64::from(all);
        if !opens {
            return None;
        }
        self.wait = breaker.wait;
        Some(self.open(now, (failed, all)))
    }

    fn open(&mut self, now: Instant, failed: (u32, u32)) -> Change {
        self.open_until_then(now, now + self.wait, failed)
    }

    fn open_until_then(&mut self, now: Instant, until: Instant, failed: (u32, u32)) -> Change {
        self.turn = self.turn.wrapping_add(1);
        self.state = State::Open { until };
        Change::Opened { wait: until - now, failed }
    }

    /// Credentials that do not work are so for every delivery: the first attempt
    /// ends them all for a while, by the breaker or, without one, by a pause.
    fn lock(&mut self, ticket: Ticket, rest: Option<Instant>, now: Instant) -> Option<Change> {
        let rest = rest.map_or(now, |until| until.min(now + LONGEST_PAUSE));
        let Some(breaker) = &self.care.breaker else {
            if self.pause.is_none_or(|until| until <= now) {
                let pause = self.next_pause();
                self.pause_until(rest.max(now + pause));
            }
            self.locked = true;
            return None;
        };
        if ticket.turn != self.turn {
            return None;
        }
        self.wait = match self.state {
            State::Open { .. } => return None,
            State::HalfOpen { .. } => (self.wait * 2).min(breaker.cap),
            State::Closed => breaker.wait,
        };
        self.locked = true;
        Some(self.open_until_then(now, rest.max(now + self.wait), (1, 1)))
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

    fn close(&mut self) -> Change {
        self.turn = self.turn.wrapping_add(1);
        self.state = State::Closed;
        self.tally.clear();
        Change::Closed
    }

    /// Until when the breaker is open. Once that is past, it is half open.
    pub(super) fn open_until(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open { until } if until > now => Some(until),
            State::Open { .. } => {
                self.turn = self.turn.wrapping_add(1);
                self.state = State::HalfOpen { probing: false, well: 0 };
                None
            }
            _ => None,
        }
    }

    /// Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of
    /// the Increase and Decrease Algorithms for Congestion Avoidance in Computer
    /// Networks", 1989; the constants of TCP, RFC 5681): one more after a whole
    /// round went well, half as many where it has too much.
    fn adapt(&mut self, ticket: Ticket, sign: Sign, now: Instant) {
        if sign == Sign::Well {
            self.pauses = 0;
        }
        if !self.care.adaptive {
            return;
        }
        let most = self.care.in_flight as f64;
        match sign {
            Sign::Well => {
                if self.limit < most {
                    self.limit = (self.limit + 1.0 / self.limit).min(most);
                }
            }
            Sign::Late | Sign::Crowded => drop(self.cut(ticket)),
            Sign::Busy { pause: Some(asked), .. } => {
                self.cut(ticket);
                self.pause_until(now + asked.min(LONGEST_PAUSE));
            }
            Sign::Busy { pause: None, .. } => {
                if self.cut(ticket) == Cut::AtOne {
                    let pause = self.next_pause();
                    self.pause_until(now + pause);
                }
            }
            Sign::Ill | Sign::Nothing | Sign::Locked { .. } => {}
        }
    }

    fn cut(&mut self, ticket: Ticket) -> Cut {
        if ticket.cuts != self.cuts {
            return Cut::Already;
        }
        self.cuts = self.cuts.wrapping_add(1);
        if self.limit < 2.0 {
            self.limit = 1.0;
            return Cut::AtOne;
        }
        self.limit /= 2.0;
        Cut::Halved
    }

    fn pause_until(&mut self, until: Instant) {
        self.pause = Some(self.pause.map_or(until, |before| before.max(until)));
    }

    /// Attempts at once that are allowed now.
    pub(super) fn limit(&self) -> usize {
        // At least 1 and at most `in_flight`: the cast cuts only what is behind the point.
        self.limit as usize
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.pause
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// By an attempt that was under way at the same time.
    Already,
    Halved,
    AtOne,
}
