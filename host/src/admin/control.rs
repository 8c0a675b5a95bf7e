//! Sources, destinations and plugins, as the parts that run them tell.
use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Options;
use super::events::blocking;
use super::problem::Problem;
use super::replay::parse;
use crate::model::Rejected;

/// How long a pause lasts where the request does not say.
const PAUSE: Duration = Duration::from_secs(600);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What the admin side asks of the parts beside it; `app` answers.
pub trait Control: Send + Sync + 'static {
    fn ready(&self) -> bool;
    fn sources(&self) -> Vec<SourceStatus>;
    /// The last refused requests of the source, or of those that named none
    /// (`-`), the newest first. None where there is no such source.
    fn rejected(&self, source: &str) -> Option<Vec<Rejected>>;
    fn destinations(&self) -> Vec<DestinationStatus>;
    fn plugins(&self) -> Vec<PluginStatus>;
    /// Does with one destination as told. Blocks shortly. The error says why not.
    fn switch(&self, destination: &str, to: Switch) -> Result<(), String>;
}

#[derive(Debug, Clone, Serialize)]
pub struct SourceStatus {
    pub name: String,
    /// The path to post to.
    pub path: String,
    pub scheme: String,
    pub plugins: Vec<String>,
    pub destinations: Vec<String>,
    /// Refused requests that are kept: see `/sources/{name}/rejected`.
    pub rejected: usize,
    /// When and why the last one was refused.
    pub last_rejected: Option<LastRejected>,
    /// `signature-failures`, `spike`, `silent`.
    pub anomalies: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
pub struct LastRejected {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub reason: &'static str,
}

/// What a person may do with a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// Whatever stopped it but the settings.
    Enable,
    /// For this reason.
    Disable(String),
    Pause(Duration),
    CloseBreaker,
}

#[derive(Debug, Clone, Serialize)]
pub struct DestinationStatus {
    pub name: String,
    /// Without credentials and query.
    pub url: String,
    /// `running`, `slowed`, `breaker-open`, `probing`, `paused` or `disabled`.
    pub state: String,
    /// Until when nothing is sent, milliseconds since 1970, where that is known.
    pub until_ms: Option<u64>,
    /// Why it is off; none where it is on.
    pub disabled: Option<String>,
    pub in_flight: usize,
    /// Attempts at once that are allowed now.
    pub limit: usize,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Since when there was no success, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    pub last: Option<LastAttempt>,
}

