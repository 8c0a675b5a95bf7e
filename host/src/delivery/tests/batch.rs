//! Batches: what leaves together, when it leaves, and that each delivery is accounted for by itself.
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::delivery::{Batch, Format};
use crate::egress::receiver::{Receiver, status};
use crate::model::{DeliveryState, Event};
use crate::signing::{Secret, Sign, Signer};

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
    let options = DestinationOptions { batch: batch(10, 5_000), ..signed };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..25, "a"));
    bench.all_delivered("a").await;
    let sizes: Vec<_> = sent(&receiver).iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 10, 5]);
    bench.store.read(|rows| {
        let at = |number: u64| {
            let id = delivery(number, "a", "").event.id;
            rows.all[&("a".to_owned(), id)].attempts[0].at_ms - START_MS
        };
        assert!(at(0) < 200 && at(19) < 200, "{} {}", at(0), at(19));
        assert!((5_000..5_200).contains(&at(24)), "{}", at(24));
        assert!(rows.of("a").all(|row| row.attempts.len() == 1));
    });
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
    let options = DestinationOptions { batch: batch(4, 100), in_flight: 1, ..to(&receiver) };
    let bench = Bench::start(one(options));
    let other = |number| {
        let mut own = delivery(number, "a", "{}");
        own.event = Arc::new(Event { source: name("other"), ..Event::clone(&own.event) });
        own
    };
    bench.store.add(deliveries(0..4, "a"));
    bench.store.add((4..6).map(other).collect());
    bench.all_delivered("a").await;
    let attempts: Vec<_> =
        bench.store.read(|rows| rows.of("a").map(|row| row.attempts.len()).collect());
    assert_eq!(attempts, [2, 2, 2, 2, 1, 1]);
    let all = sent(&receiver);
    assert_eq!(all[0].len(), 4);
    let mut again: Vec<_> = all[1..].iter().flatten().cloned().collect();
    again.sort();
    let mut expected: Vec<_> = (0..6).map(|n| delivery(n, "a", "").event.id.to_string()).collect();
    expected.sort();
    assert_eq!(again, expected, "each once more, or once");
    let of_other = |ids: &Vec<String>| ids.contains(&expected[4]) || ids.contains(&expected[5]);
    assert!(all.iter().filter(|ids| of_other(ids)).all(|ids| ids.len() <= 2), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_cut_off_still_waits_whole() {
    let receiver = Receiver::start(|_| crate::egress::receiver::Reply::Hang(vec![])).await;
    let options = DestinationOptions { batch: batch(5, 100), ..to(&receiver) };
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..5, "a"));
    while receiver.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.handle.status()[0].in_flight, 1, "one request");
    assert!(!bench.handle.drain(Duration::ZERO).await);
    assert_eq!(bench.store.read(|rows| rows.count("a", DeliveryState::Waiting)), 5);
}
