//! (attempt, outcome) → when to try next, or dead. Pure.
mod never;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use never::{BadEnd, End, Never};

use crate::{Disposition, Outcome, Response};

/// However long a `retry-after` asks, nobody waits longer than this or the
/// policy's `cap`, whichever is more.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3_600);

/// When a failed delivery is tried again: `first` after acceptance, then
/// `base · factorⁿ` after the n-th failure, at most `cap`, or as the `schedule`
/// says; spread by `± jitter`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Default 1 s.
    pub base: Duration,
    /// At least 1. Default 2.
    pub factor: f64,
    /// Default 1 h.
    pub cap: Duration,
    /// A share of the wait, 0 to 1. Default 0.2.
    pub jitter: f64,
    /// Attempts in all, at least 1. Default 16.
    pub attempts: u32,
    /// Before the first attempt. Default 0.
    pub first: Duration,
    /// The waits after the first failure, the second and so on; after the last
    /// of them the delivery is dead. Default: none, then `base`, `factor` and
    /// `cap` make them.
    pub schedule: Vec<Duration>,
    /// From acceptance; no attempt is begun later, whatever it waited for.
    /// Default: no limit.
    pub max_age: Option<Duration>,
    /// Default: nothing.
    pub never: Never,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(3_600),
            jitter: 0.2,
            attempts: 16,
            first: Duration::ZERO,
            schedule: Vec::new(),
            max_age: None,
            never: Never::default(),
        }
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing: the delivery is done.
    Delivered,
    /// Try again then, milliseconds since 1970.
    At(u64),
    /// Give up, for this cause.
    Dead(String),
    /// Give up, for this cause, and send the destination nothing more until a
    /// person enables it.
    Disable(String),
}

impl Policy {
    /// When an event accepted then is due for its first attempt, milliseconds since 1970.
    pub fn first_due_ms(&self, accepted_ms: u64) -> u64 {
        accepted_ms.saturating_add(whole_ms(self.first))
    }

    /// What follows from an attempt that ended at `now_ms`. `tries` counts the
    /// attempts of the round, this one too; `unit_random` is in `[0, 1)`.
    ///
    /// Every failure is tried again, with these exceptions: a destination that is
    /// gone is disabled; what loops, what the receiver rejects for good and what
    /// can't be sent will not be better later; so does what `never` names; and the
    /// last attempt is the last. What an answer of its protocol means is the kind
    /// of destination's to say.
    ///
    /// A `retry_after` is a minimum: it may lengthen the wait, to 24 h or `cap`,
    /// and never shortens it.
    pub fn next(&self, tries: u32, response: &Response, now_ms: u64, unit_random: f64) -> After {
        let outcome = &response.outcome;
        match &response.disposition {
            Disposition::Accepted { .. } => return After::Delivered,
            Disposition::Gone { why } => return After::Disable(why.to_string()),
            Disposition::Rejected { why }
            | Disposition::Looped { why }
            | Disposition::Unsendable { why } => return After::Dead(why.to_string()),
            _ if self.never.holds(outcome) => {
                return After::Dead(format!(
                    "not to be tried again (`retry.never`); {}",
                    last_words(outcome)
                ));
            }
            _ => {}
        }
        if tries >= self.most_attempts() {
            let attempts = if tries == 1 { "attempt" } else { "attempts" };
            let words = last_words(outcome);
            return After::Dead(format!("given up after {tries} {attempts}; {words}"));
        }
        let wait = self.backoff_ms(tries, unit_random).max(self.asked_ms(response));
        After::At(now_ms.saturating_add(wait))
    }

    /// The same, but for a delivery that would be too old then: that is given up.
    /// Not for replays: who asks for one wants it.
    pub fn unless_aged(&self, after: After, accepted_ms: u64, outcome: &Outcome) -> After {
        let (After::At(due_ms), Some(max_age)) = (&after, self.max_age) else { return after };
        if *due_ms <= accepted_ms.saturating_add(whole_ms(max_age)) {
            return after;
        }
        After::Dead(format!("given up at its age (`retry.max_age`); {}", last_words(outcome)))
    }

    /// Why no attempt may begin for a delivery whose event is so old; none where it may.
    pub fn too_old(&self, age: Duration) -> Option<String> {
        let most = self.max_age.filter(|most| age > *most)?;
        Some(format!(
            "given up at its age (`retry.max_age`), more than {most:?}, before an attempt"
        ))
    }

    /// The longest wait that the policy itself makes, before the first attempt or after one.
    pub fn longest_backoff(&self) -> Duration {
        let waits = self.schedule.iter().copied().max();
        let longest = waits.unwrap_or(self.cap.max(self.base));
        let spread = longest.mul_f64(share(self.jitter));
        longest.saturating_add(spread).max(self.first)
    }

    /// The longest wait of all: also where the receiver asks for one.
    pub fn longest_wait(&self) -> Duration {
        self.longest_backoff().max(self.cap).max(LONGEST_ASKED)
    }

    /// At least 1.
    pub fn most_attempts(&self) -> u32 {
        match self.schedule.len() {
            0 => self.attempts.max(1),
            waits => u32::try_from(waits).unwrap_or(u32::MAX).saturating_add(1),
        }
    }

    /// The wait after so many attempts, without jitter, in milliseconds.
    fn wait_ms(&self, tries: u32) -> f64 {
        let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(wait) = self.schedule.get(place).or(self.schedule.last()) {
            return wait.as_secs_f64() * 1_000.0;
        }
        let base = self.base.as_secs_f64() * 1_000.0;
        let cap = self.cap.as_secs_f64() * 1_000.0;
        let factor = if self.factor.is_nan() { 1.0 } else { self.factor.max(1.0) };
        let power = factor.powf(f64::from(tries.saturating_sub(1)));
        // Nothing times infinity is no number.
        if base == 0.0 { 0.0 } else { (base * power).min(cap) }
    }

    fn backoff_ms(&self, tries: u32, unit_random: f64) -> u64 {
        let wait = self.wait_ms(tries);
        let spread = share(self.jitter) * (2.0 * share(unit_random) - 1.0);
        // The cast saturates.
        (wait * (1.0 + spread)).round() as u64
    }

    fn asked_ms(&self, response: &Response) -> u64 {
        let asked = response.retry_after.unwrap_or_default();
        whole_ms(asked).min(whole_ms(self.cap.max(LONGEST_ASKED)))
    }
}

fn share(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn last_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, .. } => format!("the last answer was {status}"),
        Outcome::Failed { cause, message } => {
            format!("the last failed ({}): {message}", cause.as_str())
        }
        Outcome::Accepted => "the last was taken".to_owned(),
    }
}
