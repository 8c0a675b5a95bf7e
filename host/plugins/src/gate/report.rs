//! What the gate finds out about a component.
use serde::{Deserialize, Serialize};

use hookwright_model::Digest;

/// A component as its bytes show it, before any of its code ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The SHA-256 of the file: the plugin's version.
    pub digest: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// The contract's version that it was built for, such as `0.1.0`.
    pub contract: String,
    /// Interfaces that it imports, in the file's order.
    pub imports: Vec<String>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
}

impl Shape {
    /// Whether it imports that interface of the contract.
    pub fn wants(&self, interface: &str) -> bool {
        let names = self.imports.iter().filter_map(|name| name.strip_prefix("hookwright:plugin/"));
        names.filter_map(|name| name.split('@').next()).any(|name| name == interface)
    }
}

/// A plugin's own description of itself, from `describe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name, which need not be the one in the settings.
    pub name: String,
    /// Its version, in whatever form its author chose.
    pub version: String,
    /// One line.
    pub summary: String,
    /// JSON Schema of its settings, as it gave it.
    pub config_schema: Option<String>,
}

/// One mistake in a plugin's settings, as its schema or the plugin itself sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigIssue {
    /// JSON pointer into the settings; empty means all of them.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do; empty where the message tells.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A component that said what it is, and that went no further through the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// What its bytes show.
    #[serde(flatten)]
    pub shape: Shape,
    /// What it says of itself.
    pub about: About,
}

/// All about a component that passed the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What its bytes show.
    #[serde(flatten)]
    pub shape: Shape,
    /// What it says of itself.
    pub about: About,
    /// Bytes of the snapshot after `init`; none where each event pays for `init`.
    pub snapshot_size: Option<u64>,
    /// Bytes of native code.
    pub native_size: u64,
    /// Milliseconds that compiling took, both times.
    pub compile_ms: u64,
    /// Microseconds that `init` took.
    pub init_us: u64,
    /// What it logged in `describe` and `init`.
    pub log: Vec<String>,
    /// What it decided about the probe event.
    pub probe: String,
    /// What makes its calls slower than they could be.
    pub warnings: Vec<String>,
}
