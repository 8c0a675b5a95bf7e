//! Plugins that speak with the world: requests to granted hosts, and answers to the source.
use std::time::{Duration, Instant};

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually, hostile};

async fn routed(host: &Host, source: &str, body: &str) -> serde_json::Value {
    let path = format!("/in/{source}");
    let posted = host.client.post(host.ingress(), &path, &[], body.to_owned());
    let id = posted.await.expect("an answer").id();
    eventually("the event is routed", Duration::from_secs(30), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] != "accepted").then_some(event)
    })
    .await
}

/// "GET/POST to allow-listed hosts through the host's guard, time inside the plugin's deadline,
/// never secrets."
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asks_a_granted_host_and_no_other() {
    let sink = Receiver::good().await;
    let api = Receiver::scripted(|number, _| match number {
        0 => Answer { body: "{\"name\":\"Ann\"}", ..Answer::status(200) },
        _ => Answer { delay: Duration::from_secs(600), ..Answer::status(200) },
    })
    .await;
    let plugin = |name: &str, grant: &str, url: &str| {
        format!(
            "[plugins.{name}]\nfile = \"enrich.wasm\"\ngrants = [\"{grant}\"]\non_failure = \"dead-letter\"\n\
             config = {{ value = \"/customer\", url = \"{url}\", add = \"who\", timeout_ms = 60000 }}\n"
        )
    };
    let source = |name: &str| {
        format!(
            "[sources.{name}]\nverify = {{ scheme = \"none\" }}\nplugins = [\"{name}\"]\n\
             destinations = [\"sink\"]\n"
        )
    };
    let (own, port) = (format!("http:{}", api.address()), api.address().port());
    let local = format!("http://{}/customers/{{}}", api.address());
    let settings = [
        source("asks"),
        plugin("asks", &own, &local),
        source("strays"),
        plugin("strays", "http:127.0.0.1:9", &local),
        source("named"),
        plugin("named", &format!("http:localtest.example:{port}"), &local),
        format!(
            "[destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
            sink.url()
        ),
    ];
    let host = HostBuilder::new(&settings.concat()).plugin("enrich").start().await;
    let plugins = host.api("plugins").await.expect("plugins");
    assert_eq!(plugins["plugins"][0]["grants"][0], own.as_str(), "{plugins}");

    let event = routed(&host, "asks", "{\"customer\":7}").await;
    let verdict = &event["rulings"][0];
    assert_eq!(
        (&event["state"], &verdict["used"][0]),
        (&"routed".into(), &"http".into()),
        "{event}"
    );
    eventually("the event arrives", Duration::from_secs(30), || async {
        (sink.count() == 1).then_some(())
    })
    .await;
    assert_eq!(sink.received()[0].body, "{\"customer\":7,\"who\":{\"name\":\"Ann\"}}");
    assert_eq!(api.received()[0].path, "/customers/7");
    for name in ["authorization", "cookie", "webhook-id", "webhook-signature", "x-event"] {
        assert_eq!(api.received()[0].header(name), "", "{name} went along");
    }

    // A preview asks nobody.
    let path = format!("/api/v1/events/{}/preview", event["id"].as_str().expect("an id"));
    let preview = host.client.post(host.admin(), &path, &[], "").await.expect("a preview");
    let text = String::from_utf8_lossy(&preview.body).into_owned();
    assert!(preview.status == 200 && text.contains("nothing is sent here"), "{text}");
    assert_eq!(api.count(), 1, "a preview was sent");

    for source in ["strays", "named"] {
        let event = routed(&host, source, "{\"customer\":7}").await;
        assert_eq!(event["state"], "dead", "{event}");
        assert!(event["reason"].to_string().contains("no grant for"), "{event}");
    }
    assert_eq!(api.count(), 1);

    // The call's own end comes before the request's: 20 times 50 ms.
    let began = Instant::now();
    let event = routed(&host, "asks", "{\"customer\":8}").await;
    assert_eq!(event["state"], "dead", "{event}");
    assert!(event["reason"].to_string().contains("took longer"), "{event}");
    assert!(began.elapsed() < Duration::from_secs(55), "{:?}", began.elapsed());
}

/// "The plugin's answer goes back to the source within a deadline; the event is still durable
/// first; on deadline or failure the usual 202."
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_answers_the_source_or_the_usual_answer_comes() {
    let source = |name: &str, plugins: &str, within: &str| {
        format!(
            "[sources.{name}]\nverify = {{ scheme = \"none\" }}\nplugins = {plugins}\n\
             respond_within = \"{within}\"\n"
        )
    };
    let settings = [
        source("greets", "[\"handshake\"]", "30s"),
        source("stalls", "[\"loop\", \"handshake\"]", "200ms"),
        source("fails", "[\"trap\", \"handshake\"]", "30s"),
        "[plugins.handshake]\ngrants = [\"responder\"]\nconfig = { challenge = \"/challenge\", member = \"echo\" }\n".into(),
        "[plugins.loop]\nlimits = { time = \"5s\" }\n[plugins.trap]\n".into(),
    ];
    let host = HostBuilder::new(&settings.concat()).plugin("handshake");
    let host = host.file("loop.wasm", &hostile("loop")).file("trap.wasm", &hostile("trap"));
    let host = host.start().await;
    let post = async |source: &str, body: &'static str| {
        let path = format!("/in/{source}");
        let posted = host.client.post(host.ingress(), &path, &[], body).await;
        posted.expect("an answer")
    };
    let asked = "{\"challenge\":\"abc\"}";
    let answer = post("greets", asked).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"{\"echo\":\"abc\"}"[..]));
    let id = answer.header("webhook-id").to_owned();
    let event = host.api(&format!("events/{id}")).await.expect("it is kept");
    assert_eq!(event["rulings"][0]["used"][0], "responder", "{event}");

    let began = Instant::now();
    assert_eq!(post("greets", "{}").await.status, 202, "no answer was given");
    assert!(began.elapsed() < Duration::from_secs(25), "and nobody waited for one");
    assert_eq!(post("stalls", asked).await.status, 202, "it came too late");
    assert_eq!(post("fails", asked).await.status, 202, "the event is parked");
    assert!(began.elapsed() < Duration::from_secs(29), "{:?}", began.elapsed());
}
