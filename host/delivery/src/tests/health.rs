//! The breaker, the slow-down and the limit of whole lanes, in paused time.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::State;
use hookwright_model::DeliveryState;
use hookwright_settings::Breaker;
use hookwright_store::Condition;
use hookwright_testkit::receiver::{Receiver, Reply, answer, status};

const SECOND: Duration = Duration::from_secs(1);

/// With the defaults of the settings.
fn cared_for(receiver: &Receiver) -> Destination {
    Destination {
        adaptive: true,
        breaker: Some(Breaker::default()),
        policy: Policy { jitter: 0.0, ..Policy::default() },
        ..to(receiver)
    }
}

fn state(bench: &Bench) -> State {
    bench.handle.status()[0].state
}

/// The promise: "deliveries wait while open, none is lost and attempts are not consumed".
#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_deliveries_wait_and_use_no_attempt_up() {
    static WELL: AtomicBool = AtomicBool::new(false);
    let receiver =
        Receiver::start(|_| status(if WELL.load(Ordering::SeqCst) { 200 } else { 500 })).await;
    let bench = Bench::start(one(cared_for(&receiver)));
    bench.store.add(deliveries(0..500, "a"));
    bench
        .store
        .until(|store| store.rows("a").iter().filter(|row| !row.attempts.is_empty()).count() >= 20)
        .await;
    tokio::time::advance(Duration::from_millis(1)).await;
    bench.store.add(deliveries(500..520, "a"));
    assert_eq!(state(&bench), State::BreakerOpen);
    assert_eq!(bench.handle.status()[0].window, 0, "a shut lane holds nothing in memory");
    // An outage of six hours: far longer than the 16 attempts of each would last without it.
    let until = Instant::now() + 6 * 3_600 * SECOND;
    while Instant::now() < until {
        tokio::time::sleep(60 * SECOND).await;
    }
    let seen = receiver.seen().len();
    assert!((20..150).contains(&seen), "{seen} requests in six hours of outage");
    assert_eq!(bench.store.count("a", DeliveryState::Dead), 0);
    WELL.store(true, Ordering::SeqCst);
    bench.all_delivered("a").await;
    assert_eq!(state(&bench), State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_person_closes_the_breaker() {
    static WELL: AtomicBool = AtomicBool::new(false);
    let receiver =
        Receiver::start(|_| status(if WELL.load(Ordering::SeqCst) { 200 } else { 500 })).await;
    let options = Destination {
        breaker: Some(Breaker { wait: 3_600 * SECOND, cap: 3_600 * SECOND, ..Breaker::default() }),
        ..cared_for(&receiver)
    };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..100, "a"));
    bench
        .store
        .until(|store| store.rows("a").iter().filter(|row| !row.attempts.is_empty()).count() >= 20)
        .await;
    WELL.store(true, Ordering::SeqCst);
    let before = Instant::now();
    bench.handle.close_breaker("a").expect("known");
    bench.all_delivered("a").await;
    assert!(before.elapsed() < 600 * SECOND, "the wait of an hour is over");
    assert!(bench.handle.close_breaker("b").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_holds_the_whole_lane_up() {
    let receiver = Receiver::start(|seen| match seen.number {
        0 => answer(429, "retry-after: 30\r\n", ""),
        _ => status(200),
    })
    .await;
    let bench = Bench::start(one(Destination { in_flight: 1, ..cared_for(&receiver) }));
    bench.store.add(deliveries(0..10, "a"));
    bench.store.until(|store| store.rows("a").iter().any(|row| !row.attempts.is_empty())).await;
    assert_eq!(state(&bench), State::Slowed);
    let until_ms = bench.handle.status()[0].until_ms.expect("a pause");
    assert!((START_MS + 30_000..START_MS + 30_200).contains(&until_ms), "{until_ms}");
    bench.all_delivered("a").await;
    for attempt in bench.store.rows("a").into_iter().filter_map(|mut row| row.attempts.pop()) {
        assert!(attempt.at_ms >= START_MS + 30_000, "{attempt:?}");
    }
}

/// Nobody was there to look at the clock: the lane slept until its next sweep.
#[tokio::test(start_paused = true)]
async fn regression_a_pause_ends_on_time_where_no_delivery_is_to_be_tried_again() {
    let receiver = Receiver::start(|seen| match seen.number {
        0 => answer(429, "retry-after: 5\r\n", ""),
        _ => status(200),
    })
    .await;
    let policy = Policy { attempts: 1, ..Policy::default() };
    let options = Destination { in_flight: 1, policy, ..cared_for(&receiver) };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..10, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 9).await;
    let last = bench
        .store
        .rows("a")
        .into_iter()
        .flat_map(|row| row.attempts)
        .map(|attempt| attempt.at_ms)
        .max();
    assert!(last.expect("attempts") < START_MS + 6_000, "{last:?}");
}

