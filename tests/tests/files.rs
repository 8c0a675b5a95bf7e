//! A file as a destination: no event is missing after a kill, and every line is whole.
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, eventually};
use serde_json::Value;

const SETTINGS: &str = "[sources.shop]\nverify = { scheme = \"none\" }\ndestinations = [\"archive\"]\n\
     [destinations.archive]\nfile = { path = \"out/events.jsonl\", max_size = \"16KiB\" }\n";

async fn post(host: &Host, count: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for number in 0..count {
        let body = format!("{{\"number\": {number}}}");
        let posted = host.client.post(host.ingress(), "/in/shop", &[], body).await;
        let posted = posted.expect("an answer");
        assert_eq!(posted.status, 202);
        ids.insert(posted.id());
    }
    ids
}

/// The id in a line, which is JSON.
fn id(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("a line of JSON");
    line["id"].as_str().expect("an id").to_owned()
}

/// The ids in all files.
fn written(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut ids = Vec::new();
    for entry in entries {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'), "a line without an end");
        ids.extend(text.lines().map(id));
    }
    ids
}

/// "No acknowledged event is lost": a file is held to it as a URL is.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_in_a_file_after_kills_and_full_files_are_set_aside() {
    let mut host = HostBuilder::new(SETTINGS).start().await;
    let folder = host.dir().join("out");
    let mut ids = HashSet::new();
    for _ in 0..2 {
        ids.extend(post(&host, 150).await);
        host.kill();
        // As a crash in the middle of a line would leave it.
        let file = folder.join("events.jsonl");
        let text = std::fs::read(&file).expect("a file");
        std::fs::write(&file, [&text[..], b"{\"id\":\"evt_torn"].concat()).expect("a write");
        host.launch().await;
    }
    ids.extend(post(&host, 20).await);
    host.settled(Duration::from_secs(20)).await;
    eventually("all are written", Duration::from_secs(20), || async {
        let there: HashSet<String> = written(&folder).into_iter().collect();
        (there == ids).then_some(())
    })
    .await;
    let count = std::fs::read_dir(&folder).expect("a folder").count();
    assert!(count > 2, "{count} files");
    let shown = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let shown = String::from_utf8_lossy(&shown.body).into_owned();
    let taken = "hookwright_delivery_attempts_total{destination=\"archive\",outcome=\"taken\"}";
    assert!(shown.contains(taken), "{shown}");
}

/// The other kind of lines: for a host whose output somebody else collects.
#[tokio::test(flavor = "multi_thread")]
async fn standard_output_gets_a_line_for_each_event_after_the_hosts_own() {
    let settings = "[sources.shop]\nverify = { scheme = \"none\" }\ndestinations = [\"out\"]\n\
         [destinations.out]\nstdout = true\n";
    let host = HostBuilder::new(settings).start().await;
    let ids = post(&host, 50).await;
    host.settled(Duration::from_secs(20)).await;
    let lines = eventually("all lines are there", Duration::from_secs(20), || async {
        let lines = host.output();
        (lines.len() >= ids.len()).then_some(lines)
    })
    .await;
    assert_eq!(lines.len(), ids.len(), "no line but the events'");
    assert_eq!(lines.iter().map(|line| id(line)).collect::<HashSet<_>>(), ids);
}
