//! A host in its own process, on free ports and a folder of its own; killed when dropped.
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, eventually};

/// The built file below `target/debug`, the folder that this test runs from.
///
/// # Panics
/// Where it is not built, with the command that builds it.
pub fn artifact(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a test has a path");
    let debug = exe.ancestors().find(|dir| dir.ends_with("debug") || dir.ends_with("release"));
    let file = debug.expect("a test lies below target/debug or target/release").join(name);
    assert!(file.exists(), "{} is missing: run `make test`, which builds it", file.display());
    file
}

/// Resident memory in bytes of a process, by its number or as `self`.
///
/// # Panics
/// Where it does not run.
pub fn resident(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm"));
    let text = text.expect("a running process");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

/// The folder of the built plugins.
///
/// # Panics
/// Where they are not built, with the command that builds them.
pub fn plugins_dir() -> PathBuf {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
    let built = root.join("target/plugins/built");
    assert!(
        built.join("filter.wasm").exists(),
        "no plugins in {}: run `make plugins`",
        built.display()
    );
    built
}

/// For what comes a moment after what caused it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a host is started with.
pub struct HostBuilder {
    dir: TempDir,
    settings: String,
    env: Vec<(String, String)>,
}

impl HostBuilder {
    /// Settings without `[ingress]`, `[admin]` and the folders, which the harness adds.
    pub fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        std::fs::create_dir(dir.path().join("plugins")).expect("a new folder");
        Self { dir, settings: settings.to_owned(), env: Vec::new() }
    }

    /// Puts one of our built plugins into the plugins folder.
    pub fn plugin(self, name: &str) -> Self {
        let file = format!("{name}.wasm");
        std::fs::copy(plugins_dir().join(&file), self.dir.path().join("plugins").join(&file))
            .expect("a built plugin");
        self
    }

    /// Puts bytes into the plugins folder.
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.dir.path().join("plugins").join(name), bytes).expect("a new file");
        self
    }

    /// The folder that the host will run in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the host and waits until it is ready.
    pub async fn start(self) -> Host {
        let mut text = String::new();
        if !self.settings.contains("[ingress]") {
            text.push_str("[ingress]\nlisten = \"127.0.0.1:0\"\n");
        }
        if !self.settings.contains("[admin]") {
            text.push_str("[admin]\nlisten = \"127.0.0.1:0\"\n");
        }
        // Top-level keys come first in TOML: the settings' own stay in front.
        let text = format!("{}\n{text}", self.settings);
        std::fs::write(self.dir.path().join("hookwright.toml"), text).expect("a new file");
        let mut host = Host {
            dir: self.dir,
            env: self.env,
            child: None,
            ingress: None,
            admin: None,
            log: Arc::default(),
            output: Arc::default(),
            greeting: String::new(),
            readers: Mutex::default(),
            client: Client::default(),
        };
        host.launch().await;
        host
    }
}

/// A running host.
pub struct Host {
    dir: TempDir,
    env: Vec<(String, String)>,
    child: Option<Child>,
    ingress: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<Vec<String>>>,
    greeting: String,
    /// Of the process's output and log: each ends with its reader.
    readers: Mutex<Vec<Receiver<()>>>,
    pub client: Client,
}

