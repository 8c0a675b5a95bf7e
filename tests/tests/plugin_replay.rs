//! A candidate over the recorded events of a running host: what would change, from the true input, and nothing else.
use std::path::Path;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, guest, plugins_dir};
use serde_json::Value;

/// `filter` stands behind a plugin that makes the field it looks at.
fn settings(receiver: &Receiver) -> String {
    format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"rename\", \"filter\"]\ndestinations = [\"ci\"]\n\
         [plugins.rename]\nfile = \"transform.wasm\"\nconfig = {{ output = {{ who = \"$/user\", n = \"$/n\" }} }}\n\
         [plugins.filter]\nconfig = {{ keep = [{{ field = \"/who\", equals = \"ann\" }}] }}\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        receiver.url()
    )
}

async fn host_with_events(receiver: &Receiver) -> Host {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let (ingress, admin) = (free().expect("a port"), free().expect("a port"));
    let text = format!(
        "{}[ingress]\nlisten = \"{ingress}\"\n[admin]\nlisten = \"{admin}\"\n",
        settings(receiver)
    );
    let host = HostBuilder::new(&text).plugin("transform").plugin("filter").start().await;
    for (user, count) in [("ann", 5), ("bob", 3)] {
        for n in 0..count {
            let body = format!("{{\"user\":\"{user}\",\"n\":{n}.50}}");
            host.client.post(host.ingress(), "/in/a", &[], body).await.expect("an answer");
        }
    }
    host.settled(Duration::from_secs(20)).await;
    host
}

fn replay(host: &Host, candidate: &Path, args: &[&str]) -> Value {
    let candidate = candidate.to_str().expect("a path of text");
    let args = [&["--json", "plugin", "replay", candidate, "--plugin", "filter"], args].concat();
    let (code, out, err) = host.run(&args);
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_on_recorded_events_and_nothing_is_sent() {
    let receiver = Receiver::good().await;
    let host = host_with_events(&receiver).await;
    assert_eq!(receiver.count(), 5);
    let filter = plugins_dir().join("filter.wasm");

    // The active version against itself: the same verdicts as then, behind the plugin before it.
    let same = replay(&host, &filter, &[]);
    assert_eq!(
        (&same["events"], &same["reached"], &same["changed"]),
        (&8.into(), &8.into(), &0.into())
    );
    assert_eq!((&same["recorded"], &same["as_recorded"]), (&8.into(), &8.into()), "{same}");
    assert_eq!(same["in_force"], same["candidate"]);

    // The same file with other settings: five and three the other way round.
    let other = r#"{"keep":[{"field":"/who","equals":"bob"}]}"#;
    let turned = replay(&host, &filter, &["--settings", other]);
    assert_eq!(turned["changed"], 8, "{turned}");
    assert_eq!(turned["changes"]["pass → drop"], 5, "{turned}");
    assert_eq!(turned["changes"]["drop → pass"], 3, "{turned}");
    assert_eq!(replay(&host, &filter, &["--settings", other, "--limit", "4"])["events"], 4);

    // Another component: its bodies are made of what the plugin before made.
    let transform = plugins_dir().join("transform.wasm");
    let shape = r#"{"output":{"name":"$/who","n":"$/n"}}"#;
    let changed = replay(&host, &transform, &["--settings", shape, "--show", "1"]);
    assert_eq!(changed["changes"]["pass → amend"], 5, "{changed}");
    let difference = changed["shown"][0]["difference"].as_str().expect("a difference");
    assert!(
        difference.contains("+verdict = \"amend\"") && difference.contains("bob"),
        "{difference}"
    );
    assert!(difference.contains(".50"), "digits stay: {difference}");

    // For people; and a plugin that is not there.
    let args = ["plugin", "replay", filter.to_str().expect("a path"), "--settings", other];
    let (code, out, err) = host.run(&[&args[..], &["--since", "1h", "--show", "2"]].concat());
    assert_eq!(code, 0, "{err}");
    for part in ["8 would get another verdict", "5  pass → drop", "--- active", "6 more: --show 8"]
    {
        assert!(out.contains(part), "`{part}` is not in\n{out}");
    }
    let (code, _, err) = host.run(&["plugin", "replay", "x.wasm", "--plugin", "nobody"]);
    assert_eq!(code, 1);
    assert!(err.contains("(filter, rename)"), "{err}");

    // Nothing was sent, nothing was written.
    assert_eq!(receiver.count(), 5);
    let events = host.api("events").await.expect("the events");
    let events = events["events"].as_array().expect("a list");
    assert!(events.len() == 8 && events.iter().all(|event| event["replays"] == 0), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replays_of_a_plugin_that_asks_for_chance_and_the_time_agree() {
    let receiver = Receiver::good().await;
    let host = host_with_events(&receiver).await;
    let candidate = host.dir().join("chance.wasm");
    std::fs::write(&candidate, guest("guests/chance")).expect("a write");
    let first = replay(&host, &candidate, &["--show", "100"]);
    assert_eq!(first["changed"], 8, "{first}");
    let reasons: std::collections::BTreeSet<_> = first["shown"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["difference"].to_string())
        .collect();
    assert_eq!(reasons.len(), 8, "each event has chances of its own: {reasons:?}");
    assert_eq!(replay(&host, &candidate, &["--show", "100"]), first);
}
