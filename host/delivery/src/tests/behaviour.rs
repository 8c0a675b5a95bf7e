//! What is sent, what is recorded, and that the limits hold.
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::*;
use hookwright_egress::{Resolver, Resolving};
use hookwright_model::Rate;
use hookwright_model::{Cause, DeliveryState, Event, HeaderEdit, Outcome, Payload};
use hookwright_signing::{Credential, Format, Secret, Sign, Signer, Verifier, Verify, presets};
use hookwright_testkit::receiver::{Receiver, Reply, answer, status};

fn secret() -> Sign {
    Sign::standard([Secret::new(*b"a key of four and twenty bytes")])
}

fn signature(id: &str, timestamp: u64, body: &[u8]) -> HeaderValue {
    let signed = Signer::new(Some(&secret())).sign(id, timestamp, body);
    signed.expect("a key counts").expect("it signs")
}

fn edit(name: &str, value: Option<&str>) -> HeaderEdit {
    HeaderEdit { name: name.to_owned(), value: value.map(str::to_owned) }
}

fn with_payload(mut delivery: Delivery, payload: Payload) -> Delivery {
    delivery.payload = Some(Arc::new(payload));
    delivery
}

#[tokio::test]
async fn a_delivery_carries_the_bytes_as_they_came_and_our_headers() {
    let receiver = Receiver::start(|_| answer(201, "", "thanks")).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer of-the-settings"));
    let bench = Bench::start(one(posting(to(&receiver), |post| {
        post.sign = Some(secret());
        post.headers = headers;
    })));
    let body = Bytes::from_static(b" {\"b\":1.50, \"a\":12345678901234567890, \"\xff\":0} ");
    let ids = bench.store.add(vec![delivery(1, "a", body.clone())]);
    bench.all_delivered("a").await;

    let seen = &receiver.seen()[0];
    assert_eq!(seen.body, body);
    let header = |name: &str| seen.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("authorization"), "Bearer of-the-settings");
    assert_eq!(header("webhook-id"), ids[0].to_string());
    assert_eq!(header("hookwright-attempt"), "1");
    assert_eq!(header("hookwright-source"), "shop");
    assert_eq!(header("user-agent"), concat!("hookwright/", env!("CARGO_PKG_VERSION")));
    let timestamp: u64 = header("webhook-timestamp").parse().expect("seconds");
    assert!((START_MS / 1_000..START_MS / 1_000 + 60).contains(&timestamp));
    let expected = signature(&header("webhook-id"), timestamp, &body);
    assert_eq!(seen.headers["webhook-signature"], expected);

    let attempt = &bench.store.first("a").attempts[0];
    let expected = Outcome::Answered {
        status: 201,
        retry_after_s: None,
        excerpt: Bytes::from_static(b"thanks"),
    };
    assert_eq!((attempt.number, &attempt.outcome), (1, &expected));
    assert!(attempt.took_us > 0);
}

/// Its receiver could not have read it otherwise.
#[tokio::test]
async fn regression_a_compressed_body_goes_on_with_its_encoding_while_it_is_that_body() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(posting(to(&receiver), |post| post.sign = Some(secret()))));
    let compressed = |number| {
        let mut sent = delivery(number, "a", "compressed");
        let mut event = Event::clone(&sent.event);
        event.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        sent.event = Arc::new(event);
        sent
    };
    let payload = Payload { body: Some(Bytes::from_static(b"plain")), ..Payload::default() };
    let renamed = Payload { kind: Some("other".to_owned()), ..Payload::default() };
    bench.store.add(vec![
        compressed(1),
        with_payload(compressed(2), payload),
        with_payload(compressed(3), renamed),
    ]);
    bench.all_delivered("a").await;
    let mut seen: Vec<_> = receiver
        .seen()
        .iter()
        .map(|seen| (seen.body.clone(), seen.headers.contains_key("content-encoding")))
        .collect();
    seen.sort();
    let expected = [("compressed", true), ("compressed", true), ("plain", false)];
    assert_eq!(seen, expected.map(|(body, encoded)| (Bytes::from(body), encoded)));
}

