//! Batches: what leaves together, when it leaves, and that each delivery is accounted for by itself.
use std::time::Duration;

use serde_json::Value;

use super::*;
use hookwright_model::Rate;
use hookwright_model::{DeliveryState, Event};
use hookwright_settings::{Batch, Breaker, Format};
use hookwright_signing::{Secret, Sign, Signer};
use hookwright_testkit::receiver::{Receiver, status};

fn batch(events: usize, wait_ms: u64) -> Option<Batch> {
    let wait = Duration::from_millis(wait_ms);
    Some(Batch { events, wait, bytes: 1 << 20, format: Format::Array })
}

/// The ids in each request.
fn sent(receiver: &Receiver) -> Vec<Vec<String>> {
    let ids = |body: &[u8]| {
        let entries: Vec<Value> = serde_json::from_slice(body).expect("an array");
        entries.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    };
    receiver.seen().iter().map(|seen| ids(&seen.body)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_leaves_at_once_and_the_rest_when_its_time_is_up() {
    let receiver = Receiver::start(|_| status(200)).await;
    let sign = Sign::standard([Secret::new(*b"a key of four and twenty bytes")]);
    let signed = posting(to(&receiver), |post| post.sign = Some(sign.clone()));
    let options = Destination { batch: batch(10, 5_000), ..signed };
    let bench = Bench::start(one(options));
    let ids = bench.store.add(deliveries(0..25, "a"));
    bench.all_delivered("a").await;
    let sizes: Vec<_> = sent(&receiver).iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 10, 5]);
    let at = |number: usize| bench.store.row("a", ids[number]).attempts[0].at_ms - START_MS;
    assert!(at(0) < 200 && at(19) < 200, "{} {}", at(0), at(19));
    assert!((5_000..5_200).contains(&at(24)), "{}", at(24));
    assert!(bench.store.rows("a").iter().all(|row| row.attempts.len() == 1));
    let seen = &receiver.seen()[0];
    let header = |name: &str| seen.headers[name].to_str().expect("text").to_owned();
    let timestamp: u64 = header("webhook-timestamp").parse().expect("seconds");
    let mut expected = HeaderMap::new();
    let signer = Signer::new(Some(&sign));
    signer.apply(&mut expected, &header("webhook-id"), timestamp, &seen.body).expect("signed");
    assert_eq!(seen.headers.get("webhook-signature"), expected.get("webhook-signature"));
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("hookwright-source"), "shop");
}

/// "Each event's delivery accounted for by itself", and a source has batches of its own.
#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_tried_again_and_each_delivery_keeps_its_own_count() {
    let receiver = Receiver::start(|seen| status(if seen.number == 0 { 503 } else { 200 })).await;
    let options = Destination { batch: batch(4, 100), in_flight: 1, ..to(&receiver) };
    let bench = Bench::start(one(options));
    let other = |number| {
        let mut own = delivery(number, "a", "{}");
        own.event = Arc::new(Event { source: name("other"), ..Event::clone(&own.event) });
        own
    };
    let mut ids = bench.store.add(deliveries(0..4, "a"));
    ids.extend(bench.store.add((4..6).map(other).collect()));
    bench.all_delivered("a").await;
    let attempts: Vec<_> = bench.store.rows("a").iter().map(|row| row.attempts.len()).collect();
    assert_eq!(attempts, [2, 2, 2, 2, 1, 1]);
    let all = sent(&receiver);
    assert_eq!(all[0].len(), 4);
    let mut again: Vec<_> = all[1..].iter().flatten().cloned().collect();
    again.sort();
    let mut expected: Vec<_> = ids.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(again, expected, "each once more, or once");
    let of_other = |ids: &Vec<String>| ids.contains(&expected[4]) || ids.contains(&expected[5]);
    assert!(all.iter().filter(|ids| of_other(ids)).all(|ids| ids.len() <= 2), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_cut_off_still_waits_whole() {
    let receiver = Receiver::start(|_| hookwright_testkit::receiver::Reply::Hang(vec![])).await;
    let options = Destination { batch: batch(5, 100), ..to(&receiver) };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..5, "a"));
    while receiver.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.handle.status()[0].in_flight, 1, "one request");
    assert!(!bench.handle.drain(Duration::ZERO).await);
    assert_eq!(bench.store.count("a", DeliveryState::Waiting), 5);
}