impl Host {
    /// Starts the process again on the same folder, after `kill` or `terminate`.
    pub async fn launch(&mut self) {
        assert!(self.child.is_none(), "the host runs already");
        let mut child = self
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the host starts");
        let stdout = child.stdout.take().expect("a piped output");
        let stderr = child.stderr.take().expect("a piped output");
        let (log, output) = (self.log.clone(), self.output.clone());
        let held = (self.reader(), self.reader());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = writeln!(log.lock().expect("no holder panics"), "{line}");
            }
            drop(held.0);
        });
        let first = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            // The rest is read so that the host never waits for a reader.
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    output.lock().expect("no holder panics").push(line);
                }
                drop(held.1);
            });
            first
        });
        let first = first.await.expect("a line of output");
        self.greeting.clone_from(&first);
        self.child = Some(child);
        let address = |word: &str| {
            let rest = first.split(word).nth(1)?;
            let rest = rest.strip_prefix("http://").or_else(|| rest.strip_prefix("https://"))?;
            rest.split('/').next()?.parse().ok()
        };
        (self.ingress, self.admin) = (address("events at "), address("console at "));
        assert!(self.ingress.is_some(), "the host did not start: {first}\n{}", self.log());
        let (client, admin) = (self.client.clone(), self.admin());
        eventually("the host is ready", Duration::from_secs(30), || async {
            client.get(admin, "/readyz").await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// After the process's end: all that it wrote has been read. A child of it
    /// that outlives it for a moment has the same output open.
    fn join_readers(&mut self) {
        for reader in self.readers.get_mut().expect("no holder panics").drain(..) {
            let _ = reader.recv_timeout(PATIENCE);
        }
    }

    /// What a reader holds until its end.
    fn reader(&self) -> Sender<()> {
        let (held, ended) = channel();
        self.readers.lock().expect("no holder panics").push(ended);
        held
    }

    /// A command of the binary in the host's folder and environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(artifact("hookwright"));
        command.args(args).current_dir(self.dir.path()).envs(self.env.iter().cloned());
        command
    }

    /// Runs a command to its end: exit code, output and errors.
    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        let done = self.command(args).output().expect("the command runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins")
    }

    pub fn ingress(&self) -> SocketAddr {
        self.ingress.expect("a started host")
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("a started host")
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a started host").id()
    }

    /// All that the host logged so far, over all its starts. A line comes a
    /// moment after what it tells of: [`Self::logged`] waits for one. After the
    /// process's end nothing is missing, so that what is not there was not logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("no holder panics").clone()
    }

    /// Waits until all of these are in the log, and answers the log.
    pub async fn logged(&self, parts: &[&str]) -> String {
        eventually(&format!("{parts:?} are in the log"), PATIENCE, || async {
            let log = self.log();
            parts.iter().all(|part| log.contains(part)).then_some(log)
        })
        .await
    }

    /// Waits until all of these are in the metrics, and answers the page. A
    /// count may follow the answer that it counts.
    pub async fn counted(&self, parts: &[&str]) -> String {
        eventually(&format!("{parts:?} are in the metrics"), PATIENCE, || async {
            let page = self.client.get(self.admin(), "/metrics").await.ok()?;
            let page = String::from_utf8_lossy(&page.body).into_owned();
            parts.iter().all(|part| page.contains(part)).then_some(page)
        })
        .await
    }

    /// The first line of its standard output.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Lines of its standard output after the first one, over all its starts.
    pub fn output(&self) -> Vec<String> {
        self.output.lock().expect("no holder panics").clone()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(&self.pid().to_string())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            self.join_readers();
        }
    }

    /// SIGTERM, and the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("a started host");
        signal(child.id(), libc::SIGTERM);
        let code = tokio::task::spawn_blocking(move || child.wait()).await.ok()?.ok()?.code();
        self.join_readers();
        code
    }

    /// The machine stands still for so long, as one that sleeps does.
    pub async fn hold(&self, lasts: Duration) {
        signal(self.pid(), libc::SIGSTOP);
        tokio::time::sleep(lasts).await;
        signal(self.pid(), libc::SIGCONT);
    }

    /// Tells it to reload its settings.
    pub fn hang_up(&self) {
        signal(self.pid(), libc::SIGHUP);
    }

    /// JSON from the admin API.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.client.get(self.admin(), &format!("/api/v1/{path}")).await?;
        if answer.status != 200 {
            bail!("{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        serde_json::from_slice(&answer.body).context("the API answers JSON")
    }

    /// Waits until no event is to be routed and no delivery waits, as one
    /// answer says: an event that is routed between two reads is in neither.
    pub async fn settled(&self, deadline: Duration) {
        eventually("everything is settled", deadline, || async {
            let stats = self.api("stats").await.ok()?;
            (stats["accepted"] == 0 && stats["waiting"] == 0).then_some(())
        })
        .await;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the host's log\n{}", self.log());
        }
    }
}

#[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
fn signal(pid: u32, number: i32) {
    let pid = i32::try_from(pid).expect("a process id");
    // SAFETY: `kill` takes two numbers; the process is our own child.
    unsafe { libc::kill(pid, number) };
}
