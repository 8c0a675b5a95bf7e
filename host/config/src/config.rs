//! Every setting as one value, checked: what the rest of the host is set up from.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::admin::AdminConfig;
use super::alerts::AlertsConfig;
use super::host::{DeliveryConfig, EngineConfig, IngressConfig, LogConfig, StoreConfig};
use super::mistake::Mistakes;
use super::plugin::PluginConfig;
use super::source::SourceConfig;
use super::traces::TracesConfig;
use super::unit::in_memory;
use super::written::Written;
use hookwright_model::Name;
use hookwright_settings::{Destination, Retention};
use hookwright_signing::Secret;

/// Every setting, checked. Paths are absolute, or relative to the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where events are kept, and everything else that outlives a restart. Default `data`.
    pub data_dir: PathBuf,
    /// Where the plugins' components are. Default `plugins`.
    pub plugins_dir: PathBuf,
    /// Whether the process's memory may be written to a file, or looked into. Default false: it holds secrets.
    pub core_dumps: bool,
    /// How long the shutdown waits for what is in flight. Default 20 s.
    pub shutdown: Duration,
    /// Where webhooks come in.
    pub ingress: IngressConfig,
    /// The API, the console and the metrics.
    pub admin: AdminConfig,
    /// How events are written down.
    pub store: StoreConfig,
    /// How long they are kept.
    pub retention: Retention,
    /// What runs the plugins.
    pub engine: EngineConfig,
    /// Limits over all destinations.
    pub delivery: DeliveryConfig,
    /// What is written to standard error.
    pub log: LogConfig,
    /// By which the host recognises what it wrote itself. None, the default: one that is made and kept in `data_dir`.
    pub host_key: Option<Secret>,
    /// Who is told when something goes wrong.
    pub alerts: AlertsConfig,
    /// None: no spans.
    pub traces: Option<TracesConfig>,
    /// Who may post, at `/in/NAME`.
    pub sources: BTreeMap<Name, SourceConfig>,
    /// Where events go.
    pub destinations: BTreeMap<Name, Destination>,
    /// What filters, changes and routes events.
    pub plugins: BTreeMap<Name, PluginConfig>,
    /// What is allowed and yet looks wrong.
    pub warnings: Mistakes,
    /// Where plugins were set up, for what they find wrong themselves.
    pub written: Written,
}

/// So many of the largest bodies must have room in the memory of the ingress.
const BODIES: u64 = 6;

impl Config {
    /// The largest body that the store can take: with its headers an event must fit one file of
    /// the journal, and the queue before it, twice.
    pub(super) fn room_for_body(&self) -> u64 {
        let room = self.store.segment.min(self.store.queue);
        room.saturating_sub(self.ingress.limits.max_header_bytes as u64) / 2
    }

    /// Bytes of the largest body that a source takes. Where its settings say nothing: as large
    /// as the provider's get, if store and memory have room for it, or as all others.
    fn max_body(&self, source: &SourceConfig) -> u64 {
        source.own_body.unwrap_or_else(|| {
            let memory = self.ingress.memory.map_or(u64::MAX, |memory| memory / BODIES);
            let room = self.room_for_body().min(memory);
            let own = source.provider_body.unwrap_or_default().min(room);
            own.max(self.ingress.max_body)
        })
    }

    /// Fills in what a source has from other sections: its limits, and whether a plugin may answer.
    pub(super) fn settle_sources(&mut self) {
        let mut sources = std::mem::take(&mut self.sources);
        for source in sources.values_mut() {
            let max_body = in_memory(self.max_body(source));
            let endpoint = &mut source.endpoint;
            endpoint.source.max_body = max_body;
            endpoint.source.max_json_depth = self.ingress.max_json_depth;
            let answers = |name: &Name| {
                let grants = self.plugins.get(name).map(|plugin| &plugin.spec.grants);
                grants.is_some_and(|grants| grants.iter().any(|grant| grant == "responder"))
            };
            endpoint.respond_within =
                endpoint.respond_within.filter(|_| source.plugins.iter().any(answers));
        }
        self.sources = sources;
    }

    /// Bytes of the largest body that any source takes.
    pub fn largest_body(&self) -> u64 {
        let own = self.sources.values().map(|source| self.max_body(source));
        own.chain([self.ingress.max_body]).max().unwrap_or_default()
    }

    /// Bytes of heads and bodies on their way in: a body, and what `decompress`
    /// makes of it, is a third of it at most.
    pub fn ingress_memory(&self) -> u64 {
        let least = BODIES * self.largest_body();
        self.ingress.memory.unwrap_or(least.max(128 * 1024 * 1024))
    }
}
