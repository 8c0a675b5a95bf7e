//! The whole of the settings: loading, parsing, and the pages made from them.
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::admin::AdminConfig;
use super::alerts::AlertsConfig;
use super::host::{
    DeliveryConfig, EngineConfig, IngressConfig, LogConfig, RetentionConfig, StoreConfig,
};
use super::kind::{DURATION, File, Flag};
use super::mistake::{Mistake, Mistakes, Place};
use super::place::{Pages, mask_unread};
use super::plugin::PluginConfig;
use super::reader::{Reader, Section};
use super::secret::SecretRef;
use super::source::SourceConfig;
use super::sources::Sources;
use super::traces::TracesConfig;
use super::tree::{Origin, Table};
use super::unit::{Fault, in_memory};
use super::written::Written;
use super::{checks, destination, overrides, tree};
use hookwright_model::Name;
use hookwright_settings::Destination;
use hookwright_signing::Secret;

/// Every setting, checked. Paths are absolute, or relative to the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub plugins_dir: PathBuf,
    /// Whether the process's memory may be written to a file, or looked into.
    pub core_dumps: bool,
    /// How long the shutdown waits for what is in flight.
    pub shutdown: Duration,
    pub ingress: IngressConfig,
    pub admin: AdminConfig,
    pub store: StoreConfig,
    pub retention: RetentionConfig,
    pub engine: EngineConfig,
    pub delivery: DeliveryConfig,
    pub log: LogConfig,
    /// None: one that is made and kept in `data_dir`.
    pub host_key: Option<Secret>,
    pub alerts: AlertsConfig,
    /// None: no spans.
    pub traces: Option<TracesConfig>,
    pub sources: BTreeMap<Name, SourceConfig>,
    pub destinations: BTreeMap<Name, Destination>,
    pub plugins: BTreeMap<Name, PluginConfig>,
    /// What is allowed and yet looks wrong.
    pub warnings: Mistakes,
    /// Where plugins were set up, for what they find wrong themselves.
    pub written: Written,
}

const HOST_KEY: SecretRef = SecretRef(|bytes| {
    if bytes.len() >= 16 {
        return Ok(Secret::new(bytes));
    }
    let help = "make one with `openssl rand -hex 32`";
    Err(Fault::new("has less than 16 bytes", help))
});

/// So many of the largest bodies must have room in the memory of the ingress.
const BODIES: u64 = 6;

impl Config {
    /// The largest body that the store can take: with its headers an event must fit one file of
    /// the journal, and the queue before it, twice.
    pub(super) fn room_for_body(&self) -> u64 {
        let room = self.store.segment.min(self.store.queue);
        room.saturating_sub(self.ingress.max_header_bytes) / 2
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

    /// Reads and checks the file.
    ///
    /// # Errors
    /// All mistakes in it and in the variables; the one that it can't be read.
    pub fn load(path: &Path, sources: &Sources) -> Result<Self, Mistakes> {
        match (sources.read)(path) {
            Ok(text) => Self::parse(path, &text, sources),
            Err(error) => Err(Mistakes::from(Mistake {
                place: Place::File { file: path.display().to_string() },
                key: String::new(),
                message: format!("can't be read: {error}"),
                help: "name the settings file with `--config FILE`".to_owned(),
            })),
        }
    }

    /// Checks a text as if it stood in the file. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &Path, text: &[u8], sources: &Sources) -> Result<Self, Mistakes> {
        let name = file.display().to_string();
        let text = std::str::from_utf8(text).map_err(|error| {
            // What stands before the fault is UTF-8.
            let good = std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default();
            let help = "save the file as UTF-8".to_owned();
            unreadable(&name, good, good.len()..good.len(), "is no UTF-8 from here on".into(), help)
        })?;
        let mut tree = tree::parse(text).map_err(|(message, span)| {
            let help = "the file is TOML: https://toml.io".to_owned();
            unreadable(&name, text, span, format!("syntax: {message}"), help)
        })?;
        let base = file.parent().unwrap_or(Path::new(""));
        let reader = Reader::new(sources, base);
        overrides::apply(&mut tree, &sources.env, |origin, fault| {
            reader.mistake(&origin, "", fault)
        });
        let config = Self::read(&Section::root(&reader, &tree), &tree);
        let (mistakes, warnings, written) = reader.finish(&name, text, &tree);
        if mistakes.is_empty() { Ok(Self { warnings, written, ..config }) } else { Err(mistakes) }
    }

