//! Files as destinations: the same promises as over HTTP.
use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use hookwright_model::{Cause, DeliveryState, HeaderEdit, Outcome, Payload};
use hookwright_settings::{FileOptions, LinesOptions};

fn to_file(path: &Path) -> Destination {
    let file = FileOptions::new(path.to_owned());
    let lines = LinesOptions { file: Some(file), timeout: Duration::from_secs(10) };
    let policy = Policy {
        base: Duration::from_millis(10),
        factor: 1.0,
        jitter: 0.0,
        attempts: 3,
        ..Policy::default()
    };
    Destination { policy, ..Destination::to(To::Lines(lines)) }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn each_delivery_is_a_line_with_every_byte_of_its_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out/events.jsonl");
    let bench = Bench::start(one(to_file(&path)));
    let mut edited = delivery(3, "a", "old");
    edited.payload = Some(Arc::new(Payload {
        body: Some(Bytes::from_static(b"new")),
        content_type: Some("text/plain".to_owned()),
        kind: Some("changed".to_owned()),
        headers: vec![HeaderEdit { name: "x-a".to_owned(), value: Some("1".to_owned()) }],
    }));
    let exact = " {\"b\":1.50, \"a\":12345678901234567890,\n\"é\":0} ";
    let sent = vec![delivery(1, "a", exact), delivery(2, "a", &b"\xff\x00"[..]), edited];
    let ids: Vec<String> = bench.store.add(sent).iter().map(ToString::to_string).collect();
    bench.all_delivered("a").await;
    let all = lines(&path);
    let line = |id: &str| all.iter().find(|line| line["id"] == id).expect("a line");
    assert_eq!(line(&ids[0])["body"], exact);
    assert_eq!(line(&ids[0])["source"], "shop");
    assert_eq!(line(&ids[0])["attempt"], 1);
    assert_eq!(line(&ids[0])["content_type"], "application/json");
    assert_eq!(line(&ids[1])["body_base64"], "/wA=");
    assert!(line(&ids[1])["body"].is_null());
    let changed = line(&ids[2]);
    assert_eq!((&changed["body"], &changed["kind"]), (&"new".into(), &"changed".into()));
    assert_eq!(
        (&changed["content_type"], &changed["headers"]["x-a"]),
        (&"text/plain".into(), &"1".into())
    );
    let attempts = &bench.store.first("a").attempts;
    assert!(matches!(attempts[0].outcome, Outcome::Accepted));
}

#[tokio::test]
async fn many_are_all_there_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.jsonl");
    for part in 0..2 {
        let bench = Bench::start(one(to_file(&path)));
        bench.store.add(deliveries(part * 500..(part + 1) * 500, "a"));
        bench.all_delivered("a").await;
    }
    let all = lines(&path);
    let bodies: HashSet<&str> =
        all.iter().map(|line| line["body"].as_str().expect("a body")).collect();
    assert_eq!((all.len(), bodies.len()), (1_000, 1_000));
}

#[tokio::test]
async fn what_can_not_be_written_is_tried_again_and_then_a_dead_letter() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::start(one(to_file(folder.path())));
    bench.store.add(deliveries(0..3, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 3).await;
    for row in bench.store.rows("a") {
        assert_eq!(row.attempts.len(), 3);
        let failed =
            |outcome: &Outcome| matches!(outcome, Outcome::Failed { cause: Cause::Write, .. });
        assert!(row.attempts.iter().all(|attempt| failed(&attempt.outcome)));
        assert!(row.cause.as_deref().is_some_and(|cause| cause.contains("(write)")));
    }
}
