//! What an answer over HTTP means: statuses in, [`Response`] out. Nothing outside of this module knows a status.
use std::time::Duration;

use hookwright_model::{Blame, Disposition, Outcome, Response};

/// What the client brought back, with its meaning. Only a 2xx is accepted: a 3xx
/// is a failure too, since redirects are never followed.
pub(super) fn response(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Answered { status, retry_after_s, .. } => {
            let retry_after = retry_after_s.map(Duration::from_secs);
            let disposition = disposition(status, retry_after.is_some());
            Response { retry_after, ..Response::new(outcome, disposition, blame(status)) }
        }
        Outcome::Failed { cause, message } => Response::failed(cause, message),
        Outcome::Accepted => Response::accepted(None),
    }
}

/// Standard Webhooks names 410 for a destination that is gone, and 429, 502 and 504
/// as those that slow down; a 503 that says for how long (RFC 9110, 15.6.4) is
/// treated alike. A 508 is Loop Detected (RFC 5842), as Hookwright itself answers.
/// A 401 is about who sends, not about what. A 400 or 404 is tried again, because a
/// receiver that is just being deployed answers so.
fn disposition(status: u16, asks_for_a_pause: bool) -> Disposition {
    match status {
        200..=299 => Disposition::Accepted { reference: None },
        401 => Disposition::Unauthorised,
        408 => Disposition::TimedOut,
        410 => Disposition::Gone { why: "the destination answered 410 (gone)".into() },
        429 => Disposition::Throttled { failing: false },
        400..=499 => Disposition::Refused,
        502 | 504 => Disposition::Throttled { failing: true },
        503 if asks_for_a_pause => Disposition::Throttled { failing: true },
        508 => {
            let why = "the destination answered 508: the event goes round in a loop";
            Disposition::Looped { why: why.into() }
        }
        _ => Disposition::Failed,
    }
}

/// Statuses that are the same for whatever is sent blame no content: credentials,
/// the URL, the protocol, too many requests.
fn blame(status: u16) -> Blame {
    match status {
        413 => Blame::Size,
        400 | 406 | 409 | 415 | 422 => Blame::Content,
        200..=299 | 401 | 402 | 405 | 407 | 410 | 421 | 426 | 429 | 451 | 511 => Blame::Nothing,
        _ => Blame::Perhaps,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookwright_model::retry::{After, Policy};

    use super::*;

    fn answered(status: u16, retry_after_s: Option<u64>) -> Response {
        response(Outcome::Answered { status, retry_after_s, excerpt: Default::default() })
    }

    fn next(response: &Response) -> After {
        let steady = Policy { jitter: 0.0, ..Policy::default() };
        steady.next(1, response, 7, 0.5)
    }

    #[test]
    fn only_a_2xx_is_success() {
        for status in 0..1_000 {
            let response = answered(status, None);
            assert_eq!(response.is_accepted(), (200..300).contains(&status), "{status}");
            assert_eq!(response.is_accepted(), response.outcome.is_success(), "{status}");
        }
        for status in 200..300 {
            assert_eq!(next(&answered(status, None)), After::Delivered);
        }
        for status in
            [101, 199, 300, 301, 302, 304, 307, 400, 401, 404, 408, 425, 429, 500, 503, 999]
        {
            assert_eq!(next(&answered(status, None)), After::At(1_007), "{status}");
        }
    }

    #[test]
    fn a_410_disables_even_at_the_first_attempt() {
        let gone = "the destination answered 410 (gone)".to_owned();
        assert_eq!(next(&answered(410, Some(5))), After::Disable(gone));
    }

    #[test]
    fn a_loop_ends_at_once() {
        let After::Dead(cause) = next(&answered(508, Some(5))) else { panic!("dead") };
        assert_eq!(cause, "the destination answered 508: the event goes round in a loop");
    }

    #[test]
    fn retry_after_counts_whatever_the_status() {
        for status in [429, 503, 500, 301] {
            assert_eq!(answered(status, Some(30)).retry_after, Some(Duration::from_secs(30)));
            assert_eq!(next(&answered(status, Some(30))), After::At(30_007));
        }
    }

    #[test]
    fn what_says_nothing_of_the_content_splits_nothing() {
        let blame = |status| answered(status, None).blame;
        for status in [400, 413, 422] {
            assert!(blame(status).is_content() && blame(status).is_possible());
        }
        for status in [403, 404, 500, 503, 508] {
            assert!(!blame(status).is_content() && blame(status).is_possible());
        }
        for status in [401, 410, 429] {
            assert!(!blame(status).is_content() && !blame(status).is_possible());
        }
    }

    #[test]
    fn a_status_means_what_its_rfc_says_of_it() {
        let means = |status, retry_after_s| answered(status, retry_after_s).disposition;
        for status in [400, 403, 404, 422] {
            assert!(matches!(means(status, None), Disposition::Refused), "{status}");
        }
        for status in [301, 500, 503] {
            assert!(matches!(means(status, None), Disposition::Failed), "{status}");
        }
        assert!(matches!(means(200, None), Disposition::Accepted { reference: None }));
        assert!(matches!(means(401, None), Disposition::Unauthorised));
        assert!(matches!(means(408, None), Disposition::TimedOut));
        assert!(matches!(means(410, None), Disposition::Gone { .. }));
        assert!(matches!(means(429, Some(30)), Disposition::Throttled { failing: false }));
        assert!(matches!(means(503, Some(30)), Disposition::Throttled { failing: true }));
        for status in [502, 504] {
            assert!(matches!(means(status, None), Disposition::Throttled { failing: true }));
        }
    }
}