/// Takes four at once; one more is answered 429.
#[tokio::test(start_paused = true)]
async fn the_limit_finds_what_the_destination_can_take() {
    static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    let receiver = Receiver::start(|_| {
        if AT_ONCE.fetch_add(1, Ordering::SeqCst) >= 4 {
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            REFUSED.fetch_add(1, Ordering::SeqCst);
            return status(429);
        }
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(99)).await;
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
        });
        Reply::After(Duration::from_millis(100), Box::new(status(200)))
    })
    .await;
    let bench = Bench::start(one(Destination { in_flight: 64, ..cared_for(&receiver) }));
    bench.store.add(deliveries(0..1_000, "a"));
    bench.all_delivered("a").await;
    let refused = REFUSED.load(Ordering::SeqCst);
    assert!(refused < 250, "{refused} of 1,000 were refused");
}

#[tokio::test(start_paused = true)]
async fn nothing_but_failures_for_days_disables_and_keeps_what_waits() {
    let receiver = Receiver::start(|_| status(500)).await;
    let bench = Bench::start(one(cared_for(&receiver)));
    bench.store.add(deliveries(0..3, "a"));
    let mut next = 3;
    let until = Instant::now() + 6 * 24 * 3_600 * SECOND;
    while Instant::now() < until && state(&bench) != State::Disabled {
        tokio::time::sleep(3_600 * SECOND).await;
        bench.store.add(deliveries(next..next + 1, "a"));
        next += 1;
    }
    let status = bench.handle.status().remove(0);
    assert_eq!(status.state, State::Disabled);
    let reason = status.reason.expect("a reason");
    assert!(reason.starts_with("nothing but failures for 12"), "{reason}");
    bench.store.until(|store| store.condition("a").disabled.is_some()).await;
    assert!(bench.store.condition("a").failing_since_ms.is_some());
    let before = receiver.seen().len();
    bench.store.add(deliveries(next..next + 9, "a"));
    tokio::time::sleep(24 * 3_600 * SECOND).await;
    assert_eq!(receiver.seen().len(), before, "nothing is sent");
    assert!(bench.store.count("a", DeliveryState::Waiting) >= 9);
    bench.handle.enable("a").await.expect("enabled");
    assert_eq!(bench.store.condition("a"), Condition::default());
    assert_eq!(state(&bench), State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_by_itself_and_survives_a_restart() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(cared_for(&receiver)));
    bench.handle.pause("a", 600 * SECOND).await.expect("paused");
    assert_eq!(state(&bench), State::Paused);
    bench.store.add(deliveries(0..10, "a"));
    tokio::time::sleep(599 * SECOND).await;
    assert_eq!(receiver.seen().len(), 0);
    bench.all_delivered("a").await;
    assert_eq!(state(&bench), State::Running);

    let store = TestStore::prompt();
    let until_ms = Some(START_MS + 600_000);
    let paused = Condition { paused_until_ms: until_ms, ..Condition::default() };
    store.remember("a", &paused);
    store.add(deliveries(10..20, "a"));
    let bench = Bench::start_on(store, one(cared_for(&receiver)));
    assert_eq!(bench.handle.status()[0].until_ms, until_ms);
    tokio::time::sleep(599 * SECOND).await;
    assert_eq!(receiver.seen().len(), 10);
    bench.all_delivered("a").await;
}
