//! What an attempt means in no protocol's terms: what retries, health and batches decide by.
use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Cause, Outcome};

/// What a kind of destination answers for an attempt. The kind maps its protocol's
/// codes to it; nobody else knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What is kept of the attempt, with the protocol's own code.
    pub outcome: Outcome,
    /// What it means.
    pub disposition: Disposition,
    /// The receiver asks for no attempt before this time has passed. None: it
    /// asks for nothing.
    pub retry_after: Option<Duration>,
    /// Whether one of several deliveries that left together is at fault.
    pub blame: Blame,
}

/// The meaning of an attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// The receiver has taken the delivery over.
    Accepted {
        /// What it calls the delivery: an offset, a message id. None where the
        /// protocol has none, or `outcome` holds it.
        reference: Option<Box<str>>,
    },
    /// The receiver works and does not want this delivery now; a later attempt may succeed.
    Refused,
    /// The receiver works and will never want this delivery. Final.
    Rejected {
        /// For people.
        why: Cow<'static, str>,
    },
    /// The delivery comes back to where it came from. Final.
    Looped {
        /// For people.
        why: Cow<'static, str>,
    },
    /// The delivery could not be made into a message: it is at fault. Final, and
    /// nothing was sent.
    Unsendable {
        /// For people.
        why: Cow<'static, str>,
    },
    /// The receiver is gone and wants no deliveries any more: the destination is disabled.
    Gone {
        /// For people.
        why: Cow<'static, str>,
    },
    /// The receiver has too much to do.
    Throttled {
        /// It counts as a failure of the receiver too.
        failing: bool,
    },
    /// There was no answer in time.
    TimedOut,
    /// The receiver does not accept who sends.
    Unauthorised,
    /// The receiver could not be reached.
    Unreachable,
    /// The receiver, or the way to it, failed.
    Failed,
    /// Nothing was sent: there is no key or token that works. Uses up no attempt.
    NoCredentials {
        /// When there may be one, where that is known.
        until: Option<Instant>,
    },
    /// Nothing was sent: the delivery waited in vain for its turn among our own.
    /// Uses up no attempt.
    Queued,
}

/// Whether the content of a message may be why it was not accepted: a batch is
/// split to find the one delivery at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The message is too large. A batch is split at once, and later ones are smaller.
    Size,
    /// The content. A batch is split at once.
    Content,
    /// Perhaps: a receiver may crash over the content, run into its own time limit,
    /// or have a filter before it. A batch is split before a delivery is given up.
    Perhaps,
    /// No: any content would have met the same.
    Nothing,
}

impl Response {
    /// An attempt that the receiver accepted without a code of its own.
    pub fn accepted(reference: Option<Box<str>>) -> Self {
        let disposition = Disposition::Accepted { reference };
        Self::new(Outcome::Accepted, disposition, Blame::Nothing)
    }

    /// An attempt that no answer of the receiver ended.
    pub fn failed(cause: Cause, message: String) -> Self {
        let disposition = match cause {
            Cause::Dns | Cause::Refused | Cause::Connect | Cause::Tls => Disposition::Unreachable,
            Cause::Timeout => Disposition::TimedOut,
            Cause::Request => {
                let why = format!("the request could not be made: {message}").into();
                Disposition::Unsendable { why }
            }
            Cause::Credentials => Disposition::NoCredentials { until: None },
            Cause::Queue => Disposition::Queued,
            Cause::Protocol | Cause::Write => Disposition::Failed,
        };
        let blame = match cause {
            Cause::Timeout | Cause::Protocol => Blame::Perhaps,
            _ => Blame::Nothing,
        };
        Self::new(Outcome::Failed { cause, message }, disposition, blame)
    }

    /// With no `retry_after`.
    pub fn new(outcome: Outcome, disposition: Disposition, blame: Blame) -> Self {
        Self { outcome, disposition, retry_after: None, blame }
    }

    /// Whether the receiver has taken the delivery over.
    pub fn is_accepted(&self) -> bool {
        matches!(self.disposition, Disposition::Accepted { .. })
    }

    /// Whether nothing was sent for reasons that are neither the event's nor the
    /// destination's answer: the delivery keeps its attempts.
    pub fn is_no_attempt(&self) -> bool {
        matches!(self.disposition, Disposition::NoCredentials { .. } | Disposition::Queued)
    }
}

impl Blame {
    /// Whether the answer is about what was sent, and not about the sender, the
    /// place or the moment.
    pub fn is_content(self) -> bool {
        matches!(self, Self::Size | Self::Content)
    }

    /// Whether one delivery may be to blame for what came of the whole message.
    pub fn is_possible(self) -> bool {
        self != Self::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_and_what_is_kept_of_it_agree() {
        for cause in Cause::ALL {
            let response = Response::failed(cause, String::new());
            assert_eq!(response.is_accepted(), response.outcome.is_success(), "{cause:?}");
            assert_eq!(response.is_no_attempt(), response.outcome.is_no_attempt(), "{cause:?}");
            let may = matches!(cause, Cause::Timeout | Cause::Protocol);
            assert_eq!(response.blame.is_possible(), may, "{cause:?}");
            assert!(!response.blame.is_content(), "{cause:?}");
        }
        let accepted = Response::accepted(Some("7".into()));
        assert!(accepted.is_accepted() && accepted.outcome.is_success());
    }
}
