//! Plugins that fail, or whose files go: their events are kept with the cause, and can be replayed.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, guest, hostile};
use serde_json::Value;

fn settings(sink: &Receiver) -> String {
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"p\"]\n\
         destinations = [\"sink\"]\n\
         [plugins.p]\nquarantine = {{ calls = 10, wait = \"1h\" }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    )
}

async fn post(host: &Host) -> String {
    let posted = host.client.post(host.ingress(), "/in/shop", &[], "x").await.expect("an answer");
    assert_eq!(posted.status, 202);
    posted.id()
}

async fn ended(host: &Host, id: &str, state: &str) -> Value {
    eventually(&format!("{id} is {state}"), Duration::from_secs(30), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] == state).then_some(event)
    })
    .await
}

async fn replay(host: &Host, path: &str, body: &str) -> u64 {
    let (path, body) = (format!("/api/v1/{path}"), body.to_owned());
    let answer = host.client.post(host.admin(), &path, &[], body).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    answer["replayed"].as_u64().expect("a number")
}

/// Waits until the version with which the host began is, or is not, in quarantine.
async fn gauge(host: &Host, value: u8) -> String {
    eventually("the gauge follows", Duration::from_secs(30), || async {
        let page = host.client.get(host.admin(), "/metrics").await.ok()?;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let start = "hookwright_plugin_quarantined{plugin=\"p\",digest=";
        let line = page.lines().find(|line| line.starts_with(start))?;
        line.ends_with(&format!(" {value}")).then(|| line.to_owned())
    })
    .await
}

/// "A plugin that fails for most events is quarantined with a half-open probe and an alert, and
/// its `on_failure` decides for the events meanwhile." "A poison event is parked with its cause
/// and can be replayed."
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_plugin_is_quarantined_in_sight_and_its_events_are_replayed_after_the_cure() {
    let sink = Receiver::good().await;
    let host = HostBuilder::new(&settings(&sink)).file("p.wasm", &hostile("trap")).start().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let id = post(&host).await;
        let event = ended(&host, &id, "parked").await;
        assert!(event["reason"].as_str().is_some_and(|why| why.contains("last words")), "{event}");
        ids.push(id);
    }
    let id = post(&host).await;
    let event = ended(&host, &id, "parked").await;
    let why = event["reason"].as_str().expect("a reason");
    assert!(why.contains("p: is quarantined: 10 of its last 10 calls failed"), "{why}");
    assert!(event["rulings"][0]["digest"].is_string(), "{event}");
    ids.push(id);

    let plugins = host.api("plugins").await.expect("plugins");
    let quarantine = &plugins["plugins"][0]["quarantine"];
    assert!(quarantine["why"].as_str().is_some_and(|why| why.contains("last words")), "{plugins}");
    let (since, next) = (quarantine["since_ms"].as_u64(), quarantine["next_probe_ms"].as_u64());
    assert!(next > since && since > Some(0), "{quarantine}");
    host.logged(&["the plugin is quarantined"]).await;
    host.counted(&[
        "hookwright_plugin_quarantines_total{plugin=\"p\"} 1\n",
        "decision=\"quarantined\"} 1\n",
        &gauge(&host, 1).await,
    ])
    .await;

    let good = host.plugins().join("p.wasm.new");
    std::fs::write(&good, guest("guests/pass")).expect("a write");
    std::fs::rename(&good, host.plugins().join("p.wasm")).expect("a rename");
    eventually("the cure is active", Duration::from_secs(30), || async {
        let plugins = host.api("plugins").await.ok()?;
        plugins["plugins"][0]["quarantine"].is_null().then_some(())
    })
    .await;
    gauge(&host, 0).await;
    let wanted = "{\"filter\": {\"state\": \"parked\"}}";
    let answer = host.client.post(host.admin(), "/api/v1/replays", &[], wanted).await;
    assert_eq!(answer.expect("an answer").status, 202);
    let done = eventually("the bulk replay is done", Duration::from_secs(30), || async {
        host.api("replays/1").await.ok().filter(|job| job["state"] == "done")
    })
    .await;
    assert_eq!(done["replayed"], 11, "{done}");
    for id in &ids {
        let event = ended(&host, id, "routed").await;
        assert_eq!(event["rulings"][0]["decision"], "pass", "{event}");
    }
    host.settled(Duration::from_secs(30)).await;
    assert_eq!(sink.count(), ids.len());
}

/// "A version that was removed from the directory stays active for events in flight, then its
/// events follow `on_failure`."
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_plugin_whose_file_was_removed_follow_on_failure() {
    let sink = Receiver::good().await;
    let host =
        HostBuilder::new(&settings(&sink)).file("p.wasm", &guest("guests/pass")).start().await;
    ended(&host, &post(&host).await, "routed").await;
    std::fs::remove_file(host.plugins().join("p.wasm")).expect("a file");
    eventually("its version goes", Duration::from_secs(30), || async {
        let plugins = host.api("plugins").await.ok()?;
        let plugin = &plugins["plugins"][0];
        let told = plugin["error"].as_str().is_some_and(|why| why.contains("p.wasm is missing"));
        (plugin["digest"].is_null() && told).then_some(())
    })
    .await;
    let id = post(&host).await;
    let event = ended(&host, &id, "parked").await;
    let why = event["reason"].as_str().expect("a reason");
    assert!(why.contains("no version is loaded") && why.contains("p.wasm is missing"), "{why}");
    std::fs::write(host.plugins().join("p.wasm"), guest("guests/pass")).expect("a write");
    eventually("it is back", Duration::from_secs(30), || async {
        let plugins = host.api("plugins").await.ok()?;
        plugins["plugins"][0]["digest"].is_string().then_some(())
    })
    .await;
    assert_eq!(replay(&host, &format!("events/{id}/replay"), "").await, 1);
    ended(&host, &id, "routed").await;
}
