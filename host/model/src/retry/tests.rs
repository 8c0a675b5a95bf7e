//! The retry policy against hostile numbers and the promises of its documentation.
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Blame, Cause};

/// A failure with a code of its protocol.
fn answered(status: u16, retry_after_s: Option<u64>) -> Response {
    with(status, retry_after_s, Disposition::Failed)
}

fn with(status: u16, retry_after_s: Option<u64>, disposition: Disposition) -> Response {
    let outcome = Outcome::Answered { status, retry_after_s, excerpt: Bytes::new() };
    let retry_after = retry_after_s.map(Duration::from_secs);
    Response { retry_after, ..Response::new(outcome, disposition, Blame::Nothing) }
}

fn failed(cause: Cause) -> Response {
    Response::failed(cause, "as the test wants".to_owned())
}

fn steady() -> Policy {
    Policy { jitter: 0.0, ..Policy::default() }
}

#[test]
fn waits_double_to_the_cap() {
    let policy = Policy { attempts: u32::MAX, ..steady() };
    let wait = |tries| match policy.next(tries, &answered(503, None), 0, 0.5) {
        After::At(ms) => ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [1, 2, 3, 12, 13, 1_000].map(wait),
        [1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000]
    );
}

#[test]
fn jitter_spreads_to_both_sides() {
    let policy = Policy { jitter: 0.2, ..Policy::default() };
    assert_eq!(policy.next(1, &answered(500, None), 0, 0.0), After::At(800));
    assert_eq!(policy.next(1, &answered(500, None), 0, 0.5), After::At(1_000));
    assert!(matches!(policy.next(1, &answered(500, None), 0, 0.999), After::At(1_190..=1_200)));
}

#[test]
fn what_the_receiver_accepted_is_delivered_and_what_it_did_not_is_tried_again() {
    assert_eq!(steady().next(1, &Response::accepted(None), 0, 0.5), After::Delivered);
    for disposition in [
        Disposition::Refused,
        Disposition::Throttled { failing: false },
        Disposition::TimedOut,
        Disposition::Unauthorised,
        Disposition::Unreachable,
        Disposition::Failed,
        Disposition::NoCredentials { until: None },
        Disposition::Queued,
    ] {
        let response = with(400, None, disposition);
        assert_eq!(steady().next(1, &response, 7, 0.5), After::At(1_007), "{response:?}");
    }
}

#[test]
fn what_is_final_ends_at_the_first_attempt() {
    let why = std::borrow::Cow::Borrowed("the reason");
    let gone = with(1, Some(5), Disposition::Gone { why: why.clone() });
    assert_eq!(steady().next(1, &gone, 0, 0.5), After::Disable("the reason".to_owned()));
    for disposition in [
        Disposition::Rejected { why: why.clone() },
        Disposition::Looped { why: why.clone() },
        Disposition::Unsendable { why: why.clone() },
    ] {
        let response = with(1, Some(5), disposition);
        assert_eq!(steady().next(1, &response, 0, 0.5), After::Dead("the reason".to_owned()));
    }
}

#[test]
fn failures_are_tried_again_but_for_our_own() {
    for cause in [
        Cause::Dns,
        Cause::Refused,
        Cause::Connect,
        Cause::Tls,
        Cause::Timeout,
        Cause::Protocol,
        Cause::Credentials,
    ] {
        assert_eq!(steady().next(1, &failed(cause), 0, 0.5), After::At(1_000));
    }
    let After::Dead(cause) = steady().next(1, &failed(Cause::Request), 0, 0.5) else {
        panic!("a request that can't be made is given up")
    };
    assert!(cause.contains("as the test wants"));
}

#[test]
fn the_last_attempt_says_why() {
    let policy = Policy { attempts: 3, ..steady() };
    assert!(matches!(policy.next(2, &answered(503, None), 0, 0.5), After::At(_)));
    let After::Dead(cause) = policy.next(3, &answered(503, None), 0, 0.5) else { panic!("dead") };
    assert_eq!(cause, "given up after 3 attempts; the last answer was 503");
    let After::Dead(cause) = policy.next(4, &failed(Cause::Dns), 0, 0.5) else { panic!("dead") };
    assert_eq!(cause, "given up after 4 attempts; the last failed (dns): as the test wants");
}

#[test]
fn retry_after_is_a_bounded_minimum() {
    let day = 24 * 3_600 * 1_000;
    for status in [429, 503, 500, 301] {
        assert_eq!(steady().next(1, &answered(status, Some(30)), 0, 0.5), After::At(30_000));
        assert_eq!(steady().next(1, &answered(status, Some(0)), 0, 0.5), After::At(1_000));
        assert_eq!(steady().next(1, &answered(status, Some(u64::MAX)), 0, 0.5), After::At(day));
    }
    let long = Policy { cap: Duration::from_secs(7 * 24 * 3_600), ..steady() };
    assert_eq!(long.next(1, &answered(503, Some(u64::MAX)), 0, 0.5), After::At(7 * day));
}

