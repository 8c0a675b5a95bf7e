//! Plugins that loop, grow, flood, panic or pretend: each is refused or stopped by name, and others go on.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, hostile};
use serde_json::Value;

/// Components of `tests/hostile/`, with a word that the refusal must hold.
const STOPPED: &[(&str, &str)] = &[
    ("loop", "longer than"),
    ("memory", "memory"),
    ("table", "trapped"),
    ("huge-string", "output"),
    ("many-deliveries", "5000 deliveries"),
    ("huge-answer", "output"),
    ("log-flood", "log"),
    ("host-flood", "calls into the host"),
    ("deep", "call stack"),
    ("trap", "last words"),
];
const REFUSED: &[(&str, &str)] = &[
    ("wants-network", "wasi:sockets"),
    ("wants-unknown", "acme:vault/keys"),
    ("other-contract", "hookwright:plugin"),
    ("core-module", "component"),
    ("start-loop", "longer"),
];

fn settings(sink: &Receiver, plugins: &[&str]) -> String {
    let mut text = format!(
        "[sources.good]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\n\
         destinations = [\"sink\"]\n\
         [plugins.filter]\nconfig = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
         in_flight = 64\n",
        sink.url()
    );
    for plugin in plugins {
        text.push_str(&format!(
            "[sources.{plugin}]\nverify = {{ scheme = \"none\" }}\nplugins = [\"{plugin}\"]\n\
             destinations = [\"sink\"]\n[plugins.{plugin}]\n"
        ));
    }
    text
}

async fn event(host: &Host, id: &str) -> Value {
    eventually("the event is routed", Duration::from_secs(30), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] != "accepted").then_some(event)
    })
    .await
}

/// "A plugin harms only its own event. Time, memory, output, log lines and host
/// calls are capped; each call gets a fresh instance; no other event waits for
/// it, sees its memory or fails with it."
#[tokio::test(flavor = "multi_thread")]
async fn each_hostile_plugin_is_stopped_by_name() {
    let sink = Receiver::good().await;
    let names: Vec<&str> = STOPPED.iter().map(|(name, _)| *name).collect();
    let mut builder = HostBuilder::new(&settings(&sink, &names)).plugin("filter");
    for name in &names {
        builder = builder.file(&format!("{name}.wasm"), &hostile(name));
    }
    let host = builder.start().await;
    for (name, word) in STOPPED {
        let path = format!("/in/{name}");
        let posted = host.client.post(host.ingress(), &path, &[], "x").await.expect("an answer");
        assert_eq!(posted.status, 202, "{name}: what a plugin does is not the source's fault");
        let shown = event(&host, &posted.id()).await;
        let text = shown.to_string();
        assert!(text.contains(word), "{name}: `{word}` is not in {text}");
        if *name != "log-flood" {
            assert_eq!(shown["state"], "parked", "{name}: {text}");
            assert!(shown["reason"].as_str().is_some_and(|reason| reason.contains(name)), "{text}");
        }
    }
    let good = host.client.post(host.ingress(), "/in/good", &[], "x").await.expect("an answer");
    assert_eq!(event(&host, &good.id()).await["state"], "routed");
}

/// "The host's memory returns to its level."
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_hostile_plugins_took_does_not_pile_up() {
    const GREEDY: [&str; 5] = ["memory", "table", "huge-answer", "huge-string", "log-control"];
    let sink = Receiver::good().await;
    let settings = settings(&sink, &GREEDY)
        .replace("[plugins.memory]", "[plugins.memory]\nquarantine = { calls = 0 }")
        .replace("[plugins.table]", "[plugins.table]\nquarantine = { calls = 0 }")
        .replace("[plugins.huge-answer]", "[plugins.huge-answer]\nquarantine = { calls = 0 }")
        .replace("[plugins.huge-string]", "[plugins.huge-string]\nquarantine = { calls = 0 }");
    let mut builder = HostBuilder::new(&settings).plugin("filter");
    for name in GREEDY {
        builder = builder.file(&format!("{name}.wasm"), &hostile(name));
    }
    let host = builder.start().await;
    let mut levels = Vec::new();
    for _ in 0..4 {
        for name in GREEDY {
            for _ in 0..20 {
                let path = format!("/in/{name}");
                let posted = host.client.post(host.ingress(), &path, &[], "x").await;
                assert_eq!(posted.expect("an answer").status, 202);
            }
        }
        host.settled(Duration::from_secs(60)).await;
        levels.push(host.resident() >> 20);
    }
    // Each of these events wanted 16 to 64 MiB.
    assert!(levels[3] < levels[0] + 48, "MiB after each round: {levels:?}");
}

