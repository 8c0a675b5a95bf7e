//! Events: list and search, show, body.
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::control::Control;
use super::params::{Limit, Millis, Needle, Query};
use super::problem::Problem;
use hookwright_model::{
    Attempt, Cause, DeliveryState, EventId, EventState, HeaderEdit, Outcome, Payload, VerdictRecord,
};
use hookwright_store::{
    DeliveryDetail, DeliveryRow, EventDetail, EventQuery, EventRow, Queries, StoreError,
};

/// Does a change to its end in a task of its own, also where the client hangs up meanwhile.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(panic) => Err(StoreError::Failed(panic.to_string().into()).into()),
    }
}

/// Does it on a thread for blocking work: folders, and what waits for other parts of the host.
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

/// Which events, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Only from this source.
    source: Option<String>,
    /// Only of this kind, `push` for example.
    kind: Option<String>,
    /// Only with a delivery to this destination.
    destination: Option<String>,
    #[param(inline)]
    state: Option<EventState>,
    /// With a delivery in this state, to `destination` where that is given too.
    #[param(inline)]
    delivery: Option<DeliveryState>,
    /// Not before, milliseconds since 1970.
    #[param(inline)]
    since: Option<Millis>,
    /// Before, milliseconds since 1970.
    #[param(inline)]
    until: Option<Millis>,
    /// Only events older than this one: `next` of the page before.
    #[param(inline)]
    before: Option<EventId>,
    /// Whose body as it came holds this text, byte for byte. A bounded search:
    /// `searched` in the answer tells how far it came.
    #[param(inline)]
    text: Option<Needle>,
    #[param(inline)]
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(super) struct Page {
    events: Vec<EventRow>,
    /// `before` of the next page, where there may be one.
    next: Option<EventId>,
    /// Where `text` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched: Option<Searched>,
}

/// How far a search in the bodies came.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Searched {
    /// Events whose bodies were looked into.
    events: u64,
    /// Whether all events that the other filters leave were looked at. Where
    /// not, `next` goes on.
    complete: bool,
}

/// List and search events
///
/// Newest first. A search for `text` looks at 20,000 events, 64 MiB of bodies
/// or for two seconds at most, and tells where it stopped.
#[utoipa::path(get, path = "/events", tag = "events", operation_id = "list_events",
    params(Params), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(queries): State<Arc<dyn Queries>>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let query = EventQuery {
        source: params.source,
        kind: params.kind,
        destination: params.destination,
        state: params.state,
        delivery: params.delivery,
        since_ms: params.since.map(|ms| ms.0),
        until_ms: params.until.map(|ms| ms.0),
        before: params.before,
        limit: params.limit.unwrap_or_default().0,
        ..EventQuery::default()
    };
    if let Some(Needle(text)) = params.text {
        let found = queries.search(&query, &text).await?;
        let complete = found.stopped_at.is_none();
        let searched = Some(Searched { events: found.looked_at, complete });
        return Ok(Json(Page { events: found.rows, next: found.stopped_at, searched }));
    }
    let limit = query.limit;
    let events = queries.events(&query).await?;
    let next = (events.len() == limit).then(|| events.last().map(|row| row.id)).flatten();
    Ok(Json(Page { events, next, searched: None }))
}

/// Everything about one event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    id: EventId,
    source: String,
    kind: String,
    state: EventState,
    /// Milliseconds since 1970.
    received_ms: u64,
    body_bytes: u64,
    replays: u32,
    /// Why, where routing ended it.
    reason: Option<String>,
    /// As they came, without those that carry credentials.
    headers: Vec<(String, String)>,
    content_type: String,
    /// What each plugin said, in order.
    rulings: Vec<VerdictRecord>,
    deliveries: Vec<Delivery>,
}

/// A delivery with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delivery {
    #[serde(flatten)]
    row: DeliveryRow,
    /// What it sends where that differs from the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<Changed>,
    log: Vec<Tried>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// None: the event's own.
    body: Option<Content>,
    /// None: the event's own.
    content_type: Option<String>,
    headers: Vec<HeaderEdit>,
}