#[tokio::test]
async fn a_payload_changes_what_it_says_and_what_is_signed() {
    let receiver = Receiver::start(|_| status(200)).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-fixed", HeaderValue::from_static("settings"));
    headers.insert("x-gone", HeaderValue::from_static("settings"));
    let bench = Bench::start(one(posting(to(&receiver), |post| {
        post.sign = Some(secret());
        post.headers = headers;
    })));
    let payload = Payload {
        body: Some(Bytes::from_static(b"<new/>")),
        content_type: Some("application/xml".to_owned()),
        headers: vec![
            edit("x-fixed", Some("plugin")),
            edit("X-Gone", None),
            edit("x-new", Some("1")),
        ],
        ..Payload::default()
    };
    bench.store.add(vec![with_payload(delivery(1, "a", "old"), payload)]);
    bench.all_delivered("a").await;
    let seen = &receiver.seen()[0];
    assert_eq!(&seen.body[..], b"<new/>");
    assert_eq!(seen.headers["content-type"], "application/xml");
    assert_eq!(seen.headers["x-fixed"], "plugin");
    assert_eq!(seen.headers["x-new"], "1");
    assert!(!seen.headers.contains_key("x-gone"));
    let id = seen.headers["webhook-id"].to_str().expect("text");
    let timestamp = seen.headers["webhook-timestamp"].to_str().expect("text").parse().expect("n");
    assert_eq!(seen.headers["webhook-signature"], signature(id, timestamp, b"<new/>"));
}

#[tokio::test]
async fn nothing_overrides_our_headers() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(to(&receiver)));
    let bad = [
        "webhook-id",
        "Webhook-Signature",
        "hookwright-attempt",
        "HOST",
        "content-length",
        "transfer-encoding",
        "connection",
        "authorization",
        "cookie",
        "user-agent",
        "bad name",
        "",
        "x-break\r\nx-in",
        "te",
    ];
    let payloads =
        bad.map(|name| Payload { headers: vec![edit(name, Some("evil"))], ..Payload::default() });
    let broken = Payload { headers: vec![edit("x", Some("a\r\nb: c"))], ..Payload::default() };
    let all = payloads.into_iter().chain([broken]);
    let deliveries = all.zip(1..).map(|(payload, n)| with_payload(delivery(n, "a", "b"), payload));
    bench.store.add(deliveries.collect());
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == bad.len() + 1).await;
    assert_eq!(receiver.connections(), 0);
    let first = bench.store.first("a").cause.expect("a cause");
    assert!(first.contains("webhook-id"), "{first}");
}

/// In whatever header a signature or a secret stands.
#[tokio::test]
async fn no_plugin_touches_a_signature_or_a_secret_header() {
    let receiver = Receiver::start(|_| status(200)).await;
    let format = Format::of(&presets::SLACK).expect("a format");
    let sign = Sign { format, keys: vec![Secret::new("slack").into()] };
    let mut headers = HeaderMap::new();
    let mut key = HeaderValue::from_static("a key");
    key.set_sensitive(true);
    headers.insert("x-key", key);
    let bench = Bench::start(one(posting(to(&receiver), |post| {
        post.sign = Some(sign);
        post.headers = headers;
    })));
    let names = ["x-slack-signature", "X-Slack-Request-Timestamp", "x-key"];
    let edits = names.iter().flat_map(|name| [edit(name, Some("evil")), edit(name, None)]);
    let sent = edits.zip(1..).map(|(edit, number)| {
        with_payload(
            delivery(number, "a", "b"),
            Payload { headers: vec![edit], ..Payload::default() },
        )
    });
    bench.store.add(sent.chain([delivery(7, "a", "b")]).collect());
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 6).await;
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 1).await;
    let seen = &receiver.seen()[0].headers;
    assert_eq!(seen["x-key"], "a key");
    assert_eq!(seen["x-slack-request-timestamp"], seen["webhook-timestamp"]);
    let verifier = Verifier::new(&Verify::preset(&presets::SLACK, [Secret::new("slack")]));
    let now_s = seen["webhook-timestamp"].to_str().expect("text").parse().expect("seconds");
    assert!(verifier.verify(&hookwright_signing::Request::post(seen, b"b"), now_s).is_ok());
}

