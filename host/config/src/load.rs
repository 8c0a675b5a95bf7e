//! Reading the settings file into a [`Config`], and the reference page that the same pass makes.
use std::ops::Range;
use std::path::Path;

use super::admin::AdminConfig;
use super::alerts::AlertsConfig;
use super::config::Config;
use super::host::{DeliveryConfig, EngineConfig, IngressConfig, LogConfig, StoreConfig, retention};
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
use super::unit::Fault;
use super::written::Written;
use super::{checks, destination, overrides, tree};
use hookwright_signing::Secret;

const HOST_KEY: SecretRef = SecretRef(|bytes| {
    if bytes.len() >= 16 {
        return Ok(Secret::new(bytes));
    }
    let help = "make one with `openssl rand -hex 32`";
    Err(Fault::new("has less than 16 bytes", help))
});

impl Config {
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
            retention: s.section("retention", "How long they are kept.", retention),
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
