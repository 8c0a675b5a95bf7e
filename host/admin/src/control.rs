//! What the admin side asks of the parts beside it, and what they tell.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use hookwright_model::{Event, EventState, Payload, Rejected, VerdictRecord};

/// What the admin side asks of the parts beside it; `app` answers.
pub trait Control: Send + Sync + 'static {
    /// Whether the host takes events: it has started, and no stop was asked for.
    fn ready(&self) -> bool;
    /// The sources of the active settings, in any order.
    fn sources(&self) -> Vec<SourceStatus>;
    /// The last refused requests of the source, or of those that named none
    /// (`-`), the newest first. None where there is no such source.
    fn rejected(&self, source: &str) -> Option<Vec<Rejected>>;
    /// A text that is shown, without any token of a source's URL.
    fn without_tokens(&self, text: &str) -> String;
    /// The destinations of the active settings, in any order.
    fn destinations(&self) -> Vec<DestinationStatus>;
    /// The plugins of the active settings, in any order.
    fn plugins(&self) -> Vec<PluginStatus>;
    /// Does with one destination as told. Blocks shortly. The error says why not.
    fn switch(&self, destination: &str, to: Switch) -> Result<(), String>;
    /// Takes the event through today's plugins and keeps nothing.
    fn preview(&self, event: Arc<Event>) -> PreviewFuture<'_>;
    /// Reads the settings again, and all files that they name.
    fn reload(&self) -> ReloadFuture<'_>;
}

/// What a reload resolves to.
pub type ReloadFuture<'c> =
    Pin<Box<dyn Future<Output = Result<Reloaded, ReloadRefused>> + Send + 'c>>;

/// Settings that are active now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// Settings whose values differ from those before, among them those of secrets and
    /// certificates that hold something else now: `destinations.ci.url`.
    pub changed: Vec<String>,
    /// Those of them that take a restart.
    pub restart: Vec<String>,
    /// What is allowed, and looks wrong.
    pub warnings: Vec<SettingsMistake>,
}

/// Something wrong with the settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsMistake {
    /// File, line and column, or an environment variable.
    pub place: String,
    /// The setting; empty where it is the file as a whole.
    pub key: String,
    /// What is wrong, one line.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Why the old settings stay active.
#[derive(Debug)]
pub enum ReloadRefused {
    /// All of them.
    Mistakes(Vec<SettingsMistake>),
    /// The host was started without a settings file, or is stopping.
    Impossible,
}

/// What a preview resolves to.
pub type PreviewFuture<'c> =
    Pin<Box<dyn Future<Output = Result<Preview, PreviewRefused>> + Send + 'c>>;

/// Why there is no preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewRefused {
    /// The settings no longer have the event's source.
    NoSource,
    /// Too many are under way.
    Busy,
}

/// What routing would come to.
#[derive(Debug)]
pub struct Preview {
    /// How its routing would end.
    pub state: EventState,
    /// Why, where it would end there.
    pub reason: Option<String>,
    /// What each plugin said, in order.
    pub verdicts: Vec<VerdictRecord>,
    /// Where it would go, and with what where that differs from the event.
    pub deliveries: Vec<(String, Option<Arc<Payload>>)>,
}

/// A source of the active settings, and how it is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceStatus {
    /// Its name in the settings.
    pub name: String,
    /// The path to post to; `TOKEN` stands for a token.
    pub path: String,
    /// The whole URL to post to, as far as the settings tell it.
    pub url: String,
    /// How its requests are verified: `verify.scheme` of the settings.
    pub scheme: String,
    /// The provider's name, or what the scheme is.
    pub title: String,
    /// What to do at the provider, step by step.
    pub setup: Vec<String>,
    /// The plugins that see its events, in order.
    pub plugins: Vec<String>,
    /// Where events go that no plugin routed.
    pub destinations: Vec<String>,
    /// Refused requests that are kept: see `/sources/{name}/rejected`.
    pub rejected: usize,
    /// When and why the last one was refused.
    pub last_rejected: Option<LastRejected>,
    /// `signature-failures`, `spike`, `silent`.
    pub anomalies: Vec<&'static str>,
}

/// The request of a source that was refused last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastRejected {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The code of the refusal, `bad-signature` for example.
    pub reason: &'static str,
}

/// What a person may do with a destination: an operation of the API each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// Whatever stopped it but the settings.
    Enable,
    /// For this reason.
    Disable(String),
    /// Sends nothing for so long.
    Pause(Duration),
    /// Tries it now, at full speed.
    CloseBreaker,
}

/// A destination of the active settings, and how it is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DestinationStatus {
    /// Its name in the settings.
    pub name: String,
    /// Without credentials and query.
    pub url: String,
    /// `running`, `slowed`, `breaker-open`, `probing`, `paused` or `disabled`.
    pub state: String,
    /// Until when nothing is sent, milliseconds since 1970, where that is known.
    pub until_ms: Option<u64>,
    /// Why it is off; none where it is on.
    pub disabled: Option<String>,
    /// Attempts under way.
    pub in_flight: usize,
    /// Attempts at once that are allowed now.
    pub limit: usize,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Since when there was no success, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    /// The attempt that ended last; none since the start of the host.
    pub last: Option<LastAttempt>,
}

/// The attempt that ended last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastAttempt {
    /// Its start, milliseconds since 1970.
    pub at_ms: u64,
    /// The status that it was answered with, or why there was none.
    pub outcome: String,
    /// Whether the attempt delivered.
    pub good: bool,
}

/// A plugin of the active settings, and how it is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PluginStatus {
    /// Its name in the settings.
    pub name: String,
    /// The component, a file in `plugins_dir`.
    pub file: String,
    /// None where no version is loaded.
    pub digest: Option<String>,
    /// What it does, in its own words.
    pub summary: Option<String>,
    /// Its version, in its own words.
    pub version: Option<String>,
    /// What it imports, by the names of the interfaces.
    pub imports: Vec<String>,
    /// What the settings grant it.
    pub grants: Vec<String>,
    /// Where the active version fails for most events and is left alone.
    pub quarantine: Option<QuarantineStatus>,
    /// A version that is tried beside it.
    pub candidate: Option<CandidateStatus>,
    /// Why the newest file did not take over.
    pub error: Option<String>,
}

/// A version on trial beside the active one, and how its verdicts compare.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CandidateStatus {
    /// The component, a file in `plugins_dir`.
    pub file: String,
    /// None where no version is loaded.
    pub digest: Option<String>,
    /// `shadow`, or `canary 5%`.
    pub mode: String,
    /// Verdicts like those of the active version.
    pub same: u64,
    /// Verdicts unlike those of the active version.
    pub different: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Verdicts where the active version failed.
    pub mended: u64,
    /// Events that a shadow did not see since too many calls were under way.
    pub skipped: u64,
    /// Why a canary gets no more events.
    pub stopped: Option<String>,
    /// Why the newest file is not tried.
    pub error: Option<String>,
}

/// A version that fails for most events and is left alone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuarantineStatus {
    /// Why it was quarantined, one line.
    pub why: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// The first event after that is a probe.
    pub next_probe_ms: Option<u64>,
}
