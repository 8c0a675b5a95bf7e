//! The breaker, the slow-down and the limit, without a lane around them.
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::lane::health::{Health, HealthPolicy};
use crate::lane::signal::HealthSignal;
use hookwright_model::breaker::{Change, State as Position};
use hookwright_model::sliding_counter::Counts;
use hookwright_settings::Breaker;

const SECOND: Duration = Duration::from_secs(1);

fn care(in_flight: usize) -> HealthPolicy {
    HealthPolicy { breaker: Some(Breaker::default()), adaptive: true, in_flight }
}

/// One attempt after the other with this sign; what the last one changed.
fn attempts(
    health: &mut Health,
    count: usize,
    signal: HealthSignal,
    now: Instant,
) -> Option<Change> {
    let mut change = None;
    for _ in 0..count {
        let ticket = health.began();
        change = health.ended(ticket, signal, now);
    }
    change
}

#[test]
fn the_first_attempt_without_credentials_ends_them_all_for_a_while() {
    let start = Instant::now();
    let until = Some(start + 30 * SECOND);
    let mut health = Health::new(care(8));
    let early: Vec<_> = (0..8).map(|_| health.began()).collect();
    let locked = HealthSignal::NoCredentials { until };
    assert_eq!(health.ended(early[0], locked, start), Some(opened(30, (1, 1))), "as it asks");
    for ticket in &early[1..] {
        assert_eq!(health.ended(*ticket, locked, start), None, "they began before");
    }
    assert!(health.is_locked() && health.is_open());
    let mut now = start;
    for wait in [20, 40] {
        now += 60 * SECOND;
        assert_eq!(health.open_until(now), None);
        let change = attempts(&mut health, 1, HealthSignal::NoCredentials { until: None }, now);
        assert_eq!(change, Some(opened(wait, (1, 1))));
    }
    assert_eq!(health.open_until(now + 60 * SECOND), None);
    assert_eq!(attempts(&mut health, 3, HealthSignal::Healthy, now), Some(Change::Closed));
    assert!(!health.is_locked());
    let never = Instant::now() + 1_000_000 * SECOND;
    let change = attempts(&mut health, 1, HealthSignal::NoCredentials { until: Some(never) }, now);
    assert_eq!(change, Some(opened(3_600, (1, 1))), "no wait is without end");

    let mut health = Health::new(HealthPolicy { breaker: None, adaptive: false, in_flight: 8 });
    for pause in [1, 2, 4] {
        assert_eq!(
            attempts(&mut health, 5, HealthSignal::NoCredentials { until: None }, now),
            None
        );
        assert_eq!(health.paused_until(), Some(now + pause * SECOND));
        now += 60 * SECOND;
    }
    attempts(&mut health, 1, HealthSignal::Healthy, now);
    attempts(&mut health, 1, locked, now);
    assert_eq!(health.paused_until(), Some(now + SECOND), "it was well in between");
}

#[test]
fn a_crowd_of_our_own_only_makes_fewer_at_once() {
    let mut health = Health::new(care(8));
    let now = Instant::now();
    assert_eq!(attempts(&mut health, 100, HealthSignal::Queued, now), None);
    assert_eq!((health.limit(), health.paused_until()), (1, None));
}

#[test]
fn the_breaker_opens_by_the_ratio_probes_and_closes() {
    let mut health = Health::new(care(8));
    let start = Instant::now();
    assert_eq!(attempts(&mut health, 19, HealthSignal::Failing, start), None, "too few");
    assert_eq!(attempts(&mut health, 5, HealthSignal::Healthy, start), None);
    assert_eq!(attempts(&mut health, 1, HealthSignal::Failing, start), Some(opened(10, (20, 25))));
    assert_eq!(health.admit(0), Err(Some(start + 10 * SECOND)));
    assert_eq!(health.open_until(start + 9 * SECOND), Some(start + 10 * SECOND));

    // Each probe that fails doubles the wait, to the cap.
    let mut now = start;
    let mut wait = 10;
    for _ in 0..6 {
        now += wait * SECOND;
        assert_eq!(health.open_until(now), None);
        assert_eq!(health.admit(0), Ok(()));
        let ticket = health.began();
        assert_eq!(health.admit(1), Err(None), "one probe at a time");
        wait = (wait * 2).min(300);
        assert_eq!(health.ended(ticket, HealthSignal::Failing, now), Some(opened(wait, (1, 1))));
    }
    now += wait * SECOND;
    assert_eq!(health.open_until(now), None);
    assert_eq!(attempts(&mut health, 2, HealthSignal::Healthy, now), None);
    assert_eq!(attempts(&mut health, 1, HealthSignal::Healthy, now), Some(Change::Closed));
    assert_eq!(attempts(&mut health, 19, HealthSignal::Failing, now), None, "it begins anew");
    assert_eq!(attempts(&mut health, 1, HealthSignal::Failing, now), Some(opened(10, (20, 20))));
}

