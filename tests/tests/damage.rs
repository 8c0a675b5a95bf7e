//! Damage on the disk, in whole hosts: what is whole goes on, and the damage is told until somebody has looked.
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// Of a segment's header, and of a record's head.
const HEADER: usize = 36;
const HEAD: usize = 9;

fn settings(sink: &Receiver, more: &str) -> String {
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"sink\"]\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n{more}",
        sink.url()
    )
}

/// A host that tells its alerts soon, and where they go.
async fn with_alerts(sink: &Receiver, ops: &Receiver, more: &str) -> Host {
    let more = format!(
        "[destinations.ops]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
         [alerts]\ndestinations = [\"ops\"]\nevery = \"1s\"\nhold = \"0s\"\nclear = \"0s\"\n{more}",
        ops.url()
    );
    HostBuilder::new(&settings(sink, &more)).start().await
}

async fn post(host: &Host, body: String) -> String {
    let posted = host.client.post(host.ingress(), "/in/shop", &[], body).await.expect("an answer");
    assert_eq!(posted.status, 202);
    posted.id()
}

fn data(host: &Host) -> PathBuf {
    host.dir().join("data")
}

fn segments(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(host).join("journal")).expect("a journal");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Where each record of a segment starts.
fn records(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), HEADER);
    while let Some(head) = bytes.get(at..at + HEAD).filter(|head| head[HEAD - 1] != 0) {
        starts.push(at);
        let length = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
        at += HEAD + length as usize;
    }
    starts
}

fn copy_index(from: &Path, to: &Path) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a copy of the index");
        }
    }
}

fn without_index(host: &Host) {
    copy_index(&data(host).join("journal"), &data(host));
}

async fn gauge(host: &Host, is: &str) {
    let wanted = format!("hookwright_store_damaged {is}");
    eventually(&wanted, PATIENCE, || async {
        let shown = host.client.get(host.admin(), "/metrics").await.ok()?;
        String::from_utf8_lossy(&shown.body).lines().any(|line| line == wanted).then_some(())
    })
    .await;
}

/// The first alert about the store that came in that state.
async fn alert(ops: &Receiver, state: &str) -> Value {
    eventually(&format!("an alert that is {state}"), PATIENCE, || async {
        let all = ops.received();
        let bodies = all.iter().filter_map(|got| serde_json::from_slice::<Value>(&got.body).ok());
        let mut own = bodies.filter(|body| body.to_string().contains("store.damaged"));
        own.find(|body| body["type"] == format!("alert.{state}"))
    })
    .await
}

async fn readiness(host: &Host) -> String {
    let ready = host.client.get(host.admin(), "/readyz").await.expect("an answer");
    assert_eq!(ready.status, 200);
    String::from_utf8_lossy(&ready.body).into_owned()
}

/// One bit flipped in the last segment after `kill -9`, before the index had read
/// it: fifty of a hundred acknowledged events were cut off as "a torn end", with a
/// warning. Now the one costs one, is told everywhere, and is over once somebody
/// has looked.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_flipped_bit_after_kill_9_costs_one_event_and_is_told() {
    let (sink, ops) = (Receiver::good().await, Receiver::good().await);
    let mut host = with_alerts(&sink, &ops, "").await;
    host.kill();
    let before = tempfile::tempdir().expect("a folder");
    copy_index(&data(&host), before.path());
    host.launch().await;
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(post(&host, format!("event {number}")).await);
    }
    host.kill();
    copy_index(before.path(), &data(&host));
    let file = segments(&host).pop().expect("a segment");
    let mut bytes = fs::read(&file).expect("a segment");
    let starts = records(&bytes);
    assert_eq!(starts.len(), 100);
    bytes[starts[50] + HEAD + 30] ^= 4;
    // And another one's head, which is set right.
    bytes[starts[70] + 1] ^= 1;
    fs::write(&file, bytes).expect("a write");

    host.launch().await;
    host.settled(PATIENCE).await;
    let lost = ids.remove(50);
    for id in &ids {
        let event = host.api(&format!("events/{id}")).await.expect("it is found");
        assert_eq!(event["deliveries"][0]["state"], "delivered", "{event}");
    }
    assert!(host.api(&format!("events/{lost}")).await.is_err());
    let got: HashSet<_> =
        sink.received().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| got.contains(id)));

    gauge(&host, "2").await;
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let offset = format!("from byte {}", starts[50]);
    let told = readiness(&host).await;
    assert!(
        told.starts_with("ready\n") && told.contains(&name) && told.contains(&offset),
        "{told}"
    );
    host.logged(&["the journal is damaged", &name, &format!("offset={}", starts[50])]).await;
    assert!(alert(&ops, "firing").await.to_string().contains(&name));
    let (code, shown, _) = host.run(&["doctor", "--offline"]);
    assert!(code == 1 && shown.contains(&offset) && shown.contains("damaged/"), "{shown}");

    // Over once somebody has looked.
    fs::rename(data(&host).join("damaged"), host.dir().join("looked-at")).expect("a rename");
    gauge(&host, "0").await;
    assert_eq!(readiness(&host).await, "ready\n");
    alert(&ops, "resolved").await;
    let (_, shown, _) = host.run(&["doctor", "--offline"]);
    assert!(shown.contains("index.db is as SQLite wants it"), "{shown}");
}

