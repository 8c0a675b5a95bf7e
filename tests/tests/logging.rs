//! Logging may lose lines, which are counted, and does nothing else to the host, whoever reads them or does not.
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hookwright_tests::{Client, HostBuilder, Receiver, artifact, eventually, within};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Generous: both cores may be taken by something else.
const LONG: Duration = Duration::from_secs(60);

/// What becomes of the pipe that the host writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Its reader ended, as `logger` does when its server goes away.
    Gone,
    /// Its reader is there, does not read, and the pipe is full.
    Stalled,
    /// As stalled, and another process that shares the pipe made it non-blocking.
    StalledWithoutBlocking,
}

/// A host whose standard output or standard error nobody reads.
struct Unread {
    dir: TempDir,
    child: Child,
    ingress: SocketAddr,
    admin: SocketAddr,
    client: Client,
    /// Kept open, and never read.
    _reader: Option<PipeReader>,
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    listener.local_addr().expect("a bound listener has an address")
}

fn pipe(reader: Reader) -> (Option<PipeReader>, PipeWriter) {
    let (read, mut write) = std::io::pipe().expect("a pipe");
    if reader == Reader::Gone {
        return (None, write);
    }
    block(&write, false);
    while write.write(&[b'.'; 512]).is_ok() {}
    // What is left of it.
    while write.write(b".").is_ok() {}
    block(&write, reader != Reader::StalledWithoutBlocking);
    (Some(read), write)
}

#[expect(unsafe_code, reason = "std sets no flags of a pipe")]
fn block(pipe: &PipeWriter, blocks: bool) {
    use std::os::fd::AsRawFd as _;
    let flags = if blocks { 0 } else { libc::O_NONBLOCK };
    // SAFETY: `fcntl` takes numbers; the descriptor is open.
    assert_eq!(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags) }, 0);
}

fn settings(host: (SocketAddr, SocketAddr), to: &Receiver, format: &str, more: &str) -> String {
    let mut text = format!(
        "[ingress]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n\
         [log]\nlevel = \"trace\"\nformat = \"{format}\"\n[retention]\ninterval = \"1s\"\n",
        host.0, host.1
    );
    let _ = write!(
        text,
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"out\", \"printed\"]\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\n\
         [destinations.printed]\nstdout = true\ntimeout = \"200ms\"\nretry = {{ base = \"10ms\", attempts = 1 }}\n{more}",
        to.url()
    );
    text
}

impl Unread {
    async fn start(settings: impl Fn(SocketAddr, SocketAddr) -> String, out: Out) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        std::fs::create_dir(dir.path().join("plugins")).expect("a new folder");
        let (ingress, admin) = (free(), free());
        std::fs::write(dir.path().join("hookwright.toml"), settings(ingress, admin))
            .expect("a write");
        let mut command = Command::new(artifact("hookwright"));
        command.arg("serve").current_dir(dir.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        let (reader, writer) = pipe(out.reader());
        match out {
            Out::Output(_) => command.stdout(writer).stderr(Stdio::null()),
            Out::Error(_) => command.stderr(writer).stdout(Stdio::null()),
        };
        let child = command.spawn().expect("the host starts");
        let client = Client::default();
        let host = Self { dir, child, ingress, admin, client, _reader: reader };
        eventually("the host is ready", LONG, || async {
            let ready = host.client.get(host.admin, "/readyz").await.ok()?;
            (ready.status == 200).then_some(())
        })
        .await;
        host
    }

    async fn post(&self, source: &str, body: String) -> u16 {
        let path = format!("/in/{source}");
        let posted = self.client.post(self.ingress, &path, &[], body);
        within("an answer", LONG, posted).await.map_or(0, |posted| posted.status)
    }

    /// Side by side; the statuses.
    async fn post_all(&self, source: &str, bodies: impl Iterator<Item = String>) -> Vec<u16> {
        let mut posts = JoinSet::new();
        for body in bodies {
            let (client, to, path) = (self.client.clone(), self.ingress, format!("/in/{source}"));
            posts.spawn(async move {
                let posted = client.post(to, &path, &[], body);
                within("an answer", LONG, posted).await.map_or(0, |posted| posted.status)
            });
        }
        posts.join_all().await
    }

    async fn metric(&self, line: &str) -> f64 {
        let answer = within("metrics", LONG, self.client.get(self.admin, "/metrics")).await;
        let text = String::from_utf8_lossy(&answer.expect("metrics").body).into_owned();
        let value = text.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
    fn signal(&self, number: i32) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        // SAFETY: `kill` takes two numbers; the process is our own child.
        unsafe { libc::kill(pid, number) };
    }

