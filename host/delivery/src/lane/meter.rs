//! The metrics of one destination's attempts. But for what alerts watch, each handle is made
//! when it is first used: ten thousand destinations that never fail need no
//! counter for each kind of failure.
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::kinds::Kind;
use hookwright_model::metrics::{
    ATTEMPT_SECONDS, ATTEMPTS, BREAKER_OPENINGS, DELIVERIES, FAILED_ATTEMPTS, IN_FLIGHT,
    LAG_SECONDS,
};
use hookwright_model::{Cause, DeliveryState, Outcome};

const CLASSES: [&str; 17] = [
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
    "queue",
];

/// An answer of a URL that went well.
const OK: Outcome = Outcome::Answered { status: 200, retry_after_s: None, excerpt: Bytes::new() };

/// Counts what becomes of one destination's attempts and deliveries. The lane owns it; its attempts tell it what they come to.
pub(crate) struct Meter {
    destination: String,
    attempts: [OnceLock<Counter>; CLASSES.len()],
    failed: Counter,
    seconds: OnceLock<Histogram>,
    lag: OnceLock<Histogram>,
    delivered: Counter,
    dead: Counter,
    openings: Counter,
    in_flight: OnceLock<Gauge>,
}

impl Meter {
    /// What alerts watch is there from the start: a rate sees only what grows.
    pub(super) fn new(destination: &str) -> Self {
        let destination = destination.to_owned();
        let ended = |state: DeliveryState| {
            let name = destination.clone();
            counter!(DELIVERIES, "destination" => name, "state" => state.as_str())
        };
        Self {
            attempts: [const { OnceLock::new() }; CLASSES.len()],
            failed: counter!(FAILED_ATTEMPTS, "destination" => destination.clone()),
            seconds: OnceLock::new(),
            lag: OnceLock::new(),
            delivered: ended(DeliveryState::Delivered),
            dead: ended(DeliveryState::Dead),
            openings: counter!(BREAKER_OPENINGS, "destination" => destination.clone()),
            in_flight: OnceLock::new(),
            destination,
        }
    }

    pub(crate) fn attempt_began(&self) {
        self.in_flight().increment(1.0);
    }

    pub(crate) fn attempt_ended(&self) {
        self.in_flight().decrement(1.0);
    }

    /// The series of attempts that go well is there before the first of them,
    /// for a share of those that fail.
    pub(super) fn begin(&self, kind: &dyn Kind) {
        let good = if kind.accepts_without_status() { Outcome::Accepted } else { OK };
        self.attempts(class(&good)).increment(0);
    }

    fn attempts(&self, class: usize) -> &Counter {
        let made = || counter!(ATTEMPTS, "destination" => self.destination.clone(), "outcome" => CLASSES[class]);
        self.attempts[class].get_or_init(made)
    }

    pub(crate) fn outcome(&self, outcome: &Outcome, took: Duration) {
        self.attempts(class(outcome)).increment(1);
        // Nothing was sent: no failure of the destination, nor its time.
        if outcome.is_no_attempt() {
            return;
        }
        if !outcome.is_success() {
            self.failed.increment(1);
        }
        let made = || histogram!(ATTEMPT_SECONDS, "destination" => self.destination.clone());
        self.seconds.get_or_init(made).record(took.as_secs_f64());
    }

    pub(crate) fn delivered(&self, lag_ms: u64) {
        let made = || histogram!(LAG_SECONDS, "destination" => self.destination.clone());
        self.lag.get_or_init(made).record(lag_ms as f64 / 1_000.0);
        self.delivered.increment(1);
    }

    pub(crate) fn dead(&self) {
        self.dead.increment(1);
    }

    pub(super) fn breaker_opened(&self) {
        self.openings.increment(1);
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
            Cause::Queue => 16,
        },
        Outcome::Accepted => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_model::metrics::GOOD_OUTCOMES;

    /// A wait for a free stream of our own connection, with nothing sent, was counted
    /// as a failure of the destination, and what had no credentials too.
    #[test]
    fn regression_what_was_not_sent_is_no_failed_attempt() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let meter = Meter::new("ci");
            meter.outcome(&OK, Duration::from_secs(1));
            for cause in Cause::ALL {
                let failed = Outcome::Failed { cause, message: String::new() };
                meter.outcome(&failed, Duration::from_secs(1));
            }
        });
        let page = recorder.handle().render();
        let sent = Cause::ALL.len() - 2;
        for line in [
            format!("{FAILED_ATTEMPTS}{{destination=\"ci\"}} {sent}"),
            format!("{ATTEMPT_SECONDS}_count{{destination=\"ci\"}} {}", sent + 1),
            format!("{ATTEMPTS}{{destination=\"ci\",outcome=\"queue\"}} 1"),
            format!("{ATTEMPTS}{{destination=\"ci\",outcome=\"credentials\"}} 1"),
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

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
        // Whoever counts successes by the metric counts the same ones.
        let failed = Cause::ALL.map(|cause| Outcome::Failed { cause, message: String::new() });
        let statuses = (100..1_000).map(|status| Outcome::Answered {
            status,
            retry_after_s: None,
            excerpt: Default::default(),
        });
        for outcome in statuses.chain(failed).chain([Outcome::Accepted]) {
            let good = GOOD_OUTCOMES.contains(&CLASSES[class(&outcome)]);
            assert_eq!(good, outcome.is_success(), "{outcome:?}");
        }
    }
}