#[tokio::test]
async fn without_a_key_that_counts_nothing_is_sent_and_no_attempt_is_used_up() {
    let receiver = Receiver::start(|_| status(200)).await;
    let key = Credential { until_s: START_MS / 1_000, ..Credential::from(Secret::new([1; 32])) };
    let sign = Some(Sign::standard([key]));
    let mut options = posting(to(&receiver), |post| post.sign = sign);
    options.policy.attempts = 1;
    let bench = Bench::start(one(options.clone()));
    bench.store.add(deliveries(0..10, "a"));
    eventually(|| {
        let last = bench.handle.status().remove(0).last;
        matches!(last.map(|last| last.outcome), Some(Outcome::Failed { message, .. })
            if message.contains("no signing key counts"))
    })
    .await;
    assert_eq!(receiver.connections(), 0);
    let options = posting(options, |post| post.sign = Some(secret()));
    bench.handle.reconfigure(one(options)).await.expect("good settings");
    bench.all_delivered("a").await;
    assert!(bench.store.rows("a").iter().all(|row| row.attempts.len() == 1));
}

#[tokio::test]
async fn the_log_of_attempts_tells_each_failure() {
    let receiver = Receiver::start(|seen| match seen.number {
        0 => answer(500, "", "oh no"),
        1 => Reply::Close(vec![]),
        2 => answer(302, "location: /elsewhere\r\n", ""),
        _ => status(204),
    })
    .await;
    let bench = Bench::start(one(to(&receiver)));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    let attempts = &bench.store.first("a").attempts;
    let told = attempts.iter().map(|attempt| match &attempt.outcome {
        Outcome::Answered { status, .. } => Ok(*status),
        Outcome::Failed { cause, .. } => Err(*cause),
        Outcome::Accepted => panic!("it is posted to"),
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [Ok(500), Err(Cause::Protocol), Ok(302), Ok(204)]);
    let numbers: Vec<_> =
        receiver.seen().iter().map(|seen| seen.headers["hookwright-attempt"].clone()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    let ids: std::collections::HashSet<_> =
        receiver.seen().iter().map(|seen| seen.headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 1, "a retry repeats the id");
}

#[tokio::test]
async fn attempts_that_are_used_up_leave_it_dead_with_its_cause() {
    let receiver = Receiver::start(|_| status(503)).await;
    let mut options = to(&receiver);
    options.policy.attempts = 3;
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..5, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 5).await;
    for row in bench.store.rows("a") {
        assert_eq!(row.attempts.len(), 3);
        let cause = row.cause.as_deref();
        assert_eq!(cause, Some("given up after 3 attempts; the last answer was 503"));
    }
}

#[tokio::test]
async fn no_more_attempts_are_in_flight_than_allowed() {
    let slow = |_: &_| Reply::After(Duration::from_millis(10), Box::new(status(200)));
    let receiver = Receiver::start(slow).await;
    let bench = Bench::start(one(Destination { in_flight: 3, ..to(&receiver) }));
    bench.store.add(deliveries(0..60, "a"));
    bench.all_delivered("a").await;
    assert_eq!(receiver.peak(), 3);
    assert!(receiver.connections() <= 6, "{} connections", receiver.connections());
}

#[tokio::test]
async fn a_healthy_destination_sees_few_connections() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(to(&receiver)));
    for part in 0..20 {
        bench.store.add(deliveries(part * 100..(part + 1) * 100, "a"));
    }
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 2_000);
    assert!(receiver.connections() <= 20, "{} connections for 2,000", receiver.connections());
}