/// A destination with batches of ten, whose deliveries have so many attempts.
fn tens(receiver: &Receiver, attempts: u32) -> Destination {
    let mut options = Destination { batch: batch(10, 100), in_flight: 1, ..to(receiver) };
    options.policy.attempts = attempts;
    options
}

/// Ten, of which the fourth is the poison.
fn with_poison() -> Vec<Delivery> {
    let body = |number| if number == 3 { "{\"poison\":1}" } else { "{}" };
    (0..10).map(|number| delivery(number, "a", body(number))).collect()
}

fn has_poison(body: &[u8]) -> bool {
    body.windows(6).any(|part| part == b"poison")
}

/// One poison entry of ten killed all ten: only it dies, and the others lose none of their
/// attempts over it.
#[tokio::test(start_paused = true)]
async fn regression_a_poison_entry_dies_alone() {
    // What refuses the content, a crash over it, a filter before it, a loop.
    for (bad, attempts) in [(422, 1), (400, 3), (413, 3), (500, 3), (403, 3), (404, 1), (508, 5)] {
        let answer = move |body: &[u8]| status(if has_poison(body) { bad } else { 200 });
        let receiver = Receiver::start(move |seen| answer(&seen.body)).await;
        let bench = Bench::start(one(tens(&receiver, attempts)));
        let ids = bench.store.add(with_poison());
        bench.store.until(|store| store.count("a", DeliveryState::Waiting) == 0).await;
        let guilty = bench.store.row("a", ids[3]).state;
        assert_eq!(guilty, DeliveryState::Dead, "{bad}");
        assert_eq!(bench.store.count("a", DeliveryState::Delivered), 9, "{bad}");
        let others =
            bench.store.rows("a").into_iter().filter(|row| row.state == DeliveryState::Delivered);
        let most = others.map(|row| row.attempts.len()).max();
        // A refusal of the content says so at once; a 500 may be the destination's own.
        let own = if matches!(bad, 422 | 400 | 413 | 508) { 1 } else { attempts as usize };
        assert_eq!(most, Some(own), "{bad}: attempts of the innocent");
        let requests = receiver.seen().len();
        assert!(requests <= 9 + attempts as usize, "{bad}: {requests} requests");
        let alone = sent(&receiver).iter().filter(|ids| ids.len() == 1).count();
        assert!(alone >= 1, "{bad}");
    }
}

/// A 413 for the sum of them killed all: each goes, and the next batches are as large as the
/// destination takes them.
#[tokio::test(start_paused = true)]
async fn regression_a_batch_that_is_too_large_as_a_whole_goes_in_parts() {
    let receiver =
        Receiver::start(|seen| status(if seen.body.len() > 2_500 { 413 } else { 200 })).await;
    let bench = Bench::start(one(tens(&receiver, 1)));
    let large = |number| delivery(number, "a", format!("\"{}\"", "x".repeat(500)));
    bench.store.add((0..100).map(large).collect());
    bench.all_delivered("a").await;
    assert!(bench.store.rows("a").iter().all(|row| row.attempts.len() == 1));
    let refused = receiver.seen().iter().filter(|seen| seen.body.len() > 2_500).count();
    assert!(refused <= 10, "{refused} refusals");
    let requests = receiver.seen().len();
    assert!(requests <= 70, "{requests} requests for what 34 could carry");
}

/// Splitting costs a destination that refuses everything hardly more than single deliveries
/// would, and nothing where the answer is not about the content.
#[tokio::test(start_paused = true)]
async fn regression_who_refuses_all_gets_a_bounded_number_of_requests() {
    // Status, attempts, requests at the most: 10 + log2 10 where each is tried alone.
    for (bad, attempts, most) in
        [(422, 1, 14), (404, 3, 2 + 14), (401, 3, 3), (429, 2, 2), (410, 3, 1)]
    {
        let receiver = Receiver::start(move |_| status(bad)).await;
        let bench = Bench::start(one(tens(&receiver, attempts)));
        bench.store.add(deliveries(0..10, "a"));
        bench.store.until(|store| store.count("a", DeliveryState::Dead) == 10).await;
        let requests = receiver.seen().len();
        assert!(requests <= most, "{bad}: {requests} requests");
        let right = |row: &store::Row| row.attempts.len() == attempts.min(3) as usize;
        assert!(
            bad == 410 || bench.store.rows("a").iter().all(right),
            "{bad}: each attempt counts once"
        );
    }
}

