//! When attempts are made, with paused time.
use std::time::Duration;

use super::*;
use hookwright_model::{DeliveryState, Outcome};
use hookwright_testkit::receiver::{Receiver, Reply, answer, status};

/// When the attempts of the only delivery began, in milliseconds after the test's start.
fn times(bench: &Bench) -> Vec<u64> {
    let row = bench.store.first("a");
    row.attempts.iter().map(|attempt| attempt.at_ms - START_MS).collect()
}

/// Each time is the expected one or a little later, never earlier.
fn assert_times(bench: &Bench, expected: &[u64]) {
    let times = times(bench);
    let near = |(time, expected): (&u64, &u64)| (*expected..expected + 200).contains(time);
    assert!(
        times.len() == expected.len() && times.iter().zip(expected).all(near),
        "{times:?} for {expected:?}"
    );
}

fn steady(receiver: &Receiver) -> Destination {
    let policy = Policy { jitter: 0.0, ..Policy::default() };
    Destination { policy, ..to(receiver) }
}

#[tokio::test(start_paused = true)]
async fn retries_come_when_they_are_due() {
    let receiver = Receiver::start(|seen| status(if seen.number < 5 { 503 } else { 200 })).await;
    let bench = Bench::start(one(steady(&receiver)));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    assert_times(&bench, &[0, 1_000, 3_000, 7_000, 15_000, 31_000]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let receiver = Receiver::start(|seen| match seen.number {
        0 => answer(429, "retry-after: 30\r\n", ""),
        1 => answer(503, "retry-after: 99999999999999999999999999\r\n", ""),
        2 => answer(500, "retry-after: inf\r\n", ""),
        _ => status(200),
    })
    .await;
    let bench = Bench::start(one(steady(&receiver)));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    let day = 24 * 3_600_000;
    assert_times(&bench, &[0, 30_000, 30_000 + day, 34_000 + day]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_kept() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(steady(&receiver)));
    let mut late = delivery(0, "a", "late");
    late.due_ms = START_MS + 3 * 24 * 3_600_000;
    bench.store.add(vec![late]);
    bench.all_delivered("a").await;
    assert_times(&bench, &[3 * 24 * 3_600_000]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_destination_costs_its_time_out_and_no_more() {
    let receiver = Receiver::start(|_| Reply::Hang(vec![])).await;
    let mut options = steady(&receiver);
    options.policy.attempts = 3;
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..1, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 1).await;
    assert_times(&bench, &[0, 11_000, 23_000]);
    for attempt in bench.store.first("a").attempts {
        assert!((9_900_000..10_200_000).contains(&attempt.took_us), "{attempt:?}");
        assert!(
            matches!(&attempt.outcome, Outcome::Failed { message, .. } if message == "no answer within 10s")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_not_be_read_for_a_while_delays_and_loses_nothing() {
    let receiver = Receiver::start(|_| status(200)).await;
    let store = TestStore::prompt();
    store.add(deliveries(0..100, "a"));
    store.fail_claims(3);
    let bench = Bench::start_on(store, one(steady(&receiver)));
    bench.all_delivered("a").await;
    assert!(times(&bench)[0] >= 3_000);
    assert_eq!(receiver.seen().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_never_handed_over_is_found_within_a_minute() {
    let receiver = Receiver::start(|_| status(200)).await;
    let store = TestStore::prompt();
    let tasks = Tasks::new();
    let options = Options { destinations: one(steady(&receiver)), ..Options::default() };
    let handle = begin(options, &store, store.clock(), &tasks).expect("good settings");
    // Past the first poll of the rows.
    tokio::time::advance(Duration::from_secs(10)).await;
    let bench = Bench { store, handle, tasks };
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    assert!(times(&bench)[0] <= 70_000, "{:?}", times(&bench));
}