/// "An event for a disabled or unknown destination is kept": also where a plugin chose it.
/// The fault: its delivery waited for ever, and each name was a row that no purge dropped, a
/// series of the metrics and a line of the alerts.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_destination_that_nobody_knows_parks_the_event_until_it_is_there() {
    let sink = Receiver::good().await;
    let settings = settings(&sink, &["headers"]);
    let host = HostBuilder::new(&settings)
        .plugin("filter")
        .file("headers.wasm", &hostile("headers"))
        .start()
        .await;
    let mut parked = String::new();
    for (body, word) in [
        ("x-team|blue", "chose `nowhere`, which the settings have no destination for"),
        ("webhook-signature|v1,forged", "`webhook-signature` is the host's"),
        ("x-a|b\r\nhost: evil.example", "no header may have"),
    ] {
        let posted = host.client.post(host.ingress(), "/in/headers", &[], body).await;
        let id = posted.expect("an answer").id();
        let shown = event(&host, &id).await;
        assert_eq!(shown["state"], "parked", "{shown}");
        assert!(shown["reason"].as_str().is_some_and(|why| why.contains(word)), "{shown}");
        assert_eq!(shown["deliveries"], Value::Array(Vec::new()), "{shown}");
        if parked.is_empty() {
            parked = id;
        }
    }
    let metrics = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    assert!(!String::from_utf8_lossy(&metrics.body).contains("nowhere"));
    assert_eq!(sink.count(), 0);

    // Once it is there, a replay delivers.
    let more = format!(
        "[destinations.nowhere]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let file = host.dir().join("hookwright.toml");
    let now = std::fs::read_to_string(&file).expect("the settings");
    std::fs::write(&file, now + "\n" + &more).expect("new settings");
    host.hang_up();
    let admin = format!("http://{}", host.admin());
    eventually("the replay is delivered", Duration::from_secs(30), || async {
        let (code, _, said) = host.run(&["replay", &parked, "--host", &admin]);
        assert_eq!(code, 0, "{said}");
        (sink.count() > 0).then_some(())
    })
    .await;
    assert_eq!(sink.received()[0].header("x-team"), "blue");
}