/// Text as text; anything else as `{"base64": …}`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Binary { base64: String },
}

/// One attempt: `status` where the destination answered, else `cause`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tried {
    /// From 1, over all rounds.
    number: u32,
    /// Its start, milliseconds since 1970.
    at_ms: u64,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Seconds that the destination asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// The start of the answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// By a destination that gives no status.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    taken: bool,
}

/// Show one event
///
/// With its headers, what each plugin said, and every delivery with every
/// attempt. The body has a path of its own.
#[utoipa::path(get, path = "/events/{id}", tag = "events", operation_id = "show_event",
    params(("id" = inline(EventId), Path)), responses((status = 200, body = Detail)))]
pub(super) async fn show(
    State(queries): State<Arc<dyn Queries>>,
    State(control): State<Arc<dyn Control>>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let EventDetail { row, event, verdicts, deliveries } = find(queries.as_ref(), &id).await?;
    // Taken in before the token was one, or by a version that kept it.
    let header = |value: &http::HeaderValue| {
        control.without_tokens(&String::from_utf8_lossy(value.as_bytes()))
    };
    let headers = event.headers.iter();
    Ok(Json(Detail {
        id: row.id,
        source: row.source,
        kind: row.kind,
        state: row.state,
        received_ms: row.received_ms,
        body_bytes: row.body_bytes,
        replays: row.replays,
        reason: row.reason,
        headers: headers.map(|(name, value)| (name.to_string(), header(value))).collect(),
        content_type: event.content_type().to_owned(),
        rulings: verdicts,
        deliveries: deliveries.into_iter().map(Delivery::new).collect(),
    }))
}

/// The body of an event
///
/// As it came, byte for byte, as a download, whatever it claims to be.
#[utoipa::path(get, path = "/events/{id}/body", tag = "events", operation_id = "show_event_body",
    params(("id" = inline(EventId), Path)),
    responses((status = 200, content_type = "application/octet-stream", body = [u8])))]
pub(super) async fn body(
    State(queries): State<Arc<dyn Queries>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let detail = find(queries.as_ref(), &id).await?;
    // A page that somebody sent must not run under the console's origin.
    let headers = [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("x-content-type-options", "nosniff"),
    ];
    Ok((headers, detail.event.body.clone()).into_response())
}

/// The event with this id, for the operations about a single one.
pub(super) async fn find(queries: &dyn Queries, id: &str) -> Result<EventDetail, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::invalid(format!("{id}: {error}")))?;
    let found = queries.event(id).await?;
    found.ok_or_else(|| Problem::missing(format!("no event {id}: never accepted here, or purged")))
}

impl Delivery {
    fn new(detail: DeliveryDetail) -> Self {
        Self {
            row: detail.row,
            changed: detail.payload.as_ref().map(Changed::new),
            log: detail.attempts.into_iter().map(Tried::new).collect(),
        }
    }
}

impl Changed {
    pub(super) fn new(payload: &Payload) -> Self {
        Self {
            body: payload.body.as_ref().map(|body| Content::new(body)),
            content_type: payload.content_type.clone(),
            headers: payload.headers.clone(),
        }
    }
}

impl Content {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => {
                Self::Binary { base64: base64::engine::general_purpose::STANDARD.encode(bytes) }
            }
        }
    }
}

impl Tried {
    fn new(attempt: Attempt) -> Self {
        let Attempt { number, at_ms, took_us, outcome } = attempt;
        let tried = Self {
            number,
            at_ms,
            took_us,
            status: None,
            retry_after_s: None,
            answer: None,
            cause: None,
            message: None,
            taken: false,
        };
        match outcome {
            Outcome::Answered { status, retry_after_s, excerpt } => Self {
                status: Some(status),
                retry_after_s,
                answer: Some(Content::new(&excerpt)),
                ..tried
            },
            Outcome::Failed { cause, message } => {
                Self { cause: Some(cause), message: Some(message), ..tried }
            }
            Outcome::Accepted => Self { taken: true, ..tried },
        }
    }
}
