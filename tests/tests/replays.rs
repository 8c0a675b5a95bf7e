//! Bulk replays: by filter, at a rate, stopped and resumed, over `kill -9`.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, eventually};
use serde_json::Value;

const EVENTS: usize = 300;

async fn post(host: &Host, path: &str, body: &str) -> (u16, Value) {
    let path = format!("/api/v1/{path}");
    let answer = host.client.post(host.admin(), &path, &[], body.to_owned()).await;
    let answer = answer.expect("an answer");
    (answer.status, answer.json())
}

async fn until(host: &Host, id: u64, so: impl Fn(&Value) -> bool) -> Value {
    eventually("the replay comes so far", Duration::from_secs(30), || async {
        host.api(&format!("replays/{id}")).await.ok().filter(&so)
    })
    .await
}

/// "All since an outage (recover), at a chosen rate, with progress, can be stopped and resumed,
/// survives a restart."
#[tokio::test(flavor = "multi_thread")]
async fn all_that_an_outage_cost_is_sent_again() {
    let well = Arc::new(AtomicBool::new(false));
    let script = well.clone();
    let receiver = Receiver::scripted(move |_, _| {
        Answer::status(if script.load(Ordering::SeqCst) { 200 } else { 503 })
    })
    .await;
    // The commands find the host by its settings.
    let admin = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let admin = admin.expect("a free port");
    let settings = format!(
        "[admin]\nlisten = \"{admin}\"\n[sources.shop]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"ci\"]\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nretry = {{ attempts = 1 }}\n\
         breaker = {{ attempts = 0 }}\n",
        receiver.url()
    );
    let mut host = HostBuilder::new(&settings).start().await;
    for number in 0..EVENTS {
        let body = number.to_string();
        let answer = host.client.post(host.ingress(), "/in/shop", &[], body).await;
        assert_eq!(answer.expect("an answer").status, 202);
    }
    host.settled(Duration::from_secs(20)).await;
    assert_eq!(host.api("stats").await.expect("stats")["dead"], EVENTS);
    let before = receiver.count();
    well.store(true, Ordering::SeqCst);

    let began = Instant::now();
    let wanted = "{\"recover\": {\"destination\": \"ci\", \"since\": 0}, \"rate\": 40}";
    let (status, job) = post(&host, "replays", wanted).await;
    assert_eq!((status, &job["id"], &job["state"]), (202, &1.into(), &"running".into()), "{job}");
    until(&host, 1, |job| job["replayed"].as_u64() >= Some(50)).await;
    let (status, stopped) = post(&host, "replays/1/stop", "").await;
    assert_eq!((status, &stopped["state"]), (200, &"stopped".into()), "{stopped}");
    let progress = stopped["progress"].as_f64().expect("a number");
    assert!(progress > 0.0 && progress < 1.0, "{stopped}");
    assert_eq!(post(&host, "replays/1/stop", "").await.0, 409);
    assert_eq!(post(&host, "replays/9/stop", "").await.0, 404);
    host.settled(Duration::from_secs(10)).await;
    assert_eq!(receiver.count() as u64 - before as u64, stopped["replayed"], "it rests");

    // A stopped one rests over a restart too; one that runs goes on after `kill -9`.
    host.kill();
    host.launch().await;
    assert_eq!(host.api("replays/1").await.expect("kept")["replayed"], stopped["replayed"]);
    assert_eq!(post(&host, "replays/1/resume", "").await.0, 200);
    until(&host, 1, |job| job["replayed"].as_u64() >= Some(100)).await;
    host.kill();
    host.launch().await;
    let done = until(&host, 1, |job| job["state"] == "done").await;
    assert!(began.elapsed() > Duration::from_secs_f64(EVENTS as f64 / 40.0 * 0.8), "{done}");
    assert_eq!(done["progress"], 1.0);
    host.settled(Duration::from_secs(10)).await;
    let stats = host.api("stats").await.expect("stats");
    assert_eq!((&stats["dead"], &stats["waiting"]), (&0.into(), &0.into()));
    let sent: BTreeSet<_> =
        receiver.received()[before..].iter().map(|one| one.body.clone()).collect();
    assert_eq!(sent.len(), EVENTS);

    // What a stopped machine missed is not made up for: 49 were sent within 0.2 s.
    let before = receiver.count();
    let wanted = "{\"filter\": {\"since\": 0}, \"destination\": \"ci\", \"rate\": 10}";
    assert_eq!(post(&host, "replays", wanted).await.0, 202);
    until(&host, 2, |job| job["replayed"].as_u64() >= Some(5)).await;
    host.hold(Duration::from_secs(5)).await;
    let (held, went_on) = (receiver.count(), Instant::now());
    assert!(held - before < 60, "{held}");
    eventually("twenty more are sent", Duration::from_secs(60), || async {
        (receiver.count() >= held + 20).then_some(())
    })
    .await;
    assert!(went_on.elapsed() > Duration::from_millis(900), "{:?}", went_on.elapsed());
    assert_eq!(post(&host, "replays/2/stop", "").await.0, 200);
    host.settled(Duration::from_secs(10)).await;

    let (code, out, err) = host.run(&["replays"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("replay 1  done at 40/s  100 %"), "{out}");

    // As it was sent before, by filters, from the command line.
    let before = receiver.count();
    let args = ["replay", "--delivery", "delivered", "--since", "1h", "--original"];
    assert_eq!(host.run(&args).1, format!("replayed {EVENTS}\n"));
    host.settled(Duration::from_secs(20)).await;
    assert_eq!(receiver.count() - before, EVENTS);
    let (code, _, err) = host.run(&["replay", "--recover", "ci"]);
    assert!(code == 2 && err.contains("--since"), "{err}");
}
