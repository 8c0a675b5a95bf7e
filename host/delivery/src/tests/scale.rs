//! What many lanes and a large backlog must not cost: polls the rows, memory, and time.
use std::time::Duration;

use super::*;
use crate::State;
use hookwright_model::DeliveryState;
use hookwright_settings::Breaker;
use hookwright_testkit::receiver::{Receiver, status};

/// "Memory is bounded by in-flight work": a lane whose breaker is open holds nothing, and polls at
/// the rows for probes only.
#[tokio::test(start_paused = true)]
async fn dead_destinations_cost_a_probe_now_and_then_and_no_memory() {
    const DEAD: u64 = 40;
    let well = Receiver::start(|_| status(200)).await;
    let down = Receiver::start(|_| status(500)).await;
    let mut destinations = one(to(&well));
    for number in 0..DEAD {
        let options = Destination {
            breaker: Some(Breaker::default()),
            policy: Policy::default(),
            ..to(&down)
        };
        destinations.insert(name(&format!("dead-{number}")), options);
    }
    let bench = Bench::start(destinations);
    for number in 0..DEAD {
        bench.store.add(deliveries(0..60, &format!("dead-{number}")));
    }
    let settled = Duration::from_secs(600);
    tokio::time::sleep(settled).await;
    let polls = bench.store.claims();
    for hour in 0..3 {
        bench.store.add(deliveries(hour * 100..(hour + 1) * 100, "a"));
        bench.all_delivered("a").await;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    for status in bench.handle.status() {
        let shut = status.state == State::BreakerOpen;
        assert!(status.destination == name("a") || !shut || status.window == 0, "{status:?}");
        assert!(status.window <= 4, "{status:?}");
    }
    // Probes come every five minutes; a probe is one poll, and one more when it has failed.
    let polls = bench.store.claims() - polls;
    let most = DEAD as usize * 3 * 12 * 3;
    assert!(polls <= most, "{polls} polls of the rows in three hours, at most {most}");
    let dead = bench.store.count("dead-0", DeliveryState::Waiting);
    assert_eq!(dead, 60, "none is lost");
}

/// "A retry starts within 50 ms of its due time", however many wait.
#[tokio::test(start_paused = true)]
async fn a_retry_begins_on_time_beside_a_large_backlog() {
    const WAIT_MS: u64 = 2_000;
    let receiver = Receiver::start(|seen| {
        status(if seen.headers["hookwright-attempt"] == "1" { 503 } else { 200 })
    })
    .await;
    let wait = Duration::from_millis(WAIT_MS);
    let policy = Policy { base: wait, factor: 1.0, jitter: 0.0, ..Policy::default() };
    let bench = Bench::start(one(Destination { policy, ..to(&receiver) }));
    let tomorrow = START_MS + 24 * 3_600_000;
    let backlog = deliveries(1_000..6_000, "a").into_iter();
    bench.store.add(backlog.map(|one| Delivery { due_ms: tomorrow, ..one }).collect());
    for number in 0..100 {
        bench.store.add(deliveries(number..number + 1, "a"));
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 100).await;
    for row in bench.store.rows("a").into_iter().filter(|row| row.state == DeliveryState::Delivered)
    {
        let [first, second] = &row.attempts[..] else { panic!("two attempts each") };
        let due_ms = first.at_ms + first.took_us / 1_000 + WAIT_MS;
        assert!(second.at_ms <= due_ms + 50, "{} ms late", second.at_ms - due_ms);
    }
}
