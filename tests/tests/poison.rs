//! An event that kills the whole host, over and over, is found and parked; others are delivered.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, hostile};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

/// A plugin that has its event in hand for long: time enough to kill the host.
fn settings(sink: &Receiver) -> String {
    format!(
        "[sources.bad]\nverify = {{ scheme = \"none\" }}\nplugins = [\"loop\"]\ndestinations = [\"sink\"]\n\
         [plugins.loop]\nlimits = {{ time = \"10s\" }}\n\
         [sources.good]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\ndestinations = [\"sink\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    )
}

async fn start(sink: &Receiver) -> Host {
    let builder = HostBuilder::new(&settings(sink)).plugin("filter");
    builder.file("loop.wasm", &hostile("loop")).start().await
}

/// The way it looks to the host: the process is gone while the plugin runs.
async fn kill_in_the_call(host: &mut Host) {
    let busy = "\nhookwright_plugin_instances 1\n";
    eventually("the plugin has the event in hand", DEADLINE, || async {
        let page = host.client.get(host.admin(), "/metrics").await.ok()?;
        String::from_utf8_lossy(&page.body).contains(busy).then_some(())
    })
    .await;
    host.kill();
    host.launch().await;
}

async fn shown(host: &Host, id: &str, state: &str) -> Value {
    eventually(&format!("the event is {state}"), DEADLINE, || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] == state).then_some(event)
    })
    .await
}

async fn post(host: &Host, source: &str) -> String {
    let path = format!("/in/{source}");
    host.client.post(host.ingress(), &path, &[], "x").await.expect("an answer").id()
}

/// "Strikes by plugin and by event: a poison event is parked with its cause and
/// can be replayed."
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kills_the_host_three_times_is_parked() {
    let sink = Receiver::good().await;
    let mut host = start(&sink).await;
    let poison = post(&host, "bad").await;
    for _ in 0..3 {
        let good = post(&host, "good").await;
        shown(&host, &good, "routed").await;
        kill_in_the_call(&mut host).await;
    }
    let event = shown(&host, &poison, "parked").await;
    let reason = event["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the host died 2 times while the plugin "), "{reason}");
    assert!(reason.ends_with(" loop had it in hand"), "{reason}");
    host.counted(&["\nhookwright_poison_events_total 1\n"]).await;

    // A person who replays it gives it to the plugin once more.
    let (code, _, said) = host.run(&["replay", &poison, "--host", &admin(&host)]);
    assert_eq!(code, 0, "{said}");
    kill_in_the_call(&mut host).await;
    // One that survives is judged by what it did.
    let event = shown(&host, &poison, "parked").await;
    let reason = event["reason"].as_str().expect("a reason");
    assert!(reason.contains("longer than its 10s"), "{reason}");
    host.settled(DEADLINE).await;
}

/// Two of them do not protect each other: what is known of one is not forgotten
/// before its row says that it is parked.
#[tokio::test(flavor = "multi_thread")]
async fn regression_two_events_that_kill_the_host_are_both_parked() {
    let sink = Receiver::good().await;
    let mut host = start(&sink).await;
    let both = [post(&host, "bad").await, post(&host, "bad").await];
    let mut deaths = 0;
    loop {
        let killed = eventually("one is in hand, or both are parked", DEADLINE, || async {
            let page = host.client.get(host.admin(), "/metrics").await.ok()?;
            let idle =
                String::from_utf8_lossy(&page.body).contains("\nhookwright_plugin_instances 0\n");
            let mut parked = true;
            for id in &both {
                parked &= host.api(&format!("events/{id}")).await.ok()?["state"] == "parked";
            }
            (!idle || parked).then_some(!parked)
        })
        .await;
        if !killed {
            break;
        }
        host.kill();
        deaths += 1;
        assert!(deaths <= 6, "they go on killing the host");
        host.launch().await;
    }
    for id in &both {
        let reason = shown(&host, id, "parked").await["reason"].to_string();
        assert!(reason.contains("the host died"), "{reason}");
    }
}

/// "Strikes by plugin": a version that kills the host with one event after the
/// other gets no more of them, until another takes its place or a person stops
/// the host in an orderly way.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_kills_the_host_with_each_event_gets_no_more() {
    let sink = Receiver::good().await;
    let mut host = start(&sink).await;
    let first = post(&host, "bad").await;
    for _ in 0..3 {
        kill_in_the_call(&mut host).await;
    }
    shown(&host, &first, "parked").await;
    let second = post(&host, "bad").await;
    for _ in 0..2 {
        kill_in_the_call(&mut host).await;
    }
    let third = post(&host, "bad").await;
    for id in [&second, &third] {
        let reason = shown(&host, id, "parked").await["reason"].clone();
        let reason = reason.as_str().expect("a reason");
        assert!(reason.contains("is quarantined: the host died 3 times"), "{reason}");
    }
    let plugins = host.api("plugins").await.expect("an answer");
    assert!(plugins.to_string().contains("stop the host in an orderly way"), "{plugins}");

    assert_eq!(host.terminate().await, Some(0), "a clean stop");
    host.launch().await;
    let fourth = post(&host, "bad").await;
    let reason = shown(&host, &fourth, "parked").await["reason"].clone();
    assert!(reason.to_string().contains("longer than its 10s"), "it was tried again: {reason}");
}

fn admin(host: &Host) -> String {
    format!("http://{}", host.admin())
}