/// Whoever looked at an event whose record is damaged was told 503, and to try again, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_damaged_event_is_no_passing_failure_of_the_store() {
    let sink = Receiver::good().await;
    let mut host = HostBuilder::new(&settings(&sink, "")).start().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(post(&host, format!("event {number}")).await);
    }
    host.settled(PATIENCE).await;
    assert_eq!(host.terminate().await, Some(0));
    let file = segments(&host).remove(0);
    let mut bytes = fs::read(&file).expect("a segment");
    let starts = records(&bytes);
    assert_eq!(starts.len(), 3);
    bytes[starts[1] + HEAD + 30] ^= 4;
    fs::write(&file, bytes).expect("a write");
    host.launch().await;
    for (place, id) in ids.iter().enumerate() {
        for path in [format!("/api/v1/events/{id}"), format!("/api/v1/events/{id}/body")] {
            let shown = host.client.get(host.admin(), &path).await.expect("an answer");
            if place != 1 {
                assert_eq!(shown.status, 200, "{path}");
                continue;
            }
            let problem = shown.json();
            assert_eq!((shown.status, shown.code().as_str()), (410, "event-damaged"), "{problem}");
            assert_eq!(problem["retryable"], false);
            assert_eq!(shown.header("retry-after"), "");
            let detail = problem["detail"].as_str().expect("a detail");
            assert!(detail.contains(&format!("at byte {}", starts[1])), "{detail}");
        }
    }
    let listed = host.api("events").await.expect("events");
    let listed = listed["events"].as_array().expect("a list");
    let row = listed.iter().find(|row| row["id"] == ids[1].as_str()).expect("its row");
    assert_eq!(row["deliveries"][0]["state"], "delivered", "what became of it is shown");
}

/// Thirty days of events were delivered once more where the index was lost.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_lost_index_delivers_nothing_again_until_somebody_asks() {
    let (sink, ops) = (Receiver::good().await, Receiver::good().await);
    let mut host = with_alerts(&sink, &ops, "").await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(post(&host, format!("event {number}")).await);
    }
    host.settled(PATIENCE).await;
    assert_eq!(host.terminate().await, Some(0));
    without_index(&host);
    let before = sink.received().len();
    host.launch().await;
    let next = post(&host, "next".to_owned()).await;
    host.settled(PATIENCE).await;
    let new: Vec<_> =
        sink.received()[before..].iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(new, [next], "what was delivered before is not sent again");
    for id in &ids {
        let event = host.api(&format!("events/{id}")).await.expect("it is found");
        assert_eq!(event["state"], "parked");
        assert!(
            event["reason"].as_str().is_some_and(|why| why.contains("index was lost")),
            "{event}"
        );
    }
    gauge(&host, "1").await;
    assert!(readiness(&host).await.contains("30 events were read back"));
    assert!(alert(&ops, "firing").await.to_string().contains("30 events"));
    // As the page on operations says it.
    let at = format!("http://{}", host.admin());
    let asked = ["--host", &at, "replay", "--state", "parked", "--since", "1h", "--source", "shop"];
    let (code, shown, failed) = host.run(&asked);
    assert_eq!(code, 0, "{shown}{failed}");
    host.settled(PATIENCE).await;
    let again: HashSet<_> = sink.received()[before + 1..]
        .iter()
        .map(|got| got.header("webhook-id").to_owned())
        .collect();
    assert_eq!(again, ids.into_iter().collect());
}
