//! Disabling, new settings, and the end.
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::{StartError, State, SwitchError};
use hookwright_model::DeliveryState;
use hookwright_settings::Pem;
use hookwright_store::Condition;
use hookwright_testkit::receiver::{Receiver, Reply, status};

fn state(bench: &Bench) -> (State, Option<String>) {
    let status = bench.handle.status().remove(0);
    (status.state, status.reason)
}

#[tokio::test]
async fn a_410_disables_the_destination_and_keeps_what_waits() {
    let receiver = Receiver::start(|seen| status(if seen.number < 1 { 410 } else { 200 })).await;
    let options = Destination { in_flight: 1, ..to(&receiver) };
    let bench = Bench::start(one(options.clone()));
    bench.store.add(deliveries(0..50, "a"));
    bench.store.until(|store| store.condition("a").disabled.is_some()).await;
    bench.store.add(deliveries(50..60, "a"));
    let counts = |state| bench.store.count("a", state);
    assert_eq!((counts(DeliveryState::Dead), counts(DeliveryState::Waiting)), (1, 59));
    let (off, reason) = state(&bench);
    assert_eq!(off, State::Disabled);
    assert!(reason.expect("a reason").contains("410"));

    // A restart does not forget it.
    assert!(bench.handle.drain(Duration::from_secs(60)).await);
    let store = TestStore::prompt();
    store.add(deliveries(0..50, "a"));
    let gone = Condition { disabled: Some("gone".to_owned()), ..Condition::default() };
    store.remember("a", &gone);
    let bench = Bench::start_on(store, one(options));
    assert_eq!(state(&bench), (State::Disabled, Some("gone".to_owned())));
    bench.store.add(deliveries(50..60, "a"));
    assert_eq!(receiver.seen().len(), 1);

    bench.handle.enable("a").await.expect("enabled");
    bench.all_delivered("a").await;
    assert_eq!(bench.store.condition("a"), Condition::default());
    assert_eq!(receiver.seen().len(), 61);
    assert_eq!(state(&bench), (State::Running, None));
}

#[tokio::test]
async fn a_person_disables_and_enables() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(to(&receiver)));
    bench.handle.disable("a", "maintenance").await.expect("disabled");
    bench.store.add(deliveries(0..100, "a"));
    assert_eq!(state(&bench), (State::Disabled, Some("maintenance".to_owned())));
    assert_eq!(bench.store.condition("a").disabled, Some("maintenance".into()));
    bench.handle.enable("a").await.expect("enabled");
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 100);
    let unknown = bench.handle.enable("nobody").await;
    assert!(matches!(unknown, Err(SwitchError::Unknown(name)) if name == "nobody"));
}

#[tokio::test]
async fn settings_disable_too_and_only_settings_enable_then() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(Destination { disabled: true, ..to(&receiver) }));
    bench.store.add(deliveries(0..10, "a"));
    assert!(matches!(bench.handle.enable("a").await, Err(SwitchError::BySettings { .. })));
    assert_eq!(state(&bench).0, State::Disabled);
    bench.handle.reconfigure(one(to(&receiver))).await.expect("good settings");
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 10);
}

#[tokio::test]
async fn new_settings_drop_nothing() {
    let slow = |_: &_| Reply::After(Duration::from_millis(2), Box::new(status(200)));
    let (old, new) = (Receiver::start(slow).await, Receiver::start(slow).await);
    let bench = Bench::start_on(TestStore::late(), one(to(&old)));
    bench.store.add(deliveries(0..300, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) >= 20).await;
    let both = HashMap::from([(name("a"), to(&new)), (name("b"), to(&new))]);
    bench.handle.reconfigure(both).await.expect("good settings");
    bench.store.add(deliveries(300..400, "a"));
    bench.store.add(deliveries(0..100, "b"));
    bench.all_delivered("a").await;
    bench.all_delivered("b").await;
    assert_eq!(old.seen().len() + new.seen().len(), 500);
    assert!(old.seen().len() >= 20 && new.seen().len() >= 400);
}

#[tokio::test]
async fn the_same_place_keeps_its_connections_over_new_settings() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(Destination { in_flight: 1, ..to(&receiver) }));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    let timeout = Duration::from_secs(3);
    let changed =
        posting(Destination { in_flight: 1, ..to(&receiver) }, |post| post.timeout = timeout);
    bench.handle.reconfigure(one(changed)).await.expect("good settings");
    bench.store.add(deliveries(1..2, "a"));
    bench.all_delivered("a").await;
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_removed_destination_stops_and_may_come_back() {
    let slow = |_: &_| Reply::After(Duration::from_millis(50), Box::new(status(200)));
    let receiver = Receiver::start(slow).await;
    let bench = Bench::start_on(TestStore::late(), one(to(&receiver)));
    bench.store.add(deliveries(0..40, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) > 0).await;
    bench.handle.reconfigure(HashMap::new()).await.expect("good settings");
    assert!(bench.handle.status().is_empty());
    bench.store.add(deliveries(40..50, "a"));
    bench.store.until(|store| store.rows("a").len() == 50).await;
    assert!(bench.store.count("a", DeliveryState::Waiting) >= 10);
    // At once, while its last attempts are still under way.
    bench.handle.reconfigure(one(to(&receiver))).await.expect("good settings");
    bench.all_delivered("a").await;
    assert_eq!(receiver.seen().len(), 50, "each once");
    assert!(receiver.peak() <= 8);
}

#[tokio::test]
async fn bad_settings_are_all_reported_and_change_nothing() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(to(&receiver)));
    let url = |text: &str| Destination::new(text.parse().expect("a URL"));
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("mine"));
    let mut transport = Transport::default();
    transport.tls.ca = Some(Pem { file: "ca.pem".into(), text: "no PEM".into() });
    let bad = HashMap::from([
        (name("a"), url("ftp://x/")),
        (name("b"), posting(url("http://x/"), |post| post.headers = headers)),
        (name("c"), posting(url("https://x/"), |post| post.transport = transport)),
        (name("d"), url("http://x/")),
    ]);
    let Err(StartError::Settings(wrong)) = bench.handle.reconfigure(bad).await else {
        panic!("bad settings are refused")
    };
    let names: Vec<_> = wrong.iter().map(|error| error.destination.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(wrong[1].to_string().contains("webhook-id"), "{}", wrong[1]);
    assert_eq!(bench.handle.status().len(), 1);
    bench.store.add(deliveries(0..10, "a"));
    bench.all_delivered("a").await;
}

#[tokio::test]
async fn a_drain_lets_attempts_end_and_starts_no_more() {
    let slow = |_: &_| Reply::After(Duration::from_millis(100), Box::new(status(200)));
    let receiver = Receiver::start(slow).await;
    let bench = Bench::start(one(to(&receiver)));
    bench.store.add(deliveries(0..100, "a"));
    while receiver.seen().len() < 8 {
        tokio::task::yield_now().await;
    }
    assert!(bench.handle.drain(Duration::from_secs(20)).await);
    assert_eq!(bench.store.count("a", DeliveryState::Delivered), 8);
    assert_eq!(receiver.seen().len(), 8);
}

#[tokio::test]
async fn a_stop_of_the_tasks_stops_the_lanes() {
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(to(&receiver)));
    assert!(bench.tasks.drain(Duration::from_secs(60)).await);
    bench.store.add(deliveries(0..10, "a"));
    assert!(bench.handle.drain(Duration::from_secs(60)).await);
    assert_eq!(bench.store.count("a", DeliveryState::Waiting), 10);
}
