//! Events: list, show, body, replay.
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Options;
use super::problem::Problem;
use crate::model::{Attempt, DeliveryState, EventId, EventState, Outcome};
use crate::store::{DeliveryDetail, EventDetail, EventQuery, StoreError};

/// Events that one page lists where the request does not say.
const PAGE: usize = 50;

/// The store's reads block for a few look-ups.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(panic) => Err(StoreError::Failed(panic.to_string().into()).into()),
    }
}

/// Which events: the filters of the list and of the bulk replay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    source: Option<String>,
    kind: Option<String>,
    destination: Option<String>,
    state: Option<EventState>,
    delivery: Option<DeliveryState>,
    /// Milliseconds since 1970, inclusive.
    since: Option<u64>,
    /// Milliseconds since 1970, exclusive.
    until: Option<u64>,
    /// The cursor: the last id of the page before.
    before: Option<EventId>,
    pub(super) limit: Option<usize>,
}

impl Filter {
    /// All that is dead for the destination and was accepted since then.
    pub(super) fn dead_of(destination: String, since_ms: u64) -> Self {
        Self {
            destination: Some(destination),
            delivery: Some(DeliveryState::Dead),
            since: Some(since_ms),
            ..Self::default()
        }
    }

    /// Gives it two ends, where it has none or later ones.
    pub(super) fn within(&mut self, since_ms: u64, until_ms: u64) {
        self.since.get_or_insert(since_ms);
        self.until = Some(self.until.map_or(until_ms, |until| until.min(until_ms)));
    }

    /// From and until, milliseconds since 1970.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.since.unwrap_or(0), self.until.unwrap_or(u64::MAX))
    }

    /// What it asks of a delivery.
    pub(super) fn of_delivery(&self) -> (Option<&str>, Option<DeliveryState>) {
        (self.destination.as_deref(), self.delivery)
    }

    /// Whether it asks for everything: the cursor and the limit choose nothing.
    pub(super) fn is_open(&self) -> bool {
        let words = [&self.source, &self.kind, &self.destination];
        words.iter().all(|word| word.is_none())
            && (self.state, self.delivery) == (None, None)
            && (self.since, self.until) == (None, None)
    }

    pub(super) fn query(&self) -> EventQuery {
        EventQuery {
            source: self.source.clone(),
            kind: self.kind.clone(),
            destination: self.destination.clone(),
            state: self.state,
            delivery: self.delivery,
            since_ms: self.since,
            until_ms: self.until,
            before: self.before,
            limit: self.limit.unwrap_or(PAGE).clamp(1, 1_000),
            ..EventQuery::default()
        }
    }
}

pub(super) async fn list(
    State(options): State<Options>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::invalid(error.body_text()))?;
    let query = filter.query();
    let limit = query.limit;
    let store = options.store.clone();
    let rows = blocking(move || store.events(&query)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.id)).flatten();
    Ok(Json(json!({ "events": rows, "next": next })))
}

pub(super) async fn show(
    State(options): State<Options>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let detail = find(&options, &id).await?;
    let headers: Vec<_> = detail
        .event
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let mut event = serde_json::to_value(&detail.row).unwrap_or_default();
    event["headers"] = json!(headers);
    event["content_type"] = json!(detail.event.content_type());
    event["rulings"] = json!(detail.rulings);
    event["deliveries"] = detail.deliveries.iter().map(delivery).collect();
    Ok(Json(event))
}

/// As a download, whatever it claims to be: a page that somebody sent must not
/// run under the console's origin.
pub(super) async fn body(
    State(options): State<Options>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let detail = find(&options, &id).await?;
    let headers = [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("x-content-type-options", "nosniff"),
    ];
    Ok((headers, detail.event.body.clone()).into_response())
}

async fn find(options: &Options, id: &str) -> Result<EventDetail, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::invalid(format!("{id}: {error}")))?;
    let store = options.store.clone();
    let found = blocking(move || store.event(id)).await?;
    found.ok_or_else(|| Problem::missing(format!("no event {id}: never accepted here, or purged")))
}

fn delivery(detail: &DeliveryDetail) -> Value {
    let mut entry = serde_json::to_value(&detail.row).unwrap_or_default();
    if let Some(payload) = &detail.payload {
        entry["changed"] = json!({
            "body": payload.body.as_ref().map(|body| text_or_base64(body)),
            "content_type": payload.content_type,
            "headers": payload.headers,
        });
    }
    entry["log"] = detail.attempts.iter().map(attempt).collect();
    entry
}

fn attempt(attempt: &Attempt) -> Value {
    let mut entry = json!({
        "number": attempt.number, "at_ms": attempt.at_ms, "took_us": attempt.took_us,
    });
    match &attempt.outcome {
        Outcome::Answered { status, retry_after_s, excerpt } => {
            entry["status"] = json!(status);
            entry["retry_after_s"] = json!(retry_after_s);
            entry["answer"] = text_or_base64(excerpt);
        }
        Outcome::Failed { cause, message } => {
            entry["cause"] = json!(cause.as_str());
            entry["message"] = json!(message);
        }
        Outcome::Taken => entry["taken"] = json!(true),
    }
    entry
}

/// Text as text; anything else as `{"base64": …}`.
fn text_or_base64(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}
