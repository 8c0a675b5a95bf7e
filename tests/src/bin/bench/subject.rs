//! What is measured: each in a process of its own, with the load and the sink in this one.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use tempfile::TempDir;

use super::load::{self, Sink};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    BareAnswer,
    Ingest,
    BareForward,
    NoPlugin,
    OnePlugin,
    TwoPlugins,
    Rewrite,
}

/// What one round came to.
pub(crate) struct Run {
    /// Events a second.
    pub rate: f64,
    /// Processor time of the subject's process for one event.
    pub cpu_us: f64,
}

/// The subject's process; ended when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    _dir: Option<TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject {
    pub(crate) const ALL: [Self; 7] = [
        Self::BareAnswer,
        Self::Ingest,
        Self::BareForward,
        Self::NoPlugin,
        Self::OnePlugin,
        Self::TwoPlugins,
        Self::Rewrite,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::BareAnswer => "bare hyper: check, answer 202",
            Self::Ingest => "durable ingest",
            Self::BareForward => "bare hyper: check, forward",
            Self::NoPlugin => "whole path, no plugin",
            Self::OnePlugin => "whole path, one plugin",
            Self::TwoPlugins => "whole path, two plugins",
            Self::Rewrite => "whole path, one that rewrites",
        }
    }

    /// What its ratio is to.
    pub(crate) fn limit(self) -> Self {
        match self {
            Self::BareAnswer | Self::Ingest => Self::BareAnswer,
            _ => Self::BareForward,
        }
    }

    fn plugins(self) -> &'static [&'static str] {
        match self {
            Self::OnePlugin => &["filter"],
            Self::TwoPlugins => &["filter", "route"],
            Self::Rewrite => &["thin-github"],
            _ => &[],
        }
    }

    fn delivers(self) -> bool {
        !matches!(self, Self::BareAnswer | Self::Ingest)
    }

    pub(crate) fn measure(self, plugins: &Path, events: usize) -> anyhow::Result<Run> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let sink = Sink::start().await?;
            let running = self.start(plugins, sink.address)?;
            let warm = events / 10;
            self.drive(&running, &sink, warm).await?;
            let (begin, cpu) = (Instant::now(), cpu_seconds(running.child.id())?);
            self.drive(&running, &sink, events).await?;
            let took = begin.elapsed().as_secs_f64();
            let cpu = cpu_seconds(running.child.id())? - cpu;
            Ok(Run { rate: events as f64 / took, cpu_us: cpu * 1e6 / events as f64 })
        })
    }

    async fn drive(self, running: &Running, sink: &Sink, events: usize) -> anyhow::Result<()> {
        let before = sink.count();
        load::post(running.address, "/in/hub", events).await?;
        if self.delivers() {
            let reached = sink.reached(before + events);
            let limit = std::time::Duration::from_secs(120);
            tokio::time::timeout(limit, reached).await.context("the sink did not get all")?;
        }
        Ok(())
    }

    fn start(self, plugins: &Path, sink: SocketAddr) -> anyhow::Result<Running> {
        match self {
            Self::BareAnswer => bare(&["serve-bare"]),
            Self::BareForward => bare(&["serve-forward", &sink.to_string()]),
            _ => self.host(plugins, sink),
        }
    }

    fn host(self, plugins: &Path, sink: SocketAddr) -> anyhow::Result<Running> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("plugins"))?;
        for name in self.plugins() {
            let file = format!("{name}.wasm");
            std::fs::copy(plugins.join(&file), dir.path().join("plugins").join(&file))
                .with_context(|| format!("no {file}: run `make plugins`"))?;
        }
        std::fs::write(dir.path().join("hookwright.toml"), self.settings(sink))?;
        let binary = hookwright_tests::artifact("hookwright");
        let mut command = Command::new(binary);
        command.arg("serve").current_dir(dir.path());
        let (child, line) = first_line(command)?;
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next()?.parse().ok())
            .with_context(|| format!("the host said: {line}"))?;
        Ok(Running { child, address, _dir: Some(dir) })
    }

    fn settings(self, sink: SocketAddr) -> String {
        let list = |names: &[&str]| {
            names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        let mut text = format!(
            "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [log]\nlevel = \"warn\"\n\
             [sources.hub]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:{}\"] }}\n\
             plugins = [{}]\ndestinations = [{}]\n",
            load::secret(),
            list(self.plugins()),
            if self.delivers() { "\"sink\"" } else { "" },
        );
        if self.delivers() {
            text.push_str(&format!(
                "[destinations.sink]\nurl = \"http://{sink}/\"\nallow_private = true\nin_flight = 64\n\
                 sign = {{ scheme = \"none\" }}\n"
            ));
        }
        for name in self.plugins() {
            text.push_str(&format!("[plugins.{name}]\n"));
            match *name {
                "filter" => text
                    .push_str("config = { drop = [{ field = \"kind\", equals = \"noise\" }] }\n"),
                "route" => text.push_str("config = { rules = [{ to = [\"sink\"] }] }\n"),
                _ => {}
            }
        }
        text
    }
}

fn bare(args: &[&str]) -> anyhow::Result<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    let (child, line) = first_line(command)?;
    Ok(Running { child, address: line.trim().parse()?, _dir: None })
}

fn first_line(mut command: Command) -> anyhow::Result<(Child, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("a piped output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((child, line))
}

/// Processor time of a process so far, its threads together (`/proc/PID/stat`, fields 14 and 15).
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = (ticks(11).unwrap_or(0.0), ticks(12).unwrap_or(0.0));
    // Linux counts in hundredths of a second for every process that asks.
    Ok((user + system) / 100.0)
}
