//! A case: one file with an event, the plugin's settings, and the verdict that is expected.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Table;

use super::body::Body;
use super::exchange::{self, Exchange};
use super::outcome::{Changes, Delivery, Outcome};
use super::state::{self, State};
use hookwright_config::{parse_duration, parse_grant, parse_size};
use hookwright_model::{Event, EventId, HeaderEdit, Name};
use hookwright_plugins::{Call, Limits, Spec};

/// The moment of a case that names none: 2026-01-01T00:00:00Z, milliseconds since 1970.
const MOMENT: u64 = 1_767_225_600_000;

/// What all cases of a folder have in common.
pub(super) const DEFAULTS: &str = "defaults.toml";

/// A case as it is run.
#[derive(Debug)]
pub(crate) struct Case {
    /// The file's, without its ending.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(crate) event: Event,
    attributes: Vec<(String, String)>,
    replay: bool,
    pub(super) limits: Limits,
    pub(super) config_json: String,
    /// What the plugin kept before.
    pub(super) state: State,
    /// What it may use; none where the case leaves that to the component.
    grants: Vec<String>,
    /// What it asks other hosts, and what they answer.
    pub(super) http: Vec<Exchange>,
    pub(super) expected: Option<Expected>,
}

#[derive(Debug)]
pub(super) struct Expected {
    pub(super) outcome: Outcome,
    /// Bodies are compared byte for byte, not as JSON.
    pub(super) exact: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    event: EventPart,
    #[serde(default)]
    settings: Table,
    #[serde(default)]
    limits: LimitsPart,
    #[serde(default)]
    state: BTreeMap<String, toml::Value>,
    #[serde(default)]
    http: Vec<exchange::Part>,
    expect: Option<Expect>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct EventPart {
    id: Option<String>,
    source: Option<String>,
    kind: String,
    content_type: Option<String>,
    received_ms: Option<u64>,
    replay: bool,
    attributes: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Option<Body>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsPart {
    time: Option<String>,
    memory: Option<String>,
    output: Option<String>,
    log: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Pass,
    Amend,
    Drop,
    Deliver,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    Retry,
    Reject,
    Other,
    Trap,
    Contract,
    Time,
    Memory,
    Output,
    HostCalls,
    Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    verdict: Option<Word>,
    failure: Option<Failure>,
    reason: Option<String>,
    #[serde(default)]
    exact: bool,
    body: Option<Body>,
    content_type: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Edit>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    state: BTreeMap<String, toml::Value>,
    #[serde(default)]
    deliver: Vec<ExpectedDelivery>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or `false` where the header is removed")]
enum Edit {
    Set(String),
    Remove(bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedDelivery {
    destination: String,
    delay: Option<String>,
    order_key: Option<String>,
    body: Option<Body>,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Edit>,
}

impl Case {
    /// Reads a case; what it leaves out is the folder's.
    ///
    /// # Errors
    /// With the file, the line where TOML knows one, and what would be right.
    pub(crate) fn read(file: &Path, defaults: &Table) -> Result<Self> {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("can't read {}", file.display()))?;
        Self::parse(file, &text, defaults).with_context(|| file.display().to_string())
    }

    pub(crate) fn parse(file: &Path, text: &str, defaults: &Table) -> Result<Self> {
        // Once as it stands, for mistakes with their lines; then over the folder's.
        let _: File = toml::from_str(text)?;
        let own: Table = text.parse()?;
        let part: File = Table::try_into(merged(defaults, own))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let expected = part.expect.map(|expect| expect.read(folder)).transpose();
        let grants = part.grants.iter().map(|text| parse_grant(text).map_err(anyhow::Error::msg));
        let grants: Vec<String> = grants.collect::<Result<_>>().context("grants")?;
        let config = serde_json::to_value(&part.settings).context("[settings]")?;
        Ok(Self {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            file: file.to_owned(),
            attributes: part.event.attributes.clone().into_iter().collect(),
            replay: part.event.replay,
            event: part.event.read(folder).context("[event]")?,
            limits: part.limits.read().context("[limits]")?,
            config_json: config.to_string(),
            state: state::read(part.state).context("[state]")?,
            http: exchange::read(part.http, &grants, folder)?,
            grants,
            expected: expected.context("[expect]")?,
        })
    }

    /// What the text of a case expects, whatever else stands in it.
    pub(super) fn expectation(file: &Path, text: &str) -> Result<Option<Expected>> {
        let part: File = toml::from_str(text)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        part.expect.map(|expect| expect.read(folder)).transpose().context("[expect]")
    }

    /// The call of a plugin with the case's event.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { attributes: &self.attributes, replay: self.replay, ..Call::about(&self.event) }
    }

    /// The plugin as the case wants it. It sees each header of the event.
    pub(crate) fn spec(&self, name: Name, file: PathBuf) -> Spec {
        let headers = self.event.headers.keys().map(ToString::to_string).collect();
        let (config_json, grants) = (self.config_json.clone(), self.grants.clone());
        Spec { file, config_json, headers, grants, limits: self.limits, ..Spec::new(name) }
    }
}

/// The case's settings replace the folder's; of the other tables each key does.
fn merged(defaults: &Table, own: Table) -> Table {
    let mut all = defaults.clone();
    for (name, value) in own {
        match (all.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(own)) if name != "settings" => {
                inner.extend(own);
            }
            (_, value) => _ = all.insert(name, value),
        }
    }
    all
}

impl EventPart {
    fn read(self, folder: &Path) -> Result<Event> {
        let id: EventId = match (&self.id, self.received_ms) {
            (Some(_), Some(_)) => bail!("`id` holds the time of `received_ms`: name one of them"),
            (Some(id), None) => id.parse().with_context(|| format!("id = \"{id}\""))?,
            (None, ms) => EventId::new(EventId::first_row_at(ms.unwrap_or(MOMENT)), 0),
        };
        let source = self.source.as_deref().unwrap_or("sample");
        let mut headers = HeaderMap::new();
        let content_type = self.content_type.as_deref().unwrap_or("application/json");
        let named = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in named.chain([("content-type", content_type)]) {
            let context = || format!("header `{name}`");
            let value = HeaderValue::from_str(value).with_context(context)?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).with_context(context)?, value);
        }
        if content_type.is_empty() {
            headers.remove("content-type");
        }
        let body = match self.body {
            Some(body) => body.read(folder)?,
            None => Bytes::from_static(b"{}"),
        };
        let source = source.parse().with_context(|| format!("source = \"{source}\""))?;
        let received_ms = id.millis();
        Ok(Event { id, received_ms, source, kind: self.kind.into(), headers, body })
    }
}