/// The fault: two plugins without a grant ended the whole host, from an event `{}` by any
/// sender, and a preview did so each time.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_long_pointer_into_a_body_that_a_plugin_made_ends_no_host() {
    let sink = Receiver::good().await;
    let ample = |plugin: &str| {
        (
            format!("[plugins.{plugin}]\n"),
            format!("[plugins.{plugin}]\nlimits = {{ time = \"10s\" }}\n"),
        )
    };
    let (first, second) = (ample("deep-body"), ample("long-pointer"));
    let settings = settings(&sink, &["deep-body", "long-pointer"])
        .replace(&first.0, &first.1)
        .replace(&second.0, &second.1)
        .replace(
            "plugins = [\"deep-body\"]",
            "plugins = [\"deep-body\", \"long-pointer\"]\nkind = \"header:x-kind\"",
        );
    let host = HostBuilder::new(&settings)
        .plugin("filter")
        .file("deep-body.wasm", &hostile("deep-body"))
        .file("long-pointer.wasm", &hostile("long-pointer"))
        .start()
        .await;
    let (pid, admin) = (host.pid(), host.admin());
    for (kind, state, word) in [
        ("250", "dropped", "found"),
        ("100000", "parked", "200000 bytes; 8192 is the limit"),
        ("1", "parked", "a JSON body of more than 1000 levels"),
    ] {
        let headers = [("x-kind", kind)];
        let posted = host.client.post(host.ingress(), "/in/deep-body", &headers, "{}").await;
        let id = posted.expect("an answer").id();
        let shown = event(&host, &id).await;
        assert_eq!(shown["state"], state, "{shown}");
        assert!(shown["reason"].as_str().is_some_and(|why| why.contains(word)), "{shown}");
        for _ in 0..3 {
            let path = format!("/api/v1/events/{id}/preview");
            let tried = host.client.post(admin, &path, &[], "").await.expect("an answer");
            assert_eq!((tried.status, tried.json()["state"].as_str()), (200, Some(state)));
        }
    }
    assert_eq!(host.client.get(admin, "/healthz").await.expect("an answer").status, 200);
    assert_eq!(host.pid(), pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_by_name_and_others_load() {
    let sink = Receiver::good().await;
    let mut names: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    names.push("half");
    let mut builder = HostBuilder::new(&settings(&sink, &names)).plugin("filter");
    for (name, _) in REFUSED {
        builder = builder.file(&format!("{name}.wasm"), &hostile(name));
    }
    let whole =
        std::fs::read(hookwright_tests::plugins_dir().join("thin-github.wasm")).expect("a plugin");
    let host = builder.file("half.wasm", &whole[..whole.len() / 2]).start().await;
    let plugins = host.api("plugins").await.expect("plugins");
    for (name, word) in REFUSED {
        let status = plugins["plugins"].as_array().into_iter().flatten();
        let status = status.clone().find(|status| status["name"] == *name).expect("a status");
        assert!(status["digest"].is_null(), "{name} must not be active");
        let error = status["error"].as_str().unwrap_or_default();
        assert!(error.contains(word), "{name}: `{word}` is not in `{error}`");
    }
    // The half-copied file is loaded once it is whole.
    std::fs::write(host.plugins().join("half.wasm"), &whole).expect("a write");
    eventually("the whole file is active", Duration::from_secs(30), || async {
        let plugins = host.api("plugins").await.ok()?;
        let mut list = plugins["plugins"].as_array()?.iter();
        list.find(|status| status["name"] == "half" && status["digest"].is_string()).map(drop)
    })
    .await;
    let good = host.client.post(host.ingress(), "/in/good", &[], "x").await.expect("an answer");
    assert_eq!(event(&host, &good.id()).await["state"], "routed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looping_plugin_does_not_hold_up_its_neighbour() {
    let sink = Receiver::good().await;
    // Without quarantine, which would end the loops after twenty.
    let settings =
        settings(&sink, &["loop"]) + "quarantine = { calls = 0 }\nlimits = { time = \"1s\" }\n";
    let host = HostBuilder::new(&settings)
        .plugin("filter")
        .file("loop.wasm", &hostile("loop"))
        .start()
        .await;
    let (client, address) = (host.client.clone(), host.ingress());
    for _ in 0..200 {
        let posted = client.post(address, "/in/loop", &[], "x").await.expect("an answer");
        assert_eq!(posted.status, 202);
    }
    // 200 events of 1 s each would hold a host without lanes for minutes.
    for _ in 0..200 {
        let posted = client.post(address, "/in/good", &[], "x").await.expect("an answer");
        assert_eq!(posted.status, 202);
    }
    eventually("the neighbour's events arrive", Duration::from_secs(60), || async {
        (sink.count() >= 200).then_some(())
    })
    .await;
    let looping = host.api("events?source=loop&state=accepted&limit=1").await.expect("events");
    let left = looping["events"].as_array().map_or(0, Vec::len);
    assert!(left > 0, "the neighbour's events came only after all the looping ones");
}