    /// SIGTERM; the exit code.
    async fn terminate(&mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        let end = tokio::time::Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(tokio::time::Instant::now() < end, "the host does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which of the two nobody reads.
#[derive(Debug, Clone, Copy)]
enum Out {
    Output(Reader),
    Error(Reader),
}

impl Out {
    fn reader(self) -> Reader {
        match self {
            Self::Output(reader) | Self::Error(reader) => reader,
        }
    }
}

/// All that a host does, done while nobody reads what it writes.
async fn serves_on(out: Out, format: &str) {
    let receiver = Receiver::good().await;
    let first = |ingress, admin| settings((ingress, admin), &receiver, format, "");
    let mut host = Unread::start(first, out).await;
    // At the level `trace` that is some hundred KiB of lines, and more than the queue takes.
    let filler = "x".repeat(8 * 1024);
    for round in 0..8 {
        let bodies = (0..50).map(|number| format!("{round} {number} {filler}"));
        let statuses = host.post_all("a", bodies).await;
        assert!(statuses.iter().all(|status| *status == 202), "{out:?} {format}: {statuses:?}");
    }
    eventually("every event is delivered", LONG, || async {
        (receiver.count() >= 400).then_some(())
    })
    .await;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for one in receiver.received() {
        *seen.entry(one.header("webhook-id").to_owned()).or_default() += 1;
        assert_eq!(one.header("hookwright-attempt"), "1");
    }
    assert_eq!((seen.len(), seen.values().max()), (400, Some(&1)), "{out:?} {format}: once each");
    if matches!(out, Out::Output(_)) {
        // Standard output as a destination: what can't be printed is a failed attempt.
        let line = "hookwright_deliveries_total{destination=\"printed\",state=\"dead\"}";
        eventually("printing has failed", LONG, || async {
            (host.metric(line).await >= 1.0).then_some(())
        })
        .await;
    } else {
        let reason = if out.reader() == Reader::Gone { "failed" } else { "full" };
        let line = format!("hookwright_log_lines_lost_total{{reason=\"{reason}\"}}");
        eventually("lost lines are counted", LONG, || async {
            // Each is a line or more at this level, and the queue takes some ten thousand.
            host.post_all("nobody", (0..1_000).map(|_| String::new())).await;
            (host.metric(&line).await > 0.0).then_some(())
        })
        .await;
    }
    let more = "[sources.b]\nverify = { scheme = \"none\" }\n";
    let new = settings((host.ingress, host.admin), &receiver, format, more);
    std::fs::write(host.dir.path().join("hookwright.toml"), new).expect("a write");
    host.signal(libc::SIGHUP);
    eventually("new settings are active", LONG, || async {
        (host.post("b", "{}".to_owned()).await == 202).then_some(())
    })
    .await;
    assert_eq!(host.terminate().await, Some(0), "{out:?} {format}: it stops as it should");
}

/// With `2>&1 | logger` and the reader gone, an attempt was repeated for ever with `hookwright-attempt: 1`, and SIGHUP
/// and the purge aborted the process: each line that could not be written was a panic.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_reader_of_the_log_that_went_away_costs_log_lines_only() {
    for format in ["text", "json"] {
        serves_on(Out::Error(Reader::Gone), format).await;
    }
}

/// With a reader that only stalled, ingress, health, delivery and SIGTERM hung as soon as the pipe was full.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_reader_of_the_log_that_stalls_costs_log_lines_only() {
    for format in ["text", "json"] {
        serves_on(Out::Error(Reader::Stalled), format).await;
    }
    serves_on(Out::Error(Reader::StalledWithoutBlocking), "text").await;
}

/// The same of standard output: the first line waited for a reader before the host listened to signals, and a line of a
/// destination that prints held a thread that the end waited for.
#[tokio::test(flavor = "multi_thread")]
async fn regression_standard_output_that_nobody_reads_fails_its_own_deliveries_only() {
    for reader in [Reader::Gone, Reader::Stalled, Reader::StalledWithoutBlocking] {
        serves_on(Out::Output(reader), "text").await;
    }
}

/// The line that says why a host does not start waited for its reader, too.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_host_that_does_not_start_ends_though_nobody_reads_why() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    std::fs::write(dir.path().join("hookwright.toml"), "nonsense = true\n").expect("a write");
    for reader in [Reader::Gone, Reader::Stalled, Reader::StalledWithoutBlocking] {
        let (_kept, writer) = pipe(reader);
        let mut command = Command::new(artifact("hookwright"));
        command.arg("serve").current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(writer).spawn().expect("the host starts");
        let ended = eventually("it ends", LONG, || {
            let ended = child.try_wait().expect("a child");
            async move { ended }
        });
        assert_eq!(ended.await.code(), Some(1), "{reader:?}");
    }
}

