//! What an operator relies on: settings that change while the host runs, and metrics that say what it does.
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually};

fn source(name: &str, destination: &str) -> String {
    format!(
        "[sources.{name}]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"{destination}\"]\n"
    )
}

fn destination(name: &str, receiver: &Receiver) -> String {
    format!(
        "[destinations.{name}]\nurl = \"{}\"\nallow_private = true\n\
         retry = {{ base = \"10ms\", attempts = 3 }}\n",
        receiver.url()
    )
}

/// Writes new settings beside the old ones and renames them into place.
fn change(host: &Host, text: &str) {
    let new = host.dir().join("hookwright.toml.new");
    let text =
        format!("{text}[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    std::fs::write(&new, text).expect("a write");
    std::fs::rename(&new, host.dir().join("hookwright.toml")).expect("a rename");
    host.hang_up();
}

async fn status_of(host: &Host, source: &str) -> u16 {
    let posted = host.client.post(host.ingress(), &format!("/in/{source}"), &[], "x").await;
    posted.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn new_settings_take_over_with_nothing_dropped_and_bad_ones_change_nothing() {
    let (first, second) = (Receiver::good().await, Receiver::good().await);
    let old = source("a", "first") + &destination("first", &first);
    let host = HostBuilder::new(&old).start().await;
    assert_eq!((status_of(&host, "a").await, status_of(&host, "b").await), (202, 404));

    let new = source("a", "second")
        + &source("b", "first")
        + &destination("first", &first)
        + &destination("second", &second);
    change(&host, &new);
    eventually("the new source takes events", Duration::from_secs(20), || async {
        (status_of(&host, "b").await == 202).then_some(())
    })
    .await;
    let before = second.count();
    assert_eq!(status_of(&host, "a").await, 202);
    eventually("the new destination gets them", Duration::from_secs(10), || async {
        (second.count() > before).then_some(())
    })
    .await;

    change(&host, "[sources.c]\nverify = \"nonsense\"\n");
    host.logged(&["the old settings stay active"]).await;
    assert_eq!((status_of(&host, "b").await, status_of(&host, "c").await), (202, 404));

    // A source that goes and comes back meets neither itself nor a loss.
    change(&host, &old);
    eventually("the source is gone", Duration::from_secs(20), || async {
        (status_of(&host, "b").await == 404).then_some(())
    })
    .await;
    change(&host, &new);
    eventually("the source is back", Duration::from_secs(20), || async {
        (status_of(&host, "b").await == 202).then_some(())
    })
    .await;
    host.settled(Duration::from_secs(20)).await;
    let stats = host.api("stats").await.expect("stats");
    let delivered = first.count() + second.count();
    assert_eq!(stats["events"], delivered, "each event was delivered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_say_what_the_host_does() {
    let good = Receiver::good().await;
    let bad = Receiver::scripted(|_, _| Answer::status(500)).await;
    let settings = "[sources.a]\nverify = { scheme = \"none\" }\nplugins = [\"thin-github\"]\n\
                    destinations = [\"good\", \"bad\"]\n[plugins.thin-github]\n\
                    [sources.signed]\nverify = { scheme = \"bearer\", secrets = [\"dangerous_plain:x\"] }\n"
        .to_owned()
        + &destination("good", &good)
        + &destination("bad", &bad);
    let host = HostBuilder::new(&settings).plugin("thin-github").start().await;
    assert_eq!(status_of(&host, "a").await, 202);
    assert_eq!(status_of(&host, "signed").await, 401);
    host.settled(Duration::from_secs(20)).await;
    let lines = [
        "hookwright_ingress_requests_total{source=\"a\"",
        "hookwright_ingress_refused_total{source=\"signed\"",
        "hookwright_events_total{source=\"a\"} 1",
        "hookwright_events_routed_total{source=\"a\",state=\"routed\"} 1",
        "hookwright_plugin_verdicts_total{plugin=\"thin-github\"",
        "hookwright_plugin_call_seconds_bucket{plugin=\"thin-github\"",
        "hookwright_plugin_instances",
        "hookwright_delivery_attempts_total{destination=\"bad\",outcome=\"5xx\"} 3",
        "hookwright_deliveries_total{destination=\"good\",state=\"delivered\"} 1",
        "hookwright_deliveries_total{destination=\"bad\",state=\"dead\"} 1",
        "hookwright_delivery_lag_seconds_bucket{destination=\"good\"",
        "hookwright_delivery_backlog{destination=\"good\"} 0",
        "hookwright_delivery_oldest_seconds{destination=\"bad\"}",
        "hookwright_store_commit_records_bucket{part=\"journal\"",
        "hookwright_store_commit_seconds_bucket{part=\"index\"",
        "hookwright_store_bytes",
    ];
    // Some are looked at from time to time, so they may be older than what has settled.
    host.counted(&lines).await;
    let ready = host.client.get(host.admin(), "/readyz").await.expect("an answer");
    assert_eq!(ready.status, 200);
}

/// What the receiver got, by its kind and key.
fn alerts(receiver: &Receiver) -> Vec<(String, String)> {
    let bodies = receiver.received().into_iter();
    let told =
        bodies.map(|one| serde_json::from_slice::<serde_json::Value>(&one.body).expect("JSON"));
    told.map(|event| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["data"]["key"]))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_once_and_told_when_it_is_well_again() {
    let failing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let flag = failing.clone();
    let shaky = Receiver::scripted(move |_, _| {
        Answer::status(if flag.load(std::sync::atomic::Ordering::SeqCst) { 500 } else { 200 })
    })
    .await;
    let (ops, slack) = (Receiver::good().await, Receiver::good().await);
    let settings = source("a", "shaky")
        + &format!(
            "[destinations.shaky]\nurl = \"{}\"\nallow_private = true\n\
             retry = {{ base = \"100ms\", cap = \"100ms\", attempts = 1000 }}\n\
             breaker = {{ attempts = 0 }}\n\
             [alerts]\ndestinations = [\"ops\"]\nslack = [\"slack\"]\n\
             every = \"1s\"\nhold = \"0s\"\nclear = \"0s\"\nfailures = 3\ndisk_free = \"0B\"\n",
            shaky.url()
        )
        + &destination("ops", &ops)
        + &destination("slack", &slack);
    let mut host = HostBuilder::new(&settings).start().await;
    assert_eq!(status_of(&host, "a").await, 202);
    let told = |kind: &str| (kind.to_owned(), "destination.failing/shaky".to_owned());
    eventually("the alert comes", Duration::from_secs(20), || async {
        (!alerts(&ops).is_empty()).then_some(())
    })
    .await;
    // A restart does not tell it once more.
    assert_eq!(host.terminate().await, Some(0));
    host.launch().await;
    let before = shaky.count();
    eventually("it goes on failing", Duration::from_secs(20), || async {
        (shaky.count() > before + 20).then_some(())
    })
    .await;
    failing.store(false, std::sync::atomic::Ordering::SeqCst);
    eventually("the end comes", Duration::from_secs(20), || async {
        (alerts(&ops).len() > 1).then_some(())
    })
    .await;
    assert_eq!(alerts(&ops), [told("alert.firing"), told("alert.resolved")]);
    let first = eventually("Slack is told too", Duration::from_secs(20), || async {
        slack.received().into_iter().next()
    });
    let text = String::from_utf8_lossy(&first.await.body).into_owned();
    assert!(text.contains("*destination.failing/shaky*"), "{text}");
}

/// Lines of one target more, without a restart; a slip silences nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_changes_while_the_host_runs() {
    let receiver = Receiver::good().await;
    let text = format!(
        "[log]\nlevel = \"warn\"\n{}{}",
        source("shop", "ci"),
        destination("ci", &receiver)
    );
    let mut host = HostBuilder::new(&text).start().await;
    let url = format!("http://{}", host.admin());
    let hookwright = |args: &[&str]| host.run(&[&["--host", &url], args].concat());
    assert_eq!(hookwright(&["log"]), (0, "warn\n".to_owned(), String::new()));
    assert_eq!(status_of(&host, "shop").await, 202);
    let (code, _, told) = hookwright(&["log", "debgu"]);
    assert!(code == 1 && told.contains("none of error, warn"), "{told}");
    assert!(!host.log().contains("accepted"), "{}", host.log());

    let wanted = "warn,hookwright::ingress=debug";
    assert_eq!(hookwright(&["log", wanted]).1, format!("{wanted}\n"));
    assert_eq!(status_of(&host, "shop").await, 202);
    host.logged(&["accepted"]).await;
    let audit = hookwright(&["audit", "--action", "log"]).1;
    assert!(audit.contains(wanted), "{audit}");

    change(&host, &text.replace("\"warn\"", "\"error\""));
    eventually("the settings' level is active", Duration::from_secs(10), || async {
        (hookwright(&["log"]).1 == "error\n").then_some(())
    })
    .await;
    assert_eq!(host.terminate().await, Some(0));
    assert!(!host.log().contains("delivered"), "another target stays as it was");
}

/// Found by a review: what the settings' filter may not be kept the host from starting.
#[tokio::test(flavor = "multi_thread")]
async fn regression_the_host_starts_with_any_rust_log_that_others_take() {
    for text in ["", "hookwright", "[span]=info"] {
        let host = HostBuilder::new("").env("RUST_LOG", text).start().await;
        let url = format!("http://{}", host.admin());
        let shown = host.run(&["--host", &url, "log"]).1;
        let wanted = if text.is_empty() { "info" } else { text };
        assert_eq!(shown, format!("{wanted}\n"));
    }
}

/// Since the host is several crates, the documented filter named none of its targets, and lines named crates.
#[tokio::test(flavor = "multi_thread")]
async fn regression_lines_and_filters_name_the_documented_targets() {
    let receiver = Receiver::good().await;
    for format in ["text", "json"] {
        let settings = format!(
            "[log]\nformat = \"{format}\"\n\
             [sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"out\"]\n\
             [destinations.out]\nurl = \"{}\"\nallow_private = true\n",
            receiver.url()
        );
        let host = HostBuilder::new(&settings).start().await;
        let admin = format!("http://{}", host.admin());
        for (filter, target, message) in [
            ("info,hookwright::delivery=debug", "hookwright::delivery::attempt", "delivered"),
            ("info,hookwright::ingress=debug", "hookwright::ingress::answers", "accepted"),
        ] {
            let mut command = host.command(&["log", filter]);
            let done = command.env("HOOKWRIGHT_HOST", &admin).output().expect("the command runs");
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success() && said.contains(filter), "{filter}: {said}");
            host.client.post(host.ingress(), "/in/a", &[], "{}").await.expect("an answer");
            host.settled(Duration::from_secs(60)).await;
            host.logged(&["DEBUG", target, message]).await;
        }
        let log = host.log();
        assert!(log.contains("hookwright::admin::log"), "{log}");
        let crates = log.lines().find(|line| line.contains("hookwright_"));
        assert_eq!(crates, None, "{format}: no line names a crate");
    }
}
