//! One destination's metrics. Each handle is made when it is first used: ten
//! thousand destinations that never fail need no counters of failures.
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::metrics::{
    ATTEMPT_SECONDS, ATTEMPTS, BREAKER_OPEN, BREAKER_OPENINGS, DELIVERIES, DISABLED, IN_FLIGHT,
    IN_FLIGHT_LIMIT, LAG_SECONDS,
};
use crate::model::{Cause, DeliveryState, Outcome};

const CLASSES: [&str; 16] = [
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "other",
    "dns",
    "refused",
    "connect",
    "tls",
    "timeout",
    "protocol",
    "request",
    "credentials",
    "write",
    "taken",
];

pub(super) struct Meter {
    destination: String,
    attempts: [OnceLock<Counter>; CLASSES.len()],
    seconds: OnceLock<Histogram>,
    lag: OnceLock<Histogram>,
    delivered: OnceLock<Counter>,
    dead: OnceLock<Counter>,
    in_flight: OnceLock<Gauge>,
    limit: OnceLock<Gauge>,
    breaker: OnceLock<(Gauge, Counter)>,
    disabled: OnceLock<Gauge>,
}

impl Meter {
    pub(super) fn new(destination: &str) -> Self {
        Self {
            destination: destination.to_owned(),
            attempts: [const { OnceLock::new() }; CLASSES.len()],
            seconds: OnceLock::new(),
            lag: OnceLock::new(),
            delivered: OnceLock::new(),
            dead: OnceLock::new(),
            in_flight: OnceLock::new(),
            limit: OnceLock::new(),
            breaker: OnceLock::new(),
            disabled: OnceLock::new(),
        }
    }

    pub(super) fn attempt_began(&self) {
        self.in_flight().increment(1.0);
    }

    pub(super) fn attempt_ended(&self) {
        self.in_flight().decrement(1.0);
    }

    pub(super) fn outcome(&self, outcome: &Outcome, took: Duration) {
        let class = class(outcome);
        let made = || counter!(ATTEMPTS, "destination" => self.destination.clone(), "outcome" => CLASSES[class]);
        self.attempts[class].get_or_init(made).increment(1);
        let made = || histogram!(ATTEMPT_SECONDS, "destination" => self.destination.clone());
        self.seconds.get_or_init(made).record(took.as_secs_f64());
    }

    pub(super) fn delivered(&self, lag_ms: u64) {
        let made = || histogram!(LAG_SECONDS, "destination" => self.destination.clone());
        self.lag.get_or_init(made).record(lag_ms as f64 / 1_000.0);
        self.end(&self.delivered, DeliveryState::Delivered);
    }

    pub(super) fn dead(&self) {
        self.end(&self.dead, DeliveryState::Dead);
    }

    /// Attempts at once that are allowed now.
    pub(super) fn limit(&self, limit: usize) {
        let made = || gauge!(IN_FLIGHT_LIMIT, "destination" => self.destination.clone());
        self.limit.get_or_init(made).set(limit as f64);
    }

    pub(super) fn breaker_opened(&self) {
        let made = || {
            let open = gauge!(BREAKER_OPEN, "destination" => self.destination.clone());
            (open, counter!(BREAKER_OPENINGS, "destination" => self.destination.clone()))
        };
        let (open, openings) = self.breaker.get_or_init(made);
        open.set(1.0);
        openings.increment(1);
    }

    pub(super) fn breaker_closed(&self) {
        if let Some((open, _)) = self.breaker.get() {
            open.set(0.0);
        }
    }

    pub(super) fn disabled(&self, disabled: bool) {
        if disabled || self.disabled.get().is_some() {
            let made = || gauge!(DISABLED, "destination" => self.destination.clone());
            self.disabled.get_or_init(made).set(f64::from(u8::from(disabled)));
        }
    }

    fn end(&self, counter: &OnceLock<Counter>, state: DeliveryState) {
        let made = || counter!(DELIVERIES, "destination" => self.destination.clone(), "state" => state.as_str());
        counter.get_or_init(made).increment(1);
    }

    fn in_flight(&self) -> &Gauge {
        let made = || gauge!(IN_FLIGHT, "destination" => self.destination.clone());
        self.in_flight.get_or_init(made)
    }
}

/// A place in `CLASSES`.
fn class(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Answered { status: status @ 100..=599, .. } => usize::from(status / 100) - 1,
        Outcome::Answered { .. } => 5,
        Outcome::Failed { cause, .. } => match cause {
            Cause::Dns => 6,
            Cause::Refused => 7,
            Cause::Connect => 8,
            Cause::Tls => 9,
            Cause::Timeout => 10,
            Cause::Protocol => 11,
            Cause::Request => 12,
            Cause::Credentials => 13,
            Cause::Write => 14,
        },
        Outcome::Taken => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_class() {
        let answered = |status| {
            CLASSES[class(&Outcome::Answered {
                status,
                retry_after_s: None,
                excerpt: Default::default(),
            })]
        };
        assert_eq!(
            [101, 204, 308, 404, 503, 999, 7].map(answered),
            ["1xx", "2xx", "3xx", "4xx", "5xx", "other", "other"]
        );
        for cause in Cause::ALL {
            let failed = Outcome::Failed { cause, message: String::new() };
            assert_eq!(CLASSES[class(&failed)], cause.as_str());
        }
    }
}