/// Once it is known, it spoils nobody's request again.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_was_refused_alone_has_no_company_the_next_time() {
    let receiver =
        Receiver::start(|seen| status(if has_poison(&seen.body) { 422 } else { 200 })).await;
    let bench = Bench::start(one(tens(&receiver, 5)));
    bench.store.add(with_poison());
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 1).await;
    let before = receiver.seen().iter().filter(|seen| has_poison(&seen.body)).count();
    // Of ten, of five, alone; then alone four times more.
    assert_eq!(before, 3 + 4);
}

/// Each request of a batch that is split takes its turn by the rate, and the breaker ends it.
#[tokio::test(start_paused = true)]
async fn a_split_batch_keeps_to_the_rate_and_ends_with_the_breaker() {
    let receiver = Receiver::start(|_| status(422)).await;
    let rate = Some(Rate { count: 1.try_into().unwrap(), per: Duration::from_secs(10) });
    let bench = Bench::start(one(Destination { rate, ..tens(&receiver, 1) }));
    let began = tokio::time::Instant::now();
    bench.store.add(deliveries(0..4, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 4).await;
    let requests = receiver.seen().len() as u32;
    assert!(began.elapsed() >= Duration::from_secs(10) * (requests - 1), "{requests} at once");

    let receiver = Receiver::start(|_| status(500)).await;
    let breaker = Some(Breaker { attempts: 3, ..Breaker::default() });
    let bench = Bench::start(one(Destination { breaker, ..tens(&receiver, 1) }));
    bench.store.add(deliveries(0..10, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 10).await;
    assert_eq!(receiver.seen().len(), 3, "the destination as a whole fails");
}

/// The size bounds what is sent: bodies that are no JSON grow by a third in it.
#[tokio::test(start_paused = true)]
async fn regression_no_request_is_larger_than_the_size_of_the_settings() {
    let receiver = Receiver::start(|_| status(200)).await;
    let wait = Duration::from_millis(100);
    let bytes = 4_096;
    let own = Batch { events: 100, wait, bytes, format: Format::Array };
    let bench = Bench::start(one(Destination { batch: Some(own), ..to(&receiver) }));
    bench.store.add((0..40).map(|number| delivery(number, "a", vec![0xff; 500])).collect());
    bench.store.add(vec![delivery(40, "a", vec![0xff; 5_000])]);
    bench.all_delivered("a").await;
    for (seen, ids) in receiver.seen().iter().zip(sent(&receiver)) {
        assert!(seen.body.len() <= bytes || ids.len() == 1, "{} bytes", seen.body.len());
    }
}

/// How their source was asked was lost to those that get batches.
#[tokio::test(start_paused = true)]
async fn regression_an_entry_tells_the_method_and_the_query() {
    let receiver = Receiver::start(|_| status(200)).await;
    let options = Destination { batch: batch(2, 100), ..to(&receiver) };
    let bench = Bench::start(one(options));
    let mut asked = delivery(0, "a", "{}");
    let mut event = Event::clone(&asked.event);
    for (name, value) in [(&hookwright_model::METHOD, "PUT"), (&hookwright_model::QUERY, "a=1")] {
        event.headers.insert(name, http::HeaderValue::from_static(value));
    }
    asked.event = Arc::new(event);
    bench.store.add(vec![asked, delivery(1, "a", "{}")]);
    bench.all_delivered("a").await;
    let entries: Vec<Value> = serde_json::from_slice(&receiver.seen()[0].body).expect("an array");
    assert_eq!((&entries[0]["method"], &entries[0]["query"]), (&"PUT".into(), &"a=1".into()));
    assert!(entries[1]["method"].is_null() && entries[1]["query"].is_null(), "{entries:?}");
}
