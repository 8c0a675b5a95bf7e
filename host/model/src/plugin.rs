//! The settings of a plugin: its component, its limits, and what becomes of events that it fails on.
//!
//! `config` reads `[plugins.NAME]` into a [`Spec`], and the engine takes it as it is. Nothing here holds a secret, since
//! plugins get none.
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Name;

/// One plugin, as the engine runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The name in the settings.
    pub name: Name,
    /// The component, relative to the plugins directory.
    pub file: PathBuf,
    /// The plugin's own settings, a JSON object; `null` or `{}` where there are none.
    pub config_json: String,
    /// Request headers that the plugin may see, in lower case.
    pub headers: Vec<String>,
    /// What it may import beyond the contract's own: `kv`, `http:HOST`, `responder`.
    pub grants: Vec<String>,
    /// What one call may use.
    pub limits: Limits,
    /// A version that is tried beside the active one.
    pub candidate: Option<Candidate>,
    /// When a failing version is left alone for a while.
    pub quarantine: Quarantine,
    /// Keeps instances from event to event. None: each event has a fresh one.
    pub warm: Option<Warm>,
}

impl Spec {
    /// A plugin of the file `<name>.wasm` with nothing set and nothing granted.
    pub fn new(name: Name) -> Self {
        let file = format!("{name}.wasm").into();
        Self {
            name,
            file,
            config_json: "{}".into(),
            headers: Vec::new(),
            grants: Vec::new(),
            limits: Limits::default(),
            candidate: None,
            quarantine: Quarantine::default(),
            warm: None,
        }
    }
}

/// What one call of a plugin may use. Each is a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of one call, default 50 ms. On a crowded machine a call may also take twenty times as long by the
    /// clock, no longer.
    pub time: Duration,
    /// Bytes of linear memory and tables, default 64 MiB.
    pub memory: u64,
    /// Bytes that the answer, or the arguments of one host call, may hold, default 4 MiB.
    pub output: u64,
    /// Bytes of log lines that are kept, default 16 KiB; what follows is dropped.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_millis(50), memory: 64 << 20, output: 4 << 20, log: 16 << 10 }
    }
}

/// A version on trial; it shares all settings with the active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The component, relative to the plugins directory.
    pub file: PathBuf,
    /// How it is tried.
    pub mode: Mode,
}

/// How a candidate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It sees each event beside the active version, and decides nothing.
    Shadow,
    /// It decides for this percentage of events, chosen by their ids.
    Canary(u32),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadow => f.write_str("shadow"),
            Self::Canary(percent) => write!(f, "canary {percent}%"),
        }
    }
}

/// When a version is quarantined: its events follow [`OnFailure`] then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// How many of the last calls are counted, at most 64, default 20; 0 is never.
    pub calls: u32,
    /// The percentage of them that failed, default 50.
    pub failures: u32,
    /// Until the first probe, default 10 s.
    pub wait: Duration,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { calls: 20, failures: 50, wait: Duration::from_secs(10) }
    }
}

/// How many instances of a plugin are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warm {
    /// The most instances that wait for an event.
    pub keep: usize,
    /// The most events that one instance handles.
    pub calls: u32,
}

/// What becomes of an event that a plugin fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It is kept for a replay. The default.
    #[default]
    Park,
    /// It continues as if the plugin had passed it.
    Skip,
    /// It is dead.
    DeadLetter,
}