    /// What is wrong is with the reader; the answer holds only where nothing is.
    fn read(s: &Section<'_, '_>, tree: &Table) -> Self {
        let directory = || File { checked: false };
        let doc = "Events, and everything else that must outlive a restart.";
        let data_dir = s.key("data_dir", directory(), doc).default("data");
        let doc = "The plugins' components. The folder is watched: a new file takes over between two events.";
        let plugins_dir = s.key("plugins_dir", directory(), doc).default("plugins");
        let doc = "Whether a crash may leave a core dump, and debuggers of the same user may look into the process: its memory holds secrets and events. Takes a restart.";
        let core_dumps = s.key("core_dumps", Flag, doc).default("false");
        let doc = "How long a shutdown waits for what is in flight.";
        let shutdown = s.key("shutdown", DURATION, doc).range("0s", "10m").default("20s");
        let doc = "The host's own key, by which it recognises what it wrote itself, such as the count of an event's hops. Hosts that stand in for each other share one. At least 16 bytes.";
        let host_key = s.key("host_key", HOST_KEY, doc).optional("made, and kept in `data_dir`");
        let (plugins, destinations) = (s.names("plugins"), s.names("destinations"));
        let ingress = s.section("ingress", "Where webhooks come in.", IngressConfig::read);
        let public_url = ingress.public_url.clone();
        let doc = "How events are written down.";
        let store = s.section("store", doc, |s| StoreConfig::read(s, &data_dir));
        let mut config = Self {
            data_dir,
            plugins_dir,
            core_dumps,
            shutdown,
            ingress,
            host_key,
            admin: s.section("admin", "The API, the console and the metrics.", AdminConfig::read),
            store,
            retention: s.section("retention", "How long they are kept.", RetentionConfig::read),
            engine: s.section("engine", "What runs the plugins.", EngineConfig::read),
            delivery: s.section("delivery", "Limits over all destinations.", DeliveryConfig::read),
            log: s.section("log", "What is written to standard error.", LogConfig::read),
            alerts: s.section(
                "alerts",
                "Who is alerted when something goes wrong. Alerts are events of the source `hookwright` (`hookwright-slack`, `hookwright-pagerduty`), and are kept, signed and retried like all others.",
                |inner| AlertsConfig::read(inner, &destinations),
            ),
            traces: s.optional_section(
                "traces",
                "Spans for an OpenTelemetry collector: receipt, plugins and attempts of an event.",
                TracesConfig::read,
            ),
            sources: s.named("sources", "Who may post, at `/in/NAME`.", |inner| {
                SourceConfig::read(inner, &plugins, &destinations, public_url.as_deref())
            }),
            destinations: s.named("destinations", "Where events go.", destination::read),
            plugins: s.named(
                "plugins",
                "What filters, changes and routes events.",
                PluginConfig::read,
            ),
            warnings: Mistakes::default(),
            written: Written::default(),
        };
        s.close();
        checks::check(s, tree, &config);
        config.settle_sources();
        config
    }

    /// Fills in what a source has from other sections: its limits, and whether a plugin may answer.
    fn settle_sources(&mut self) {
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

/// The one mistake of a file that is no TOML.
fn unreadable(
    file: &str,
    text: &str,
    span: Range<usize>,
    message: String,
    help: String,
) -> Mistakes {
    let pages = Pages { file: file.to_owned(), text, masked: Vec::new() };
    let mut place = pages.place(&Origin::File(span));
    if let Place::Line { excerpt: Some(excerpt), .. } = &mut place {
        mask_unread(excerpt);
    }
    Mistakes::from(Mistake { place, key: String::new(), message, help })
}

/// The reference of all settings, Markdown: what `docs/settings.md` holds.
pub fn reference() -> String {
    let sources = Sources::none();
    let reader = Reader::describing(&sources);
    let empty = Table::new();
    Config::read(&Section::root(&reader, &empty), &empty);
    let page = reader.into_page().markdown();
    format!("{page}\n## Sample\n\n```toml\n{}```\n", sample())
}

/// A commented settings file that is right as it stands and needs no secrets.
/// Lines that start with `#` and no space are settings to be switched on.
pub fn sample() -> &'static str {
    include_str!("sample.toml")
}