impl LimitsPart {
    fn read(self) -> Result<Limits> {
        let mut limits = Limits::default();
        let wrong = |key: &'static str| move |error: String| anyhow::anyhow!("{key}: {error}");
        if let Some(time) = self.time {
            limits.time = parse_duration(&time).map_err(wrong("time"))?;
        }
        for (key, text, limit) in [
            ("memory", self.memory, &mut limits.memory),
            ("output", self.output, &mut limits.output),
            ("log", self.log, &mut limits.log),
        ] {
            if let Some(text) = text {
                *limit = parse_size(&text).map_err(wrong(key))?;
            }
        }
        Ok(limits)
    }
}

impl Expect {
    fn read(self, folder: &Path) -> Result<Expected> {
        let verdict = self.verdict.map(|verdict| match verdict {
            Word::Pass => "pass",
            Word::Amend => "amend",
            Word::Drop => "drop",
            Word::Deliver => "deliver",
        });
        let failure = self.failure.as_ref().map(Failure::word);
        if verdict.is_some() == failure.is_some() {
            bail!("name `verdict` (pass, amend, drop, deliver) or `failure`, one of them");
        }
        let attributes = self.attributes.into_iter().collect();
        let body = self.body.map(|body| body.read(folder)).transpose()?;
        let changes = Changes {
            body,
            content_type: self.content_type,
            kind: self.kind,
            headers: edits(self.headers)?,
            attributes,
        };
        let deliveries = self.deliver.into_iter().map(|delivery| delivery.read(folder));
        let outcome = Outcome {
            verdict,
            failure,
            reason: self.reason,
            changes,
            deliveries: deliveries.collect::<Result<_>>()?,
            state: state::read(self.state).context("state")?,
        };
        Ok(Expected { outcome, exact: self.exact })
    }
}

impl ExpectedDelivery {
    fn read(self, folder: &Path) -> Result<Delivery> {
        let destination = self.destination;
        let delay = match self.delay {
            Some(text) => parse_duration(&text).map_err(anyhow::Error::msg),
            None => Ok(Duration::ZERO),
        };
        let body = self.body.map(|body| body.read(folder)).transpose()?;
        let changes = Changes {
            body,
            content_type: self.content_type,
            headers: edits(self.headers)?,
            ..Changes::default()
        };
        let delay = delay.with_context(|| format!("delay to `{destination}`"))?;
        Ok(Delivery { destination, delay, order_key: self.order_key, changes })
    }
}

fn edits(headers: BTreeMap<String, Edit>) -> Result<Vec<HeaderEdit>> {
    let edit = |(name, edit): (String, Edit)| match edit {
        Edit::Set(value) => Ok(HeaderEdit { name, value: Some(value) }),
        Edit::Remove(false) => Ok(HeaderEdit { name, value: None }),
        Edit::Remove(true) => bail!("header `{name}`: a text, or `false` where it is removed"),
    };
    headers.into_iter().map(edit).collect()
}

impl Failure {
    fn word(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Other => "other",
            Self::Trap => "trap",
            Self::Contract => "contract",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host-calls",
            Self::Settings => "settings",
        }
    }
}