#[test]
fn a_schedule_says_each_wait_and_how_many_attempts_there_are() {
    let seconds = |list: &[u64]| list.iter().map(|s| Duration::from_secs(*s)).collect();
    let policy = Policy { schedule: seconds(&[5, 0, 60]), attempts: 2, ..steady() };
    let next = |tries| policy.next(tries, &answered(500, None), 1, 0.5);
    assert_eq!([1, 2, 3].map(next), [5_001, 1, 60_001].map(After::At));
    assert!(matches!(next(4), After::Dead(cause) if cause.contains("after 4 attempts")));
    let asked = policy.next(2, &answered(503, Some(30)), 1, 0.5);
    assert_eq!(asked, After::At(30_001), "a retry-after is a minimum here too");
    let spread = Policy { jitter: 0.5, ..policy.clone() };
    assert_eq!(spread.next(1, &answered(500, None), 0, 0.0), After::At(2_500));
}

#[test]
fn an_age_ends_it_at_the_attempt_that_would_come_too_late() {
    let policy = Policy { max_age: Some(Duration::from_secs(10)), ..steady() };
    let outcome = answered(500, None).outcome;
    for (due, given_up) in [(0, false), (10_007, false), (10_008, true), (u64::MAX, true)] {
        let after = policy.unless_aged(After::At(due), 7, &outcome);
        match after {
            After::Dead(cause) if given_up => {
                assert_eq!(cause, "given up at its age (`retry.max_age`); the last answer was 500");
            }
            after => assert_eq!((after, given_up), (After::At(due), false)),
        }
    }
    assert_eq!(policy.unless_aged(After::Delivered, 0, &outcome), After::Delivered);
    assert_eq!(steady().unless_aged(After::At(u64::MAX), 0, &outcome), After::At(u64::MAX));
}

#[test]
fn what_is_never_to_be_tried_again_is_given_up_at_once() {
    let never = Never(vec!["404".parse().unwrap(), "tls".parse().unwrap()]);
    let policy = Policy { never, ..steady() };
    let After::Dead(cause) = policy.next(1, &answered(404, Some(5)), 0, 0.5) else {
        panic!("dead")
    };
    assert_eq!(cause, "not to be tried again (`retry.never`); the last answer was 404");
    assert!(matches!(policy.next(1, &failed(Cause::Tls), 0, 0.5), After::Dead(_)));
    assert_eq!(policy.next(1, &answered(400, None), 0, 0.5), After::At(1_000));
    let gone = with(410, None, Disposition::Gone { why: "gone".into() });
    assert!(matches!(policy.next(1, &gone, 0, 0.5), After::Disable(_)));
}

#[test]
fn the_first_attempt_may_wait() {
    let policy = Policy { first: Duration::from_secs(3), ..steady() };
    assert_eq!(policy.first_due_ms(5), 3_005);
    let policy = Policy { first: Duration::MAX, ..steady() };
    assert_eq!(policy.first_due_ms(5), u64::MAX);
}

fn any_response() -> impl Strategy<Value = Response> {
    let causes = prop::sample::select(Cause::ALL.to_vec());
    prop_oneof![
        (any::<u16>(), any::<Option<u64>>()).prop_map(|(status, after)| answered(status, after)),
        causes.prop_map(failed),
    ]
}

prop_compose! {
    fn any_policy()(
        base: Duration, factor: f64, cap: Duration, jitter: f64, attempts: u32, first: Duration,
    ) -> Policy {
        Policy { base, factor, cap, jitter, attempts, first, ..Policy::default() }
    }
}

proptest! {
    #[test]
    fn any_numbers_give_a_time_not_before_now(
        policy in any_policy(), tries: u32, response in any_response(), now: u64, unit: f64,
    ) {
        if let After::At(due) = policy.next(tries, &response, now, unit) {
            prop_assert!(due >= now);
            prop_assert!(tries < policy.attempts);
        }
    }

    #[test]
    fn waits_keep_to_the_cap_and_the_jitter(
        base_ms in 1u64..100_000, factor in 1.0f64..1e300, cap_ms in 1u64..10_000_000,
        jitter in 0.0f64..1.0, tries: u32, unit in 0.0f64..1.0,
    ) {
        let policy = Policy {
            base: Duration::from_millis(base_ms), factor, cap: Duration::from_millis(cap_ms), jitter,
            attempts: u32::MAX, ..Policy::default()
        };
        let tries = tries.min(u32::MAX - 1);
        let After::At(wait) = policy.next(tries, &answered(500, None), 0, unit) else {
            return Err(TestCaseError::fail("a failure before the last attempt is tried again"));
        };
        let least = base_ms.min(cap_ms) as f64 * (1.0 - jitter) - 1.0;
        let most = cap_ms as f64 * (1.0 + jitter) + 1.0;
        prop_assert!((least..=most).contains(&(wait as f64)), "{wait} not in {least}..={most}");
    }

    #[test]
    fn waits_never_shrink_from_one_failure_to_the_next(
        base_ms in 0u64..100_000, factor in 1.0f64..10.0, tries in 1u32..1_000,
    ) {
        let policy = Policy {
            base: Duration::from_millis(base_ms), factor, jitter: 0.0, attempts: u32::MAX, ..Policy::default()
        };
        let wait = |tries| match policy.next(tries, &answered(500, None), 0, 0.5) {
            After::At(due) => due,
            other => panic!("{other:?}"),
        };
        prop_assert!(wait(tries) <= wait(tries + 1));
    }
}