/// Lines that were written before the end are there: the queue is written out.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_written_before_the_process_ends() {
    for _ in 0..3 {
        let mut host =
            HostBuilder::new("[sources.a]\nverify = { scheme = \"none\" }\n").start().await;
        assert_eq!(host.terminate().await, Some(0));
        eventually("the last line is read", LONG, || async {
            host.log().lines().last()?.contains("stopped").then_some(())
        })
        .await;
    }
}

/// Keys of a body that fails a schema stood in the log as lines of their own, and carried ESC to the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_body_that_fails_its_schema_forges_no_line_of_the_log() {
    for format in ["text", "json"] {
        let settings = format!(
            "[log]\nformat = \"{format}\"\n[sources.a]\nverify = {{ scheme = \"none\" }}\n\
             validate = {{ schema = \"plugins/schema.json\" }}\n"
        );
        let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"a": {"enum": ["b"]}}}"#;
        let host = HostBuilder::new(&settings).file("schema.json", schema.as_bytes()).start().await;
        let forged = "x\n2026-01-01T00:00:00Z  INFO hookwright::app: all is well\u{1b}[2J\u{9b}2J\u{202e}\r\u{2028}";
        let bodies = [
            serde_json::json!({ forged: 1 }),
            serde_json::json!({ "a": forged }),
            serde_json::json!({ "a": { forged: [forged] } }),
        ];
        for body in bodies {
            let body = body.to_string();
            let posted = host.client.post(
                host.ingress(),
                "/in/a",
                &[("content-type", "application/json")],
                body,
            );
            assert_eq!(posted.await.expect("an answer").status, 422);
        }
        eventually("the refusals are logged", LONG, || async {
            (host.log().matches("refused").count() >= 3).then_some(())
        })
        .await;
        let log = host.log();
        let forged = log.lines().find(|line| line.starts_with("2026-01-01"));
        assert_eq!(forged, None, "{format}: a line of the log is not the host's");
        let acts = |char: char| {
            char != '\n' && (char.is_control() || ('\u{2028}'..='\u{202e}').contains(&char))
        };
        assert!(!log.contains(acts), "{format}: {log:?}");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
            }
        }
    }
}

/// `hookwright … | head`: the reader has enough, and the command ends without a word.
#[tokio::test(flavor = "multi_thread")]
async fn regression_commands_end_quietly_where_nobody_reads_on() {
    let receiver = Receiver::good().await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"out\"]\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\n",
        receiver.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    let posted = host.client.post(host.ingress(), "/in/a", &[], "{}").await.expect("an answer");
    host.settled(LONG).await;
    let admin = format!("http://{}", host.admin());
    let (id, new) = (posted.id(), host.dir().join("p"));
    let new = new.to_string_lossy().into_owned();
    let commands: [&[&str]; 17] = [
        &["events"],
        &["events", "--json"],
        &["show", &id],
        &["rejected", "a"],
        &["audit"],
        &["sources"],
        &["destinations"],
        &["plugins"],
        &["stats"],
        &["log"],
        &["replays"],
        &["ready"],
        &["check"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["plugin", "new", "p", "--dir", &new],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = host.command(args);
        command.env("HOOKWRIGHT_HOST", &admin).stdin(Stdio::null()).stdout(writer);
        let done = command.stderr(Stdio::piped()).output().expect("the command runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!((done.status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
    // One that follows ends at the first line that nobody takes.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = host.command(&["tail"]);
    command.env("HOOKWRIGHT_HOST", &admin).stdin(Stdio::null()).stdout(writer);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the command runs");
    drop(command);
    let post = || host.client.post(host.ingress(), "/in/a", &[], "{}");
    let read = tokio::task::spawn_blocking(move || reader.read(&mut [0; 64]).map(|_| drop(reader)));
    eventually("a line is read", LONG, || async {
        post().await.expect("an answer");
        read.is_finished().then_some(())
    })
    .await;
    let end = tokio::time::Instant::now() + LONG;
    let ended = loop {
        post().await.expect("an answer");
        let ended = child.try_wait().expect("a child");
        if ended.is_some() || tokio::time::Instant::now() > end {
            break ended;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let _ = child.kill();
    child.wait().expect("a child");
    let code = ended.and_then(|status| status.code());
    assert_eq!(code, Some(0), "`tail` ends where nobody reads on");
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(said, "");
    assert!(Path::new(&new).join("Cargo.toml").exists(), "the project is whole all the same");
}