fn opened(wait: u32, (failed, all): (u32, u32)) -> Change {
    Change::Opened { wait: wait * SECOND, counts: Counts { failed, all } }
}

#[test]
fn what_was_under_way_when_it_opened_says_nothing_any_more() {
    let mut health = Health::new(care(100));
    let now = Instant::now();
    let early: Vec<_> = (0..50).map(|_| health.began()).collect();
    let changes: Vec<_> = early
        .iter()
        .filter_map(|ticket| health.ended(*ticket, HealthSignal::Failing, now))
        .collect();
    assert_eq!(changes, [opened(10, (20, 20))]);
    assert_eq!(health.open_until(now + 10 * SECOND), None);
    assert_eq!(health.ended(early[49], HealthSignal::Failing, now), None);
    assert_eq!(health.state(), Position::HalfOpen { probing: false, succeeded: 0 });
    // One that was cut off frees the place of the probe.
    let ticket = health.began();
    health.abandoned(ticket);
    assert_eq!(health.admit(0), Ok(()));
}

#[test]
fn failures_of_long_ago_do_not_count() {
    let mut health = Health::new(care(8));
    let start = Instant::now();
    for step in 0..100 {
        let now = start + step * 4 * SECOND;
        assert_eq!(
            attempts(&mut health, 1, HealthSignal::Failing, now),
            None,
            "15 within a minute"
        );
    }
    let now = start + 400 * SECOND;
    assert_eq!(attempts(&mut health, 100, HealthSignal::Healthy, now), None);
    assert_eq!(attempts(&mut health, 300, HealthSignal::Failing, now), None, "300 of 415");
}

#[test]
fn the_limit_is_halved_once_a_round_and_comes_back_by_one_a_round() {
    let mut health = Health::new(care(64));
    let now = Instant::now();
    let busy = HealthSignal::Throttled { pause: None, failing: false };
    let together: Vec<_> = (0..64).map(|_| health.began()).collect();
    for ticket in together {
        health.ended(ticket, busy, now);
    }
    assert_eq!(health.limit(), 32, "64 answers of one moment are one sign");
    for expected in [16, 8, 4, 2, 1] {
        attempts(&mut health, 1, HealthSignal::Slow, now);
        assert_eq!(health.limit(), expected);
    }
    assert_eq!(health.paused_until(), None);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        attempts(&mut health, 1, busy, now);
        assert_eq!(health.paused_until().map(|at| at - now), Some(wait * SECOND));
    }
    attempts(
        &mut health,
        1,
        HealthSignal::Throttled { pause: Some(999_999 * SECOND), failing: false },
        now,
    );
    assert_eq!(health.paused_until().map(|at| at - now), Some(3_600 * SECOND));
    // 1 + 2 + … + 63 successes, since each adds its share of a round.
    attempts(&mut health, 1_900, HealthSignal::Healthy, now);
    assert!((56..64).contains(&health.limit()), "{}", health.limit());
    attempts(&mut health, 1_000, HealthSignal::Healthy, now);
    assert_eq!(health.limit(), 64);
}

proptest! {
    /// Whatever happens, the limit stays in its bounds, and an open breaker lets nothing through.
    #[test]
    fn the_bounds_hold(most in 1usize..50, steps in prop::collection::vec((0u8..6, 0u64..30_000), 0..300)) {
        let mut health = Health::new(care(most));
        let mut now = Instant::now();
        let mut under_way = Vec::new();
        for (kind, ms) in steps {
            now += Duration::from_millis(ms);
            let open = health.open_until(now).is_some();
            prop_assert_eq!(open, health.is_open());
            let admitted = health.admit(under_way.len()).is_ok();
            prop_assert!(!(open && admitted));
            if admitted {
                under_way.push(health.began());
            }
            let sign = match kind {
                0 | 1 => HealthSignal::Healthy,
                2 => HealthSignal::Failing,
                3 => HealthSignal::Slow,
                4 => HealthSignal::Throttled { pause: None, failing: true },
                _ => HealthSignal::Throttled { pause: Some(Duration::from_millis(ms)), failing: false },
            };
            if under_way.len() > usize::from(kind) {
                health.ended(under_way.remove(0), sign, now);
            }
            prop_assert!((1..=most).contains(&health.limit()));
        }
    }
}
