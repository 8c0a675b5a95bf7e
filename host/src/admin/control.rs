//! Sources, destinations and plugins, as the parts that run them tell.
use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};

use super::Options;
use super::events::blocking;
use super::problem::Problem;
use crate::model::Rejected;

/// What the admin side asks of the parts beside it; `app` answers.
pub trait Control: Send + Sync + 'static {
    fn ready(&self) -> bool;
    fn sources(&self) -> Vec<SourceStatus>;
    /// The last refused requests of the source, or of those that named none
    /// (`-`), the newest first. None where there is no such source.
    fn rejected(&self, source: &str) -> Option<Vec<Rejected>>;
    fn destinations(&self) -> Vec<DestinationStatus>;
    fn plugins(&self) -> Vec<PluginStatus>;
    /// Blocks shortly. The error says why not.
    fn enable(&self, destination: &str) -> Result<(), String>;
    /// As `enable`.
    fn disable(&self, destination: &str, reason: &str) -> Result<(), String>;
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

#[derive(Debug, Clone, Serialize)]
pub struct DestinationStatus {
    pub name: String,
    /// Without credentials and query.
    pub url: String,
    /// Why it is off; none where it is on.
    pub disabled: Option<String>,
    pub in_flight: usize,
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

pub(super) async fn enable(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    switch(options, name.clone(), |control, name| control.enable(name)).await?;
    Ok(Json(json!({ "destination": name, "disabled": null })))
}

pub(super) async fn disable(
    State(options): State<Options>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    const REASON: &str = "disabled by a person";
    switch(options, name.clone(), |control, name| control.disable(name, REASON)).await?;
    Ok(Json(json!({ "destination": name, "disabled": REASON })))
}

/// A destination that the settings do not have is missing; one that stays as it is, a conflict.
async fn switch(
    options: Options,
    name: String,
    act: impl FnOnce(&dyn Control, &str) -> Result<(), String> + Send + 'static,
) -> Result<(), Problem> {
    let control = options.control;
    let (done, known) = blocking(move || {
        let done = act(control.as_ref(), &name);
        let known = done.is_ok() || control.destinations().iter().any(|one| one.name == name);
        Ok((done, known))
    })
    .await?;
    done.map_err(|why| if known { Problem::conflict(why) } else { Problem::missing(why) })
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
