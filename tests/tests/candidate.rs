//! Candidates on a running host: compared, picked for some events, stopped, and shown.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, guest, hostile};
use serde_json::Value;

fn settings(sink: &Receiver, candidate: &str) -> String {
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"p\"]\n\
         destinations = [\"sink\"]\n\
         [plugins.p]\ncandidate = {{ file = \"p-2.wasm\", {candidate} }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    )
}

async fn start(sink: &Receiver, candidate: &str, new: &[u8]) -> Host {
    let builder = HostBuilder::new(&settings(sink, candidate));
    builder.file("p.wasm", &guest("guests/pass")).file("p-2.wasm", new).start().await
}

async fn candidate(host: &Host) -> Value {
    let plugins = host.api("plugins").await.expect("plugins");
    plugins["plugins"][0]["candidate"].clone()
}

async fn send(host: &Host, count: usize) {
    for _ in 0..count {
        let posted = host.client.post(host.ingress(), "/in/shop", &[], "x").await;
        assert_eq!(posted.expect("an answer").status, 202);
    }
    host.settled(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_compared_in_sight_and_every_event_goes_the_old_way() {
    let sink = Receiver::good().await;
    let host = start(&sink, "shadow = true", &guest("guests/drop")).await;
    send(&host, 10).await;
    assert_eq!(sink.count(), 10);
    let seen = eventually("all are compared", Duration::from_secs(30), || async {
        let seen = candidate(&host).await;
        (seen["different"] == 10).then_some(seen)
    })
    .await;
    assert_eq!((seen["mode"].as_str(), &seen["stopped"]), (Some("shadow"), &Value::Null));
    host.counted(&["outcome=\"different\"} 10"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_is_stopped_and_no_event_is_lost() {
    let sink = Receiver::good().await;
    let host = start(&sink, "canary = \"50%\"", &hostile("trap")).await;
    send(&host, 100).await;
    assert_eq!(sink.count(), 100);
    let seen = candidate(&host).await;
    assert_eq!(seen["mode"], "canary 50%");
    let why = seen["stopped"].as_str().expect("it is stopped");
    assert!(why.contains("calls failed, of the active version 0 of"), "{why}");
    host.logged(&["the candidate is stopped"]).await;
    let plugins = host.api("plugins").await.expect("plugins");
    let digest = &plugins["plugins"][0]["digest"];
    let events = host.api("events?state=routed&limit=100").await.expect("events");
    let events = events["events"].as_array().expect("a list").clone();
    assert_eq!(events.len(), 100);
    let id = events[0]["id"].as_str().expect("an id");
    let event = host.api(&format!("events/{id}")).await.expect("an event");
    assert_eq!(&event["rulings"][0]["digest"], digest, "{event}");
}
