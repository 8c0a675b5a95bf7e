//! "Who changed what and when": every change has its line before it is made, whatever the client and the disk do.
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Posted, eventually};
use serde_json::Value;

/// Generous: both cores may be taken by something else.
const LONG: Duration = Duration::from_secs(60);
const SETTINGS: &str = "[sources.a]\nverify = { scheme = \"none\" }\n";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn events(host: &Host, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let posted = host.client.post(host.ingress(), "/in/a", &[], number.to_string()).await;
        ids.push(posted.expect("an answer").id());
    }
    host.settled(LONG).await;
    ids
}

async fn replays(host: &Host, id: &str) -> u64 {
    let event = host.api(&format!("events/{id}")).await.expect("the event");
    event["replays"].as_u64().expect("a number")
}

/// The log's entries by path; a path stands in it once.
async fn entries(host: &Host) -> HashMap<String, Value> {
    let page = host.api("audit?limit=1000").await.expect("the audit log");
    let all = page["audit"].as_array().expect("a list").clone();
    let count = all.len();
    let by_path =
        all.into_iter().map(|one| (one["path"].as_str().unwrap_or_default().to_owned(), one));
    let by_path: HashMap<_, _> = by_path.collect();
    assert_eq!(by_path.len(), count, "an entry twice: {page}");
    by_path
}

/// Asks for a replay and hangs up at once: an orderly close, or a reset, before any answer.
fn ask_and_hang_up(host: &Host, id: &str, reset: bool) {
    let mut socket = std::net::TcpStream::connect(host.admin()).expect("a connection");
    let request = format!(
        "POST /api/v1/events/{id}/replay HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    socket.write_all(request.as_bytes()).expect("a write");
    if reset {
        linger(&socket);
    }
}

#[expect(unsafe_code, reason = "std can't set SO_LINGER on stable")]
fn linger(socket: &std::net::TcpStream) {
    use std::os::fd::AsRawFd as _;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a small struct");
    // SAFETY: the struct lives through the call, and its size is told.
    let set = unsafe {
        let value = (&raw const linger).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, size)
    };
    assert_eq!(set, 0);
}

/// Of 40 changes whose client hung up right after the request 39 took effect, and 31 had no line.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_change_whose_client_hung_up_has_its_line() {
    let host = HostBuilder::new(SETTINGS).start().await;
    let ids = events(&host, 40).await;
    for (number, id) in ids.iter().enumerate() {
        ask_and_hang_up(&host, id, number % 2 == 0);
    }
    replay(&host, &ids[0]).await;
    eventually("what was begun has ended, and nothing more begins", LONG, || async {
        let page = host.api("audit?limit=1000").await.ok()?;
        let all = page["audit"].as_array()?;
        let ended = all.iter().all(|one| one["status"] == 200);
        let mut effects = 0;
        for id in &ids {
            effects += replays(&host, id).await;
        }
        (ended && effects > 1 && effects == all.len() as u64).then_some(())
    })
    .await;
}

/// The same where the host is killed: what took effect has its line, though how it ended may not be known.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_before_a_crash_has_its_line() {
    let mut host = HostBuilder::new(SETTINGS).start().await;
    let ids = events(&host, 30).await;
    for id in &ids {
        ask_and_hang_up(&host, id, false);
    }
    eventually("some have taken effect", LONG, || async {
        (replays(&host, &ids[5]).await > 0).then_some(())
    })
    .await;
    host.kill();
    host.launch().await;
    let entries = entries(&host).await;
    for id in &ids {
        if replays(&host, id).await > 0 {
            assert!(entries.contains_key(&format!("/events/{id}/replay")), "{id}: {entries:?}");
        }
    }
}

async fn replay(host: &Host, id: &str) -> Posted {
    let path = format!("/api/v1/events/{id}/replay");
    host.client.post(host.admin(), &path, &JSON, "{}").await.expect("an answer")
}

