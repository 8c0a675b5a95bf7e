//! `[plugins.NAME]`: which component, with which settings, within which limits.
use super::kind::{
    Choice, DURATION, Flag, HEADER, Kind, List, PERCENT, SIZE, Text, mismatch, whole,
};
use super::reader::{At, Section};
use super::tree::{Node, Value};
use super::unit::{Fault, quote};
use hookwright_model::plugin::{Candidate, Limits, Mode, OnFailure, Quarantine, Spec, Warm};

/// One plugin: what the engine takes, and what routing does where it fails.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// How the engine runs it.
    pub spec: Spec,
    /// What becomes of an event that it fails on.
    pub on_failure: OnFailure,
}

const FILE: Text<String> =
    Text { name: "file name", example: "\"slim.wasm\"", unit: "", parse: file };

const GRANT: Text<String> = Text { name: "grant", example: "\"kv\"", unit: "", parse: grant };

fn grant(text: &str) -> Result<String, Fault> {
    let help = "write `kv`, `responder`, or `http:` and a host, as in `http:api.example.com`";
    match text.split_once(':') {
        None if ["kv", "responder"].contains(&text) => Ok(text.to_owned()),
        Some(("http", host)) if is_host(host) => Ok(text.to_ascii_lowercase()),
        _ => Err(Fault::new(format!("unknown grant {}", quote(text)), help)),
    }
}

/// A grant, `http:api.example.com` for example, for the commands' own files.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse_grant(text: &str) -> Result<String, String> {
    grant(text).map_err(|fault| format!("{}; {}", fault.message, fault.help))
}

/// A name or an address, and perhaps a port.
fn is_host(text: &str) -> bool {
    let authority = text.parse::<http::uri::Authority>();
    authority.is_ok_and(|host| !host.as_str().contains('@') && !host.host().is_empty())
}

impl PluginConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        const FAILURES: Choice<OnFailure> = Choice(&[
            ("park", OnFailure::Park),
            ("skip", OnFailure::Skip),
            ("dead-letter", OnFailure::DeadLetter),
        ]);
        let doc = "The component, a file in `plugins_dir`.";
        let given = s.key("file", FILE, doc).optional("`NAME.wasm`");
        let file = match s.entry("file") {
            Some(_) => given,
            None => Some(format!("{}.wasm", s.name())),
        };
        let doc = "The plugin's own settings, any table. `hookwright plugin inspect` shows what it knows; `hookwright check` holds it against that.";
        let config = s.key("config", Json, doc).default("{}");
        let doc = "Request headers that the plugin sees.";
        let headers = s.key("headers", List(HEADER), doc).default("[]");
        let doc = "What the plugin may use beyond its event: `kv`, durable keys and values of its own; `http:HOST` or `http:HOST:PORT`, requests to that host; `responder`, the answer to the source.";
        let grants = s.key("grants", List(GRANT), doc).default("[]");
        let limits = s.section("limits", "Of one call.", limits);
        let doc = "What becomes of an event that the plugin fails on: `park` keeps it for a replay, `skip` continues without the plugin, `dead-letter` ends it.";
        let on_failure = s.key("on_failure", FAILURES, doc).default("park");
        let doc = "A version that is tried beside the active one, with the same settings.";
        let candidate = s.optional_section("candidate", doc, candidate);
        let doc = "When the plugin fails for most events: it is left alone for a while, its events follow `on_failure`, and single probes find out when it works again.";
        let quarantine = s.section("quarantine", doc, quarantine);
        let doc = "Keeps instances from event to event, for plugins that start slowly (JavaScript, Python). Without it each event has a fresh one, and nothing that an event leaves is seen by another.";
        let warm = s.optional_section("instances", doc, instances);
        let spec = Spec {
            name: s.name().parse().ok()?,
            file: file?.into(),
            config_json: config,
            headers: headers.iter().map(ToString::to_string).collect(),
            grants,
            limits,
            candidate,
            quarantine,
            warm,
        };
        Some(Self { spec, on_failure })
    }
}

fn limits(s: &Section<'_, '_>) -> Limits {
    Limits {
        time: s
            .key("time", DURATION, "Until the call is stopped.")
            .range("1ms", "10s")
            .default("50ms"),
        memory: s
            .key("memory", SIZE, "The instance's memory.")
            .range("1MiB", "512MiB")
            .default("64MiB"),
        output: s
            .key("output", SIZE, "The verdict with its bodies.")
            .range("1KiB", "64MiB")
            .default("4MiB"),
        log: s.key("log", SIZE, "Log lines; more are cut.").range("0B", "1MiB").default("16KiB"),
    }
}

