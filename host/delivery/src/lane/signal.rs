//! What one attempt says about its destination, not about its event: what the lane's health is told. Pure.
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::breaker::Signal;
use hookwright_model::{Disposition, Response};

/// What an attempt says about the destination, not about its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthSignal {
    /// It answers; it may refuse the event.
    Healthy,
    Failing,
    /// It took too long.
    Slow,
    /// It has too much to do, and asks for a pause where it says so.
    Throttled {
        pause: Option<Duration>,
        /// It counts as a failure too.
        failing: bool,
    },
    /// Nothing was sent: the delivery is at fault.
    Neutral,
    /// Nothing was sent, nor can be: there is no key or token that works.
    NoCredentials {
        /// Not before then, where that is known.
        until: Option<Instant>,
    },
    /// Nothing was sent: it waited too long for its turn among our own requests.
    Queued,
}

impl HealthSignal {
    /// Credentials that the receiver refuses are its failure to know us.
    pub(super) fn of(response: &Response) -> Self {
        match response.disposition {
            Disposition::Accepted { .. }
            | Disposition::Refused
            | Disposition::Rejected { .. }
            | Disposition::Gone { .. } => Self::Healthy,
            Disposition::Throttled { failing } => {
                Self::Throttled { pause: response.retry_after, failing }
            }
            Disposition::TimedOut => Self::Slow,
            Disposition::Unauthorised
            | Disposition::Unreachable
            | Disposition::Failed
            | Disposition::Looped { .. } => Self::Failing,
            Disposition::Unsendable { .. } => Self::Neutral,
            Disposition::NoCredentials { until } => Self::NoCredentials { until },
            Disposition::Queued => Self::Queued,
        }
    }

    /// What it says to the breaker.
    pub(super) fn for_breaker(self) -> Signal {
        match self {
            Self::Healthy => Signal::Success,
            Self::Failing | Self::Slow | Self::Throttled { failing: true, .. } => Signal::Failure,
            Self::Throttled { failing: false, .. }
            | Self::Neutral
            | Self::NoCredentials { .. }
            | Self::Queued => Signal::Neutral,
        }
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::{Blame, Cause, Outcome};

    use super::*;

    #[test]
    fn only_what_tells_of_the_destination_is_a_signal() {
        let signal = |disposition, retry_after_s: Option<u64>| {
            let response = Response::new(Outcome::Accepted, disposition, Blame::Nothing);
            let retry_after = retry_after_s.map(Duration::from_secs);
            HealthSignal::of(&Response { retry_after, ..response })
        };
        let failed = |cause| HealthSignal::of(&Response::failed(cause, String::new()));
        let why = || "so".into();
        let healthy = [
            Disposition::Accepted { reference: None },
            Disposition::Refused,
            Disposition::Rejected { why: why() },
            Disposition::Gone { why: why() },
        ];
        for disposition in healthy {
            assert_eq!(signal(disposition, None), HealthSignal::Healthy);
        }
        let failing =
            [Disposition::Unauthorised, Disposition::Failed, Disposition::Looped { why: why() }];
        for disposition in failing {
            assert_eq!(signal(disposition, None), HealthSignal::Failing);
        }
        let pause = Some(Duration::from_secs(30));
        for failing in [false, true] {
            let throttled = || Disposition::Throttled { failing };
            assert_eq!(signal(throttled(), Some(30)), HealthSignal::Throttled { pause, failing });
            let unasked = HealthSignal::Throttled { pause: None, failing };
            assert_eq!(signal(throttled(), None), unasked);
        }
        assert_eq!(failed(Cause::Timeout), HealthSignal::Slow);
        assert_eq!(failed(Cause::Request), HealthSignal::Neutral);
        assert_eq!(failed(Cause::Connect), HealthSignal::Failing);
        assert_eq!(failed(Cause::Credentials), HealthSignal::NoCredentials { until: None });
        assert_eq!(failed(Cause::Queue), HealthSignal::Queued);
    }
}