/// The attempt that ended last.
#[derive(Debug, Clone, Serialize)]
pub struct LastAttempt {
    /// Its start, milliseconds since 1970.
    pub at_ms: u64,
    /// The status that it was answered with, or why there was none.
    pub outcome: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct PluginStatus {
    pub name: String,
    pub file: String,
    /// None where no version is loaded.
    pub digest: Option<String>,
    pub summary: Option<String>,
    pub version: Option<String>,
    pub imports: Vec<String>,
    pub grants: Vec<String>,
    /// Where the version in force fails for most events and is left alone.
    pub quarantine: Option<QuarantineStatus>,
    /// A version that is tried beside it.
    pub candidate: Option<CandidateStatus>,
    /// Why the newest file did not take over.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct CandidateStatus {
    pub file: String,
    /// None where no version is loaded.
    pub digest: Option<String>,
    /// `shadow`, or `canary 5%`.
    pub mode: String,
    /// Verdicts like those of the version in force.
    pub same: u64,
    pub different: u64,
    pub failed: u64,
    /// Verdicts where the version in force failed.
    pub mended: u64,
    /// Events that a shadow did not see since too many calls were under way.
    pub skipped: u64,
    /// Why a canary gets no more events.
    pub stopped: Option<String>,
    /// Why the newest file is not tried.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct QuarantineStatus {
    pub why: String,
    pub since_ms: u64,
    /// The first event after that is a probe.
    pub next_probe_ms: u64,
}

pub(super) async fn sources(State(options): State<Options>) -> Json<Value> {
    Json(json!({ "sources": options.control.sources() }))
}

pub(super) async fn rejected(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    match options.control.rejected(&name) {
        Some(rejected) => Ok(Json(json!({ "source": name, "rejected": rejected }))),
        None => {
            Err(Problem::missing("no source has this name; `-` stands for requests without one"))
        }
    }
}

pub(super) async fn plugins(State(options): State<Options>) -> Json<Value> {
    Json(json!({ "plugins": options.control.plugins() }))
}

/// Those of the settings, then those that only have events.
pub(super) async fn destinations(State(options): State<Options>) -> Result<Json<Value>, Problem> {
    let store = options.store.clone();
    let backlog = blocking(move || store.backlog()).await?;
    let mut rows: HashMap<_, _> =
        backlog.into_iter().map(|row| (row.destination.clone(), row)).collect();
    let mut listed = Vec::new();
    for status in options.control.destinations() {
        let row = rows.remove(&status.name);
        let mut entry = serde_json::to_value(&status).unwrap_or_default();
        entry["known"] = json!(true);
        entry["waiting"] = json!(row.as_ref().map_or(0, |row| row.waiting));
        entry["dead"] = json!(row.as_ref().map_or(0, |row| row.dead));
        entry["oldest_ms"] = json!(row.and_then(|row| row.oldest_ms));
        listed.push(entry);
    }
    let mut unknown: Vec<_> = rows.into_values().collect();
    unknown.sort_by(|a, b| a.destination.cmp(&b.destination));
    listed.extend(unknown.into_iter().map(|row| {
        json!({
            "name": row.destination, "known": false, "waiting": row.waiting, "dead": row.dead,
            "oldest_ms": row.oldest_ms,
        })
    }));
    Ok(Json(json!({ "destinations": listed })))
}

/// What was kept for it goes out now; what is dead stays so until a replay.
pub(super) async fn enable(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(options, name, Switch::Enable).await
}

pub(super) async fn disable(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(options, name, Switch::Disable("disabled by a person".to_owned())).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    /// Milliseconds, at most 30 days. Default 10 minutes.
    for_ms: Option<u64>,
}

pub(super) async fn pause(
    State(options): State<Options>,
    Path(name): Path<String>,
    body: bytes::Bytes,
) -> Result<Json<Value>, Problem> {
    let wanted: Pause = parse(&body)?;
    let lasts = wanted.for_ms.map_or(PAUSE, Duration::from_millis);
    if lasts.is_zero() || lasts > LONGEST_PAUSE {
        return Err(Problem::invalid("`for_ms` must be 1 to 2592000000, which is 30 days"));
    }
    switch(options, name, Switch::Pause(lasts)).await
}

pub(super) async fn close_breaker(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(options, name, Switch::CloseBreaker).await
}

/// Answers the destination as it is then. One that the settings do not have is
/// missing; one that stays as it is, a conflict.
async fn switch(options: Options, name: String, to: Switch) -> Result<Json<Value>, Problem> {
    let control = options.control;
    let (done, found) = blocking(move || {
        let done = control.switch(&name, to);
        Ok((done, control.destinations().into_iter().find(|one| one.name == name)))
    })
    .await?;
    match (done, found) {
        (Ok(()), found) => Ok(Json(json!(found))),
        (Err(why), Some(_)) => Err(Problem::conflict(why)),
        (Err(why), None) => Err(Problem::missing(why)),
    }
}

pub(super) async fn stats(State(options): State<Options>) -> Result<Json<Value>, Problem> {
    let store = options.store.clone();
    let (usage, backlog) = blocking(move || Ok((store.usage()?, store.backlog()?))).await?;
    Ok(Json(json!({
        "events": usage.events,
        "bytes": usage.bytes,
        "oldest_ms": usage.oldest_ms,
        "waiting": backlog.iter().map(|row| row.waiting).sum::<u64>(),
        "dead": backlog.iter().map(|row| row.dead).sum::<u64>(),
        "version": env!("CARGO_PKG_VERSION"),
    })))
}