fn audit_file(host: &Host) -> PathBuf {
    host.dir().join("data/audit.jsonl")
}

/// On a full disk 60 changes were answered 200, 35 of them without a line.
#[tokio::test(flavor = "multi_thread")]
async fn regression_what_can_not_be_written_down_is_not_done() {
    let host = HostBuilder::new(SETTINGS).start().await;
    let ids = events(&host, 3).await;
    assert_eq!(replay(&host, &ids[0]).await.status, 200);
    let (file, kept) = (audit_file(&host), host.dir().join("kept"));
    std::fs::rename(&file, &kept).expect("a rename");
    // Every write to this one finds no space left on the device.
    std::os::unix::fs::symlink("/dev/full", &file).expect("a link");
    for _ in 0..3 {
        let refused = replay(&host, &ids[1]).await;
        assert_eq!((refused.status, refused.code()), (503, "audit-failed".to_owned()));
        assert!(!refused.header("retry-after").is_empty());
    }
    assert_eq!(replays(&host, &ids[1]).await, 0, "nothing was changed");
    std::fs::rename(&kept, &file).expect("a rename");
    assert_eq!(replay(&host, &ids[2]).await.status, 200);
    let entries = entries(&host).await;
    let mut paths: Vec<_> = entries.keys().cloned().collect();
    paths.sort();
    let mut expected = [&ids[0], &ids[2]].map(|id| format!("/events/{id}/replay"));
    expected.sort();
    assert_eq!(paths, expected);
    let metrics = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("hookwright_store_errors_total{part=\"audit\"} 3"), "{metrics}");
}

/// Sets how long a file of the host may become, as a quota does; none: as long as it likes.
#[expect(unsafe_code, reason = "std sets no limits of processes")]
fn limit_files(host: &Host, bytes: Option<u64>) {
    let pid = libc::pid_t::try_from(host.pid()).expect("a process id");
    let limit = libc::rlimit {
        rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the struct lives through the call; the process is our own child.
    let set =
        unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// The disk took a part of a line, and the first good line after that was glued to it and lost.
#[tokio::test(flavor = "multi_thread")]
async fn regression_half_a_line_on_a_full_disk_spoils_no_other() {
    #[expect(
        unsafe_code,
        reason = "a limit's signal would end the host, where a full disk has none"
    )]
    // SAFETY: ignores a signal that nothing here uses; children inherit that.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    let host = HostBuilder::new(SETTINGS).start().await;
    let set = async |filter: &str| {
        let body = format!("{{\"filter\": \"{filter}\"}}");
        host.client.post(host.admin(), "/api/v1/log", &JSON, body).await.expect("an answer").status
    };
    assert_eq!(set("info,before=debug").await, 200);
    // Longer than any other file, so that the limit meets this one alone.
    let long = format!("{}\n", "x".repeat(7_000_000));
    let mut file =
        std::fs::OpenOptions::new().append(true).open(audit_file(&host)).expect("the log");
    file.write_all(long.as_bytes()).expect("a write");
    let length = std::fs::metadata(audit_file(&host)).expect("the log").len();
    limit_files(&host, Some(length + 40));
    for _ in 0..3 {
        assert_eq!(set("info,full=debug").await, 503);
    }
    assert_eq!(host.api("log").await.expect("the filter")["filter"], "info,before=debug");
    limit_files(&host, None);
    assert_eq!(set("info,after=debug").await, 200);
    let page = host.api("audit").await.expect("the audit log");
    let told: Vec<_> = page["audit"].as_array().expect("a list").iter().collect();
    let filters: Vec<_> = told.iter().map(|one| (&one["body"]["filter"], &one["status"])).collect();
    assert_eq!(filters.len(), 2, "{page}");
    assert_eq!(*filters[0].0, "info,after=debug");
    assert_eq!(*filters[1].0, "info,before=debug");
    assert!(filters.iter().all(|(_, status)| **status == 200), "{page}");
    assert_eq!(page["broken"], 1, "the one that the test wrote");
}
