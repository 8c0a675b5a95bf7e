//! A file as a destination: no event is missing after a kill, and every line is whole.
use std::collections::HashSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
        let file = folder.join("events.jsonl");
        // The first of them may not have been delivered yet.
        eventually("the file is there", Duration::from_secs(20), || async {
            file.exists().then_some(())
        })
        .await;
        host.kill();
        // As a crash in the middle of a line would leave it.
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
    let taken = "hookwright_delivery_attempts_total{destination=\"archive\",outcome=\"taken\"}";
    host.counted(&[taken]).await;
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

/// Posts from several sides until told to stop; the ids of what was taken.
fn load(host: &Host, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<HashSet<String>> {
    let (client, to, stop) = (host.client.clone(), host.ingress(), stop.clone());
    tokio::spawn(async move {
        let sides = (0..8).map(|_| {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let posted = client.post(to, "/in/shop", &[], "{}").await.expect("an answer");
                    assert_eq!(posted.status, 202);
                    ids.push(posted.id());
                }
                ids
            })
        });
        let sides: Vec<_> = sides.collect();
        let mut all = HashSet::new();
        for side in sides {
            all.extend(side.await.expect("no panic"));
        }
        all
    })
}

/// The settings with another destination, which is another one each time, put into force.
async fn reload(host: &Host, settings: &str, number: usize) {
    let text = format!(
        "{settings}[destinations.other{number}]\nurl = \"http://127.0.0.1:8999/\"\nallow_private = true\n\
         [ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    let new = host.dir().join("hookwright.toml.new");
    std::fs::write(&new, text).expect("a write");
    std::fs::rename(&new, host.dir().join("hookwright.toml")).expect("a rename");
    host.hang_up();
    let name = format!("other{number}");
    eventually("the new settings are active", Duration::from_secs(60), || async {
        let all = host.api("destinations").await.ok()?;
        let all = all["destinations"].as_array()?.clone();
        all.iter().any(|one| one["name"] == name.as_str()).then_some(())
    })
    .await;
}

/// Every id is in the files of the folder, in a line that is whole.
async fn all_written(host: &Host, folder: &Path, ids: &HashSet<String>) {
    host.settled(Duration::from_secs(60)).await;
    let there: HashSet<String> = written(folder).into_iter().collect();
    let missing = ids.difference(&there).count();
    assert_eq!(missing, 0, "{missing} of {} delivered events are in no file", ids.len());
}

/// Each reload, also one that only changes another destination, made a second writer of the file:
/// of 12,566 delivered events 110 were missing in it, and 22 lines were broken.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_reload_under_load_loses_no_line_and_breaks_none() {
    // By another spelling and by a link, it is the same file.
    let settings = "[sources.shop]\nverify = { scheme = \"none\" }\n\
         destinations = [\"archive\", \"spelled\", \"linked\"]\n\
         [destinations.archive]\nfile = { path = \"out/events.jsonl\" }\n\
         [destinations.spelled]\nfile = { path = \"out/../out/events.jsonl\" }\n\
         [destinations.linked]\nfile = { path = \"linked.jsonl\" }\n";
    let builder = HostBuilder::new(settings);
    symlink("out/events.jsonl", builder.dir().join("linked.jsonl")).expect("a link");
    std::fs::create_dir(builder.dir().join("out")).expect("a folder");
    let host = builder.start().await;
    let folder = host.dir().join("out");
    let stop = Arc::new(AtomicBool::new(false));
    let posting = load(&host, &stop);
    for number in 0..15 {
        reload(&host, settings, number).await;
    }
    stop.store(true, Ordering::Relaxed);
    let ids = posting.await.expect("no panic");
    assert!(ids.len() > 15, "{} events", ids.len());
    all_written(&host, &folder, &ids).await;
    let count = written(&folder).len();
    assert!(count >= 3 * ids.len(), "{count} lines by three destinations of {} events", ids.len());
}

/// logrotate: `copytruncate` left 540 NULs and lines over lines; a file that is renamed is left to
/// whoever did so, and one that is removed is made anew.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_file_that_others_turn_over_keeps_whole_lines() {
    let settings = "[sources.shop]\nverify = { scheme = \"none\" }\ndestinations = [\"archive\"]\n\
         [destinations.archive]\nfile = { path = \"out/events.jsonl\" }\n";
    let host = HostBuilder::new(settings).start().await;
    let folder = host.dir().join("out");
    let file = folder.join("events.jsonl");
    let mut ids = post(&host, 20).await;
    host.settled(Duration::from_secs(60)).await;
    for turn in 0..3 {
        // Nothing is written between the copy and the cut: what would be, copytruncate loses.
        std::fs::copy(&file, folder.join(format!("copy.{turn}"))).expect("a copy");
        std::fs::OpenOptions::new().write(true).truncate(true).open(&file).expect("emptied");
        ids.extend(post(&host, 20).await);
        host.settled(Duration::from_secs(60)).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let posting = load(&host, &stop);
    for turn in 0..20 {
        let aside = folder.join(format!("moved.{turn}"));
        std::fs::rename(&file, &aside).expect("a rename");
        eventually("a new one is begun", Duration::from_secs(60), || async {
            file.exists().then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    ids.extend(posting.await.expect("no panic"));
    all_written(&host, &folder, &ids).await;
    std::fs::remove_file(&file).expect("a file");
    let late = post(&host, 5).await;
    all_written(&host, &folder, &late).await;
}
