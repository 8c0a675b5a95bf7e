//! Schemes whose keys are fetched: AWS SNS from its first message on.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::server_kit::kit::Running;
use super::sources;
use crate::Intake;
use crate::http::{Fetch, Fetching, Handle, Options};
use crate::tests::store::FaultyStore;
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_settings::{EndpointOptions, Proxies, Selector, SourceOptions};
use hookwright_signing::{CertifiedScheme, Issuer, Verify};

const NOW: u64 = 1_800_000_000_000;

/// AWS, as far as it matters here.
#[derive(Default)]
struct Aws {
    fetched: Mutex<Vec<String>>,
    down: AtomicBool,
}

impl Fetch for Aws {
    fn fetch(&self, url: String) -> Fetching {
        let confirms = url.contains("ConfirmSubscription");
        let down = self.down.load(SeqCst) || url.contains("junk");
        self.fetched.lock().push(url);
        let answer = match (down, confirms) {
            (true, _) => Err("it is down".to_owned()),
            (false, true) => Ok("<ConfirmSubscriptionResponse/>".into()),
            (false, false) => Ok(vectors()["cert"].as_str().unwrap().to_owned().into()),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../signing/src/testdata/certified.json")).unwrap()
}

fn serve() -> (Arc<Aws>, Arc<FaultyStore>, Running) {
    let topics = vec!["arn:aws:sns:eu-west-1:123456789012:orders".to_owned()];
    let tolerance = Duration::from_secs(3_600);
    let verify = Verify::Certified(CertifiedScheme { issuer: Issuer::Sns { topics }, tolerance });
    let kind = Some(Selector::Json("/Type".to_owned()));
    let source = EndpointOptions {
        verify,
        ..EndpointOptions::from(SourceOptions { kind, ..SourceOptions::default() })
    };
    let (aws, store) = (Arc::new(Aws::default()), Arc::new(FaultyStore::default()));
    let mut options = Options::new(sources([("s", source)]));
    options.fetch = aws.clone();
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    options.proxies = Proxies { trusted, ..Proxies::default() };
    let intake = Intake::new(crate::Options::default(), store.clone());
    let handle = Handle::new(options, intake, Replies::default(), Clock::manual(NOW));
    let server = Running::start(hookwright_server::Options::new("ingress"), handle);
    (aws, store, server)
}

#[tokio::test]
async fn while_the_certificate_can_not_be_had_the_provider_sends_again_later() {
    let (aws, store, server) = serve();
    let mut wire = server.connect().await;
    let vectors = vectors();
    let of = |name: &str| vectors[name].as_str().unwrap();

    aws.down.store(true, SeqCst);
    let answer = wire.post("/in/s", "", of("confirmation")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")));
    assert_eq!(answer.json()["code"], "keys-unavailable");
    aws.down.store(false, SeqCst);
    assert_eq!(aws.fetched.lock().len(), 1);

    // Within half a minute the certificate is not asked for again.
    assert_eq!(wire.post("/in/s", "", of("confirmation")).await.status, 503);
    assert_eq!(aws.fetched.lock().len(), 1);
    assert_eq!(store.count(), 0);
}

#[tokio::test]
async fn a_confirmation_is_no_event_and_a_message_is_one() {
    let (aws, store, server) = serve();
    let mut wire = server.connect().await;
    let vectors = vectors();
    let of = |name: &str| vectors[name].as_str().unwrap();

    assert_eq!(wire.post("/in/s", "", of("confirmation")).await.status, 200);
    assert_eq!(store.count(), 0);
    for name in ["notification-1", "notification-2", "no-subject"] {
        assert_eq!(wire.post("/in/s", "", of(name)).await.status, 202, "{name}");
    }
    let forged = of("notification-1").replace("first", "forged");
    assert_eq!(wire.post("/in/s", "", &forged).await.status, 401);
    let events = store.events.lock();
    assert_eq!((events.len(), &*events[0].kind), (3, "Notification"));
    let fetched = aws.fetched.lock();
    assert_eq!(fetched.len(), 2, "the certificate once, and the confirmation: {fetched:?}");
    assert!(fetched[1].contains("Action=ConfirmSubscription"));
}

/// Fifty posts of strangers used up the fetches and pushed the certificate out: 503 for the own topic.
#[tokio::test]
async fn regression_strangers_posts_keep_no_message_of_the_own_topic_out() {
    let (aws, store, server) = serve();
    let mut wire = server.connect().await;
    let vectors = vectors();
    let own = vectors["notification-2"].as_str().unwrap();
    let foreign = own.replace(":123456789012:", ":999999999999:");
    let junk = |n: usize| own.replace("SimpleNotificationService-", &format!("junk{n}-"));
    for n in 0..50 {
        let from = format!("x-forwarded-for: 203.0.113.{}\r\n", n % 5);
        let foreign = foreign.replace("SimpleNotificationService-", &format!("a{n}-"));
        assert_eq!(wire.post("/in/s", &from, &foreign).await.status, 401);
        assert_eq!(wire.post("/in/s", &from, &junk(n)).await.status, 503);
    }
    let of_strangers = aws.fetched.lock().len();
    assert!(of_strangers <= 15, "three of each address: {of_strangers}");
    assert_eq!(wire.post("/in/s", "x-forwarded-for: 192.0.2.1\r\n", own).await.status, 202);
    for n in 50..100 {
        let from = format!("x-forwarded-for: 198.51.100.{n}\r\n");
        assert_eq!(wire.post("/in/s", &from, &junk(n)).await.status, 503);
    }
    let before = aws.fetched.lock().len();
    assert!(before <= 41, "{before}");
    assert_eq!(wire.post("/in/s", "x-forwarded-for: 198.51.100.9\r\n", own).await.status, 202);
    assert_eq!((aws.fetched.lock().len(), store.count()), (before, 2), "it is still at hand");
}

#[tokio::test]
async fn regression_a_recorded_confirmation_is_not_fetched_each_time() {
    let (aws, _, server) = serve();
    let mut wire = server.connect().await;
    let vectors = vectors();
    for _ in 0..10 {
        let body = vectors["confirmation"].as_str().unwrap();
        assert_eq!(wire.post("/in/s", "", body).await.status, 200);
    }
    assert_eq!(aws.fetched.lock().len(), 2, "the certificate and the confirmation");
}
