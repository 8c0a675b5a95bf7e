//! What wakes a person, and that it ends: alerts over a restart, and what waits for a destination that is gone.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(60);
const HOST: &str = "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

fn destination(name: &str, receiver: &Receiver) -> String {
    format!(
        "[destinations.{name}]\nurl = \"{}\"\nallow_private = true\nbreaker = {{ attempts = 0 }}\n\
         retry = {{ base = \"60ms\", cap = \"60ms\", attempts = 1000 }}\n",
        receiver.url()
    )
}

async fn post(host: &Host) {
    let posted = host.client.post(host.ingress(), "/in/a", &[], "{}").await.expect("an answer");
    assert_eq!(posted.status, 202);
}

/// New settings, and a reload.
fn change(host: &Host, text: &str) {
    let new = host.dir().join("hookwright.toml.new");
    std::fs::write(&new, format!("{text}{HOST}")).expect("a write");
    std::fs::rename(&new, host.dir().join("hookwright.toml")).expect("a rename");
    host.hang_up();
}

/// With only Slack or only PagerDuty told, a restart told them again, and nobody of the end.
#[tokio::test(flavor = "multi_thread")]
async fn regression_slack_or_pagerduty_alone_are_told_once_and_of_the_end_over_restarts() {
    let channels = [
        ("slack = [\"ops\"]", ":warning:", ":white_check_mark:"),
        (
            "pagerduty = { routing_key = \"dangerous_plain:k\", destinations = [\"ops\"] }",
            "\"trigger\"",
            "\"resolve\"",
        ),
    ];
    for (channel, begin, end) in channels {
        let failing = Arc::new(AtomicBool::new(true));
        let fails = failing.clone();
        let shaky = Receiver::scripted(move |_, _| {
            Answer::status(if fails.load(Ordering::SeqCst) { 500 } else { 200 })
        })
        .await;
        let ops = Receiver::good().await;
        let settings = format!(
            "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"shaky\"]\n\
             [alerts]\n{channel}\nevery = \"1s\"\nhold = \"0s\"\nclear = \"3s\"\nfailures = 3\n\
             disk_free = \"0B\"\n"
        ) + &destination("shaky", &shaky)
            + &destination("ops", &ops);
        let mut host = HostBuilder::new(&settings).start().await;
        post(&host).await;
        let told = || {
            let bodies = ops.received().into_iter();
            bodies.map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect::<Vec<_>>()
        };
        eventually("the alert comes", LONG, || async { (!told().is_empty()).then_some(()) }).await;
        for _ in 0..2 {
            assert_eq!(host.terminate().await, Some(0));
            host.launch().await;
            let before = shaky.count();
            // For longer than two looks.
            eventually("it goes on failing", LONG, || async {
                (shaky.count() > before + 45).then_some(())
            })
            .await;
        }
        failing.store(false, Ordering::SeqCst);
        eventually("the end comes", LONG, || async { (told().len() > 1).then_some(()) }).await;
        let told = told();
        assert_eq!(told.len(), 2, "{channel}: {told:?}");
        assert!(
            told[0].contains(begin) && told[0].contains("destination.failing/shaky"),
            "{told:?}"
        );
        assert!(told[1].contains(end) && told[1].contains("destination.failing/shaky"), "{told:?}");
    }
}

/// "Resolved" was told within seconds of a start, though nothing had gone well since: what the host
/// counts in memory begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_restart_resolves_no_alert_that_nothing_has_ended() {
    let failing = Arc::new(AtomicBool::new(true));
    let fails = failing.clone();
    let shaky = Receiver::scripted(move |_, _| {
        Answer::status(if fails.load(Ordering::SeqCst) { 500 } else { 200 })
    })
    .await;
    // Goes on failing: its attempts tell that time passes.
    let ticks = Receiver::scripted(|_, _| Answer::status(500)).await;
    let ops = Receiver::good().await;
    let rests = |name: &str, attempts: u32| {
        let often = "retry = { base = \"60ms\", cap = \"60ms\", attempts = 1000 }";
        let seldom = format!("retry = {{ base = \"1h\", cap = \"1h\", attempts = {attempts} }}");
        destination(name, &shaky).replace(often, &seldom)
    };
    let settings = "[sources.a]\nverify = { scheme = \"none\" }\ndestinations = [\"rests\", \"dies\"]\n\
                    [sources.b]\nverify = { scheme = \"none\" }\ndestinations = [\"ticks\"]\n\
                    [alerts]\ndestinations = [\"ops\"]\nevery = \"1s\"\nhold = \"0s\"\nclear = \"0s\"\n\
                    failures = 3\ndisk_free = \"0B\"\n"
        .to_owned()
        + &rests("rests", 1000)
        + &rests("dies", 1)
        + &destination("ticks", &ticks)
        + &destination("ops", &ops);
    let mut host = HostBuilder::new(&settings).start().await;
    for _ in 0..3 {
        post(&host).await;
    }
    let posted = host.client.post(host.ingress(), "/in/b", &[], "{}").await.expect("an answer");
    assert_eq!(posted.status, 202);
    let keys =
        ["destination.failing/rests", "destination.failing/dies", "destination.dead-letters/dies"];
    let kept = host.dir().join("data/alerts.json");
    eventually("all are told, and that is written down", LONG, || async {
        let text = std::fs::read_to_string(&kept).ok()?;
        keys.iter().all(|key| text.contains(key)).then_some(())
    })
    .await;
    // What each was told, once for each event: a `kill -9` may send one again.
    let told = |key: &str| {
        let mut seen = std::collections::HashSet::new();
        let mut states = Vec::new();
        for one in ops.received() {
            let body: Value = serde_json::from_slice(&one.body).expect("JSON");
            if body["data"]["key"] == key && seen.insert(one.header("webhook-id").to_owned()) {
                states.push(body["type"].as_str().unwrap_or_default().to_owned());
            }
        }
        states
    };
    for kill in [true, false] {
        if kill {
            host.kill();
        } else {
            assert_eq!(host.terminate().await, Some(0));
        }
        host.launch().await;
        let before = ticks.count();
        eventually("several looks pass", LONG, || async {
            (ticks.count() > before + 80).then_some(())
        })
        .await;
        for key in keys {
            eventually("it was told", LONG, || async { (!told(key).is_empty()).then_some(()) })
                .await;
            assert_eq!(told(key), ["alert.firing"], "{key}");
        }
    }
    failing.store(false, Ordering::SeqCst);
    post(&host).await;
    for key in &keys[..2] {
        eventually("a success ends it", LONG, || async { (told(key).len() > 1).then_some(()) })
            .await;
        assert_eq!(told(key), ["alert.firing", "alert.resolved"], "{key}");
    }
    assert_eq!(told(keys[2]), ["alert.firing"], "its ten minutes are not over");
}