#[tokio::test]
async fn the_rate_is_kept() {
    let receiver = Receiver::start(|_| status(200)).await;
    let rate = Rate { count: NonZeroU32::new(100).expect("not zero"), per: Duration::from_secs(1) };
    let bench = Bench::start(one(Destination { rate: Some(rate), ..to(&receiver) }));
    let start = Instant::now();
    bench.store.add(deliveries(0..40, "a"));
    bench.all_delivered("a").await;
    assert!(start.elapsed() >= Duration::from_millis(380), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_destination_that_hangs_harms_only_itself() {
    let hung = Receiver::start(|_| Reply::Hang(vec![])).await;
    let well = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(HashMap::from([(name("a"), to(&hung)), (name("b"), to(&well))]));
    bench.store.add(deliveries(0..2_000, "a"));
    bench.store.add(deliveries(0..500, "b"));
    bench.all_delivered("b").await;
    assert_eq!(bench.handle.status()[0].in_flight, 8);
    assert!(!bench.handle.drain(Duration::ZERO).await);
    let waiting = bench.store.count("a", DeliveryState::Waiting);
    assert_eq!(waiting, 2_000, "what was cut off still waits");
}

#[tokio::test]
async fn what_does_not_fit_the_window_is_read_from_the_rows() {
    let receiver = Receiver::start(|_| status(200)).await;
    let store = TestStore::late();
    let options = Options { window: 0, destinations: one(to(&receiver)), ..Options::default() };
    let bench = Bench::start_with(store, options);
    let body = Bytes::from(vec![b'x'; 3_000]);
    for part in 0..10u64 {
        let all = (part * 100..(part + 1) * 100).map(|n| delivery(n, "a", body.clone()));
        bench.store.add(all.collect());
        bench.store.until(|store| store.rows("a").len() >= (part as usize + 1) * 100).await;
        assert!(bench.handle.status()[0].window <= 32);
    }
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 1_000, "each once");
    let polls = bench.store.claims();
    assert!(polls <= 500, "{polls} polls for 1,000 deliveries");
}

#[tokio::test]
async fn what_waits_at_the_start_is_delivered() {
    let receiver = Receiver::start(|_| status(200)).await;
    let store = TestStore::prompt();
    store.add(deliveries(0..1_000, "a"));
    store.add(deliveries(0..10, "unknown"));
    let bench = Bench::start_on(store, one(to(&receiver)));
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 1_000);
    assert_eq!(bench.store.count("unknown", DeliveryState::Waiting), 10);
}

/// A retry stands under the same parent, in the words of the source.
#[tokio::test]
async fn the_sources_trace_goes_on_with_every_attempt() {
    let receiver = Receiver::start(|seen| status(if seen.number == 0 { 503 } else { 200 })).await;
    let bench = Bench::start(one(to(&receiver)));
    let mut traced = delivery(1, "a", "b");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = Arc::make_mut(&mut traced.event);
    event.headers.insert("traceparent", parent.parse().expect("a value"));
    event.headers.insert("tracestate", "congo=t61rcWkgMzE".parse().expect("a value"));
    bench.store.add(vec![traced]);
    bench.all_delivered("a").await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.headers["traceparent"], parent);
        assert_eq!(seen.headers["tracestate"], "congo=t61rcWkgMzE");
    }
}

/// Breaks once.
struct Breaking(AtomicBool);

impl Resolver for Breaking {
    fn resolve(&self, _: &str) -> Resolving {
        assert!(self.0.swap(true, Ordering::SeqCst), "as the test wants");
        Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
    }
}

#[tokio::test]
async fn an_attempt_that_panics_is_a_failed_attempt() {
    let receiver = Receiver::start(|_| status(200)).await;
    let url = format!("http://breaks.test:{}/", receiver.address.port());
    let options = posting(to(&receiver), |post| post.url = url.parse().expect("a URL"));
    let options = Options {
        destinations: one(options),
        resolver: Arc::new(Breaking(AtomicBool::new(false))),
        ..Options::default()
    };
    let bench = Bench::start_with(TestStore::prompt(), options);
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    assert_eq!(bench.store.first("a").attempts.len(), 2);
    assert!(!bench.tasks.stopping().is_cancelled());
}
