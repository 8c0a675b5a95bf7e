//! Plugins that keep state: granted by name, durable, counted once.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually};
use serde_json::Value;

fn settings(sink: &Receiver, grants: &str) -> String {
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"throttle\"]\n\
         destinations = [\"sink\"]\n\
         [plugins.throttle]\n{grants}\n\
         config = {{ limit = 3, seconds = 3600, by = \"/customer\" }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    )
}

async fn sent(host: &Host, body: &str) -> Value {
    let posted = host.client.post(host.ingress(), "/in/shop", &[], body.to_owned()).await;
    let id = posted.expect("an answer").id();
    eventually("the event is routed", Duration::from_secs(30), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] != "accepted").then_some(event)
    })
    .await
}

/// "Durable counters and values per plugin, atomic with the verdict, size and key caps, TTL." "A
/// grant is by plugin, by name, shown in `/api/v1/plugins`."
#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_counts_each_customer_through_a_crash() {
    let sink = Receiver::good().await;
    let settings = settings(&sink, "grants = [\"kv\"]");
    let mut host = HostBuilder::new(&settings).plugin("throttle").start().await;
    let plugins = host.api("plugins").await.expect("plugins");
    let plugin = &plugins["plugins"][0];
    assert_eq!(plugin["grants"][0], "kv", "{plugins}");
    assert!(plugin["imports"].to_string().contains("hookwright:plugin/kv@0.1.0"), "{plugins}");
    for _ in 0..3 {
        let event = sent(&host, "{\"customer\":1}").await;
        assert_eq!(
            (event["state"].as_str(), &event["rulings"][0]["used"][0]),
            (Some("routed"), &"kv".into())
        );
        host.kill();
        host.launch().await;
    }
    let one = sent(&host, "{\"customer\":1}").await;
    assert_eq!(one["reason"], "more than 3 in 3600 s", "{one}");
    assert_eq!(sent(&host, "{\"customer\":2}").await["state"], "routed");
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (client, address) = (host.client.clone(), host.ingress());
        clients.spawn(async move {
            let posted = client.post(address, "/in/shop", &[], "{\"customer\":3}").await;
            assert_eq!(posted.expect("an answer").status, 202);
        });
    }
    clients.join_all().await;
    host.settled(Duration::from_secs(30)).await;
    let dropped = host.api("events?state=dropped&limit=100").await.expect("events");
    let dropped = dropped["events"].as_array().map_or(0, Vec::len);
    assert_eq!(dropped, 1 + 37, "of forty at once, three pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_its_grant_is_refused_by_name_with_the_cure() {
    let sink = Receiver::good().await;
    let host = HostBuilder::new(&settings(&sink, "")).plugin("throttle").start().await;
    let plugins = host.api("plugins").await.expect("plugins");
    let plugin = &plugins["plugins"][0];
    assert!(plugin["digest"].is_null(), "{plugins}");
    let error = plugin["error"].as_str().expect("an error");
    assert!(error.contains("hookwright:plugin/kv@0.1.0"), "{error}");
    assert!(error.contains("write `grants = [\"kv\"]`"), "{error}");
}