/// What waited for a destination that was removed could not be given up, and kept the alert of an
/// old backlog for ever.
#[tokio::test(flavor = "multi_thread")]
async fn regression_what_waits_for_a_removed_destination_can_be_discarded() {
    let busy = Receiver::scripted(|_, _| Answer::status(503)).await;
    let good = Receiver::good().await;
    let source = |to: &str| {
        format!("[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [{to}]\n")
    };
    let both =
        source("\"old\", \"good\"") + &destination("old", &busy) + &destination("good", &good);
    let host = HostBuilder::new(&both).start().await;
    for _ in 0..5 {
        post(&host).await;
    }
    let waiting = |count: u64| {
        let host = &host;
        eventually("so many wait", LONG, move || async move {
            let all = host.api("destinations").await.ok()?;
            let old =
                all["destinations"].as_array()?.iter().find(|one| one["name"] == "old")?.clone();
            (old["waiting"] == count).then_some(old)
        })
    };
    waiting(5).await;
    let path = "/api/v1/destinations/old/discard";
    let ask = |body: Value| host.client.post(host.admin(), path, &[], body.to_string());
    let refused = ask(json!({ "reason": "moved" })).await.expect("an answer");
    assert_eq!((refused.status, refused.code().as_str()), (409, "conflict"), "it is at work");

    change(&host, &(source("\"good\"") + &destination("good", &good)));
    let old = eventually("it is removed", LONG, || async {
        let all = host.api("destinations").await.ok()?;
        let all = all["destinations"].as_array()?.clone();
        all.into_iter().find(|one| one["name"] == "old" && one["known"] == false)
    })
    .await;
    assert_eq!(old["waiting"], 5, "{old}");
    let (code, out, _) = host.run(&["--host", &format!("http://{}", host.admin()), "destinations"]);
    assert!(
        code == 0 && out.lines().any(|line| line.contains("old") && line.contains("removed")),
        "{out}"
    );
    for body in [json!({}), json!({ "reason": " " }), json!({ "reason": "x".repeat(501) })] {
        let status = ask(body).await.expect("an answer").status;
        assert!((400..=422).contains(&status), "{status}");
    }
    let host_url = format!("http://{}", host.admin());
    let args = ["--host", &host_url, "destinations", "discard", "old", "--reason", "moved away"];
    let (code, out, err) = host.run(&args);
    assert_eq!((code, out.as_str()), (0, "old: 5 deliveries are discarded\n"), "{err}");
    let old = waiting(0).await;
    assert_eq!((&old["dead"], &old["oldest_ms"]), (&json!(5), &Value::Null), "{old}");
    let dead = host.api("events?destination=old&delivery=dead").await.expect("events");
    let dead = dead["events"].as_array().expect("a list").clone();
    assert_eq!(dead.len(), 5);
    for event in &dead {
        let deliveries = event["deliveries"].as_array().expect("a list");
        let old = deliveries.iter().find(|one| one["destination"] == "old").expect("it");
        assert_eq!(old["cause"], "discarded: moved away");
    }
    let audit = host.api("audit").await.expect("the audit log");
    let entry = audit["audit"].as_array().expect("a list").iter().find(|entry| {
        entry["action"].as_str().is_some_and(|action| action.ends_with("/discard"))
            && entry["status"] == 200
    });
    assert_eq!(entry.expect("an entry")["body"]["reason"], "moved away");
    // It gauges nothing any more, and what else waits is untouched.
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("hookwright_delivery_oldest_seconds{destination=\"old\"} 0"), "{page}");
    // And once it is back, a replay begins it anew.
    change(&host, &(source("\"good\"") + &destination("old", &good) + &destination("good", &good)));
    let id = dead[0]["id"].as_str().expect("an id");
    eventually("it is back and gets the event", LONG, || async {
        let path = format!("/api/v1/events/{id}/replay");
        let again = json!({ "destination": "old" }).to_string();
        host.client.post(host.admin(), &path, &[], again).await.ok()?;
        let event = host.api(&format!("events/{id}")).await.ok()?;
        let deliveries = event["deliveries"].as_array()?.clone();
        let old = deliveries.into_iter().find(|one| one["destination"] == "old")?;
        (old["state"] == "delivered").then_some(())
    })
    .await;
}

/// In the shipped container the folder of the settings can't be written to, and `hookwright backup`
/// failed: the data directory can.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_backup_goes_where_the_host_keeps_its_data() {
    let host = HostBuilder::new("").start().await;
    let (code, out, err) =
        host.run(&["--host", &format!("http://{}", host.admin()), "backup", "first"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(host.dir().join("data/backups/first/index.db").is_file(), "{out}");
    assert!(!host.dir().join("backups").exists());
}
