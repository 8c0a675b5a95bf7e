//! What one attempt says about its destination, not about its event. Pure.
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::{Cause, Outcome};

/// What an attempt says about the destination, not about its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answers; with a 4xx it dislikes the event.
    Well,
    Ill,
    /// It took too long.
    Late,
    /// It has too much to do, and asks for a pause where it says so.
    Busy {
        pause: Option<Duration>,
        ill: bool,
    },
    /// Nothing was sent: the delivery is at fault.
    Nothing,
    /// Nothing was sent, nor can be: there is no key or token that works.
    Locked {
        /// Not before then, where that is known.
        rest: Option<Instant>,
    },
    /// Nothing was sent: it waited too long for its turn among our own requests.
    Crowded,
}

impl Sign {
    /// Standard Webhooks names 429, 502 and 504 as those that slow down; a 503
    /// that says for how long (RFC 9110, 15.6.4) is treated alike.
    /// A 401 is about who sends, not about what: it is the destination's failure
    /// to know us. `rest` is when credentials may work again.
    pub(super) fn of(outcome: &Outcome, rest: Option<Instant>) -> Self {
        let (status, asked) = match outcome {
            Outcome::Answered { status, retry_after_s, .. } => {
                (*status, retry_after_s.map(Duration::from_secs))
            }
            Outcome::Failed { cause: Cause::Timeout, .. } => return Self::Late,
            Outcome::Failed { cause: Cause::Request, .. } => return Self::Nothing,
            Outcome::Failed { cause: Cause::Credentials, .. } => return Self::Locked { rest },
            Outcome::Failed { cause: Cause::Queue, .. } => return Self::Crowded,
            Outcome::Failed { .. } => return Self::Ill,
            Outcome::Taken => return Self::Well,
        };
        match status {
            429 => Self::Busy { pause: asked, ill: false },
            502 | 504 => Self::Busy { pause: asked, ill: true },
            503 if asked.is_some() => Self::Busy { pause: asked, ill: true },
            408 => Self::Late,
            200..=299 | 400 | 402..=499 => Self::Well,
            _ => Self::Ill,
        }
    }

    pub(super) fn is_ill(self) -> Option<bool> {
        match self {
            Self::Well => Some(false),
            Self::Ill | Self::Late | Self::Busy { ill: true, .. } => Some(true),
            Self::Busy { ill: false, .. } | Self::Nothing | Self::Locked { .. } | Self::Crowded => {
                None
            }
        }
    }
}