fn candidate(s: &Section<'_, '_>) -> Option<Candidate> {
    let doc = "The component, a file in `plugins_dir`.";
    let file = s.key("file", FILE, doc).required();
    let doc = "It sees each event too; its verdicts are only counted and compared.";
    let shadow = s.key("shadow", Flag, doc).default("false");
    let doc = "It decides for this share of events, chosen by their ids. Where it fails, the active version decides; where it fails more often than the active version, it is stopped.";
    let canary = s.key("canary", PERCENT, doc).range("1%", "100%").optional("none");
    if s.entry("file").is_some() && shadow == s.entry("canary").is_some() {
        let help = "write either `shadow = true` or `canary = \"5%\"`";
        s.wrong("file", Fault::new("a candidate is either a shadow or a canary", help));
    }
    let mode = canary.map_or(Mode::Shadow, Mode::Canary);
    Some(Candidate { file: file?.into(), mode })
}

fn instances(s: &Section<'_, '_>) -> Option<Warm> {
    let doc = "How many instances wait for an event; each holds its memory meanwhile. At most 32 over all plugins.";
    let keep = s.key("warm", whole(), doc).range("1", "32").required();
    let doc = "How many events an instance handles before it is dropped; any failure drops it too.";
    let calls = s.key("calls", whole(), doc).range("1", "1000000").default("1000");
    Some(Warm { keep: keep?, calls })
}

fn quarantine(s: &Section<'_, '_>) -> Quarantine {
    Quarantine {
        calls: s
            .key("calls", whole(), "How many of the last calls are counted; 0 turns it off.")
            .range("0", "64")
            .default("20"),
        failures: s
            .key("failures", PERCENT, "The share of them that failed.")
            .range("1%", "100%")
            .default("50%"),
        wait: s
            .key(
                "wait",
                DURATION,
                "Until the first probe; each that fails doubles it, to 5 minutes.",
            )
            .range("1s", "1h")
            .default("10s"),
    }
}

fn file(text: &str) -> Result<String, Fault> {
    let help = "write the plain name of a file in `plugins_dir`, as in `slim.wasm`";
    let plain = !text.contains(['/', '\\']) && !text.contains(char::is_control);
    let stem = text.strip_suffix(".wasm").unwrap_or_default();
    if plain && !stem.is_empty() && !stem.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("{} is no plain name of a `.wasm` file", quote(text)), help))
}

/// A table, turned into the text of a JSON object. Dates become text.
struct Json;

impl Kind for Json {
    type Value = String;

    fn name(&self) -> String {
        "table".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<String> {
        if !matches!(at.node.value, Value::Table(_)) {
            return mismatch(at, "a table", "{ … }");
        }
        json(at).map(|value| value.to_string())
    }
}

fn json(at: &At<'_, '_>) -> Option<serde_json::Value> {
    let help = "write it as text, in quotes";
    Some(match &at.node.value {
        Value::Text(text) | Value::Date(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::TooLarge => return at.wrong(Fault::new("does not fit 64 bits", help)),
        Value::Number(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => number.into(),
            None => return at.wrong(Fault::new("JSON has no such number", help)),
        },
        Value::Flag(flag) => (*flag).into(),
        Value::List(items) => {
            let each = items.iter().enumerate();
            let all: Vec<_> =
                each.map(|(index, node)| json(&below(at, node, &format!("[{index}]")))).collect();
            all.into_iter().collect::<Option<Vec<_>>>()?.into()
        }
        Value::Table(table) => {
            let each = table.iter();
            let all: Vec<_> = each
                .map(|(key, entry)| {
                    let path = format!(".{}", quote(key).trim_matches('`'));
                    Some((key.clone(), json(&below(at, &entry.node, &path))?))
                })
                .collect();
            let map = all.into_iter().collect::<Option<serde_json::Map<_, _>>>()?;
            serde_json::Value::Object(map)
        }
    })
}

fn below<'a, 't>(at: &At<'a, 't>, node: &'a Node, path: &str) -> At<'a, 't> {
    At { node, path: format!("{}{path}", at.path), ..at.clone() }
}
