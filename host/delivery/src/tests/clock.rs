//! How long a delivery may wait, and a clock that is set meanwhile, with paused time.
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::State;
use hookwright_model::DeliveryState;
use hookwright_model::Rate;
use hookwright_settings::{Batch, Breaker, Format};
use hookwright_store::Condition;
use hookwright_testkit::receiver::{Receiver, Reply, status};

const SECOND: Duration = Duration::from_secs(1);
const DAY_MS: u64 = 24 * 3_600_000;
const YEAR_MS: u64 = 365 * DAY_MS;

/// Three seconds old at the most.
fn fresh(receiver: &Receiver) -> Destination {
    let mut options = to(receiver);
    options.policy.max_age = Some(3 * SECOND);
    options
}

fn failing() -> impl std::future::Future<Output = Receiver> {
    Receiver::start(|_| status(500))
}

/// Every one that is dead was given up for its age, with so many attempts before.
async fn given_up(bench: &Bench, count: usize, attempts: u32) {
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == count).await;
    for row in bench.store.rows("a").into_iter().filter(|row| row.state == DeliveryState::Dead) {
        let cause = row.cause.as_deref().unwrap_or_default();
        assert!(cause.contains("`retry.max_age`") && cause.contains("before"), "{cause}");
        assert_eq!(row.attempts.len() as u32, attempts);
    }
}

/// `max_age = "3s"` and a pause of 8 s: first attempts began at 7.9 s.
#[tokio::test(start_paused = true)]
async fn regression_no_attempt_is_begun_after_max_age_whatever_the_delivery_waited_for() {
    let receiver = Receiver::start(|_| status(200)).await;
    // A person's pause.
    let bench = Bench::start(one(fresh(&receiver)));
    bench.handle.pause("a", 8 * SECOND).await.expect("paused");
    bench.store.add(deliveries(0..5, "a"));
    given_up(&bench, 5, 0).await;
    // A disabled destination, by a person and by the settings.
    let bench = Bench::start(one(fresh(&receiver)));
    bench.handle.disable("a", "away").await.expect("disabled");
    bench.store.add(deliveries(0..5, "a"));
    tokio::time::sleep(8 * SECOND).await;
    bench.handle.enable("a").await.expect("enabled");
    given_up(&bench, 5, 0).await;
    let bench = Bench::start(one(Destination { disabled: true, ..fresh(&receiver) }));
    bench.store.add(deliveries(0..5, "a"));
    tokio::time::sleep(8 * SECOND).await;
    bench.handle.reconfigure(one(fresh(&receiver))).await.expect("good settings");
    given_up(&bench, 5, 0).await;
    // A batch that gathers.
    let batch = Batch { events: 10, wait: 8 * SECOND, bytes: 1 << 20, format: Format::Array };
    let bench = Bench::start(one(Destination { batch: Some(batch), ..fresh(&receiver) }));
    bench.store.add(deliveries(0..5, "a"));
    given_up(&bench, 5, 0).await;
    // A host that was down.
    let store = TestStore::prompt();
    let old = deliveries(0..5, "a").into_iter().map(|mut one| {
        let mut event = Event::clone(&one.event);
        event.received_ms = START_MS - 8_000;
        one.event = Arc::new(event);
        one
    });
    store.add(old.collect());
    given_up(&Bench::start_on(store, one(fresh(&receiver))), 5, 0).await;
    assert_eq!(receiver.seen().len(), 0, "nothing was sent");
    // A rate: the first goes at once.
    let rate = Rate { count: NonZeroU32::MIN, per: 8 * SECOND };
    let bench = Bench::start(one(Destination { rate: Some(rate), ..fresh(&receiver) }));
    bench.store.add(deliveries(0..5, "a"));
    given_up(&bench, 4, 0).await;
    assert_eq!(receiver.seen().len(), 1);
    // The breaker: the first attempt opens it, and its own delivery is too old too.
    let bad = failing().await;
    let breaker = Breaker { attempts: 1, wait: 8 * SECOND, ..Breaker::default() };
    let options = Destination { breaker: Some(breaker), in_flight: 1, ..fresh(&bad) };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..1, "a"));
    given_up(&bench, 1, 1).await;
    bench.store.add(deliveries(1..5, "a"));
    given_up_in_all(&bench, 5).await;
    assert_eq!(bad.seen().len(), 1);
    // Places in flight.
    let slow = Receiver::start(|_| Reply::After(8 * SECOND, Box::new(status(200)))).await;
    let bench = Bench::start(one(Destination { in_flight: 1, ..fresh(&slow) }));
    bench.store.add(deliveries(0..5, "a"));
    given_up(&bench, 4, 0).await;
    assert_eq!(slow.seen().len(), 1);
}

async fn given_up_in_all(bench: &Bench, count: usize) {
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == count).await;
}

/// Who asks for a replay wants it, however old the event is.
#[tokio::test(start_paused = true)]
async fn a_replay_has_no_age() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(fresh(&receiver)));
    tokio::time::sleep(60 * SECOND).await;
    let ids = bench.store.add(vec![delivery(0, "a", "again")]);
    given_up(&bench, 1, 0).await;
    bench.store.again("a", ids[0]);
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 1);
}

/// A bench whose clock can be set.
fn with_clock(store: Arc<TestStore>, options: Destination, at_ms: u64) -> (Bench, Clock) {
    let (tasks, clock) = (Tasks::new(), store.clock());
    clock.set(at_ms);
    let options = Options { destinations: one(options), ..Options::default() };
    let handle = begin(options, &store, clock.clone(), &tasks).expect("good");
    store.hand_to(handle.clone());
    (Bench { store, handle, tasks }, clock)
}

