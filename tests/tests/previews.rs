//! Previews: bounded, apart from what decides, and marked like any call that may kill the host.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, hostile};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

/// A plugin that has its event in hand until its time is over, and one that passes all.
async fn start(sink: &Receiver, time: &str) -> Host {
    let settings = format!(
        "[sources.bad]\nverify = {{ scheme = \"none\" }}\nplugins = [\"loop\"]\ndestinations = [\"sink\"]\n\
         [plugins.loop]\nlimits = {{ time = \"{time}\" }}\nquarantine = {{ calls = 0 }}\n\
         [sources.good]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\ndestinations = [\"sink\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let builder = HostBuilder::new(&settings).plugin("filter");
    builder.file("loop.wasm", &hostile("loop")).start().await
}

/// An event that its plugin failed on.
async fn parked(host: &Host) -> String {
    let posted = host.client.post(host.ingress(), "/in/bad", &[], "x").await.expect("an answer");
    let id = posted.id();
    eventually("the event is parked", DEADLINE, || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] == "parked").then_some(())
    })
    .await;
    id
}

/// The fault: previews left no marks, so that who may replay could end the host as often as
/// there was an event to do it with.
#[tokio::test(flavor = "multi_thread")]
async fn regression_an_event_whose_previews_kill_the_host_is_asked_about_no_more() {
    let sink = Receiver::good().await;
    let mut host = start(&sink, "2s").await;
    let id = parked(&host).await;
    let path = format!("/api/v1/events/{id}/preview");
    for _ in 0..2 {
        let (client, admin, path) = (host.client.clone(), host.admin(), path.clone());
        let asking = tokio::spawn(async move { client.post(admin, &path, &[], "").await.is_ok() });
        // The way it looks to the host: the process is gone while the plugin runs.
        let busy = "\nhookwright_plugin_instances 1\n";
        eventually("the plugin has the event in hand", DEADLINE, || async {
            let page = host.client.get(host.admin(), "/metrics").await.ok()?;
            let page = String::from_utf8_lossy(&page.body).into_owned();
            if asking.is_finished() {
                // It was over before this looked: ask again.
                let (client, admin, path) = (host.client.clone(), host.admin(), path_of(&id));
                tokio::spawn(async move { client.post(admin, &path, &[], "").await.is_ok() });
            }
            page.contains(busy).then_some(())
        })
        .await;
        host.kill();
        host.launch().await;
    }
    let previewed = host.client.post(host.admin(), &path, &[], "").await.expect("an answer");
    let previewed = previewed.json();
    assert_eq!(previewed["state"], "parked", "{previewed}");
    let reason = previewed["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the host died 2 times while the plugin "), "{previewed}");
    assert_eq!(previewed["rulings"], Value::Array(Vec::new()), "no plugin was asked");
}

fn path_of(id: &str) -> String {
    format!("/api/v1/events/{id}/preview")
}

/// The fault: whoever asked for many held the instances that events wait for.
#[tokio::test(flavor = "multi_thread")]
async fn regression_previews_are_bounded_and_events_do_not_wait_for_them() {
    let sink = Receiver::good().await;
    let host = start(&sink, "200ms").await;
    let id = parked(&host).await;
    let previews: Vec<_> = (0..40)
        .map(|_| {
            let (client, admin, path) = (host.client.clone(), host.admin(), path_of(&id));
            tokio::spawn(
                async move { client.post(admin, &path, &[], "").await.expect("an answer") },
            )
        })
        .collect();
    for _ in 0..20 {
        let posted = host.client.post(host.ingress(), "/in/good", &[], "x").await;
        assert_eq!(posted.expect("an answer").status, 202);
    }
    eventually("the events are delivered", DEADLINE, || async {
        (sink.count() >= 20).then_some(())
    })
    .await;
    let mut statuses = Vec::new();
    for preview in previews {
        let preview = preview.await.expect("no panic");
        if preview.status == 429 {
            assert_eq!(preview.header("retry-after"), "1");
            assert!(
                preview.json()["detail"].to_string().contains("previews"),
                "{:?}",
                preview.json()
            );
        }
        statuses.push(preview.status);
    }
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(of(200) + of(429), 40, "{statuses:?}");
    assert!(of(200) >= 16 && of(429) > 0, "{statuses:?}");
}