/// Set back, retries waited for 200 days.
#[tokio::test(start_paused = true)]
async fn regression_a_clock_that_is_set_back_leaves_no_retry_waiting_for_longer_than_its_policy() {
    for ahead_ms in [200 * DAY_MS, 74 * YEAR_MS, 6 * 3_600_000] {
        let receiver =
            Receiver::start(|seen| status(if seen.number < 1 { 503 } else { 200 })).await;
        let mut options = to(&receiver);
        options.policy.base = 60 * SECOND;
        options.policy.cap = 120 * SECOND;
        let (bench, clock) = with_clock(TestStore::prompt(), options, START_MS + ahead_ms);
        bench.store.add(deliveries(0..1, "a"));
        bench.store.until(|store| store.rows("a").iter().all(|row| row.attempts.len() == 1)).await;
        let began = Instant::now();
        clock.set(START_MS);
        bench.all_delivered("a").await;
        assert!(began.elapsed() < 200 * SECOND, "{ahead_ms}: {:?}", began.elapsed());
    }
}

/// The same where the host was restarted in between: its rows name the times.
#[tokio::test(start_paused = true)]
async fn regression_rows_from_a_clock_that_was_ahead_do_not_wait_for_it_after_a_restart() {
    let receiver = Receiver::start(|_| status(200)).await;
    let store = TestStore::prompt();
    let mut retry = delivery(0, "a", "retry");
    (retry.due_ms, retry.tries, retry.attempts) = (START_MS + 200 * DAY_MS, 1, 1);
    let mut late = delivery(1, "a", "put off");
    late.due_ms = START_MS + 3 * DAY_MS;
    store.add(vec![retry, late]);
    let began = Instant::now();
    let bench = Bench::start_on(store, one(to(&receiver)));
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 1).await;
    assert!(began.elapsed() < 200 * SECOND, "{:?}", began.elapsed());
    bench.all_delivered("a").await;
    assert!(began.elapsed() >= 72 * 3_600 * SECOND, "what a plugin puts off stays so");
}

/// Set forward, destinations were disabled at once: "nothing but failures for 175200 hours".
#[tokio::test(start_paused = true)]
async fn regression_a_clock_that_is_set_forward_disables_nothing() {
    let receiver = failing().await;
    let mut options = to(&receiver);
    options.policy.base = 600 * SECOND;
    let (bench, clock) = with_clock(TestStore::prompt(), options.clone(), START_MS);
    bench.store.add(deliveries(0..40, "a"));
    bench.store.until(|store| store.rows("a").iter().all(|row| row.attempts.len() == 1)).await;
    clock.set(START_MS + 20 * YEAR_MS);
    bench.store.add(deliveries(40..80, "a"));
    bench.store.until(|store| store.rows("a").iter().all(|row| !row.attempts.is_empty())).await;
    assert_ne!(bench.handle.status()[0].state, State::Disabled);
    clock.set(START_MS + YEAR_MS);
    bench.store.add(deliveries(80..120, "a"));
    bench.store.until(|store| store.rows("a").iter().all(|row| !row.attempts.is_empty())).await;
    assert_ne!(bench.handle.status()[0].state, State::Disabled);
    // Nor is one after a restart with what was written down before.
    let store = TestStore::prompt();
    let known = Condition { failing_since_ms: Some(START_MS), ..Condition::default() };
    store.remember("a", &known);
    let (bench, _) = with_clock(store, options, START_MS + 20 * YEAR_MS);
    bench.store.add(deliveries(0..40, "a"));
    bench.store.until(|store| store.rows("a").iter().all(|row| !row.attempts.is_empty())).await;
    assert_ne!(bench.handle.status()[0].state, State::Disabled);
}

/// A pause lasts as long as a person said, whatever the clock says meanwhile.
#[tokio::test(start_paused = true)]
async fn regression_a_pause_is_neither_cut_short_nor_prolonged_by_the_clock() {
    let receiver = Receiver::start(|_| status(200)).await;
    for set_ms in [START_MS - 200 * DAY_MS, START_MS + 200 * DAY_MS] {
        let (bench, clock) = with_clock(TestStore::prompt(), to(&receiver), START_MS);
        let (began, before) = (Instant::now(), receiver.seen().len());
        bench.handle.pause("a", 600 * SECOND).await.expect("paused");
        clock.set(set_ms);
        let until_ms = bench.handle.status()[0].until_ms.expect("a pause");
        assert!(until_ms.abs_diff(set_ms + 600_000) < 2_000, "{until_ms}");
        bench.store.add(deliveries(0..3, "a"));
        tokio::time::sleep(599 * SECOND).await;
        assert_eq!(receiver.seen().len(), before);
        bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 3).await;
        assert!(began.elapsed() < 800 * SECOND, "{:?}", began.elapsed());
    }
}

/// Nothing is given up for an age that only a jump of the clock gives it.
#[tokio::test(start_paused = true)]
async fn regression_a_clock_that_is_set_forward_gives_nothing_up_for_its_age() {
    let receiver = Receiver::start(|seen| status(if seen.number < 5 { 503 } else { 200 })).await;
    let mut options = to(&receiver);
    options.policy.max_age = Some(3_600 * SECOND);
    let (bench, clock) = with_clock(TestStore::prompt(), options, START_MS);
    bench.handle.pause("a", 8 * SECOND).await.expect("paused");
    bench.store.add(deliveries(0..5, "a"));
    clock.set(START_MS + 20 * YEAR_MS);
    bench.all_delivered("a").await;
}
