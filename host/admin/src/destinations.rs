//! Destinations: health and backlog, and to switch them.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::control::{Control, DestinationStatus, LastAttempt, Switch};
use super::events::{blocking, to_its_end};
use super::params::{Names, Query, by_name, document};
use super::problem::Problem;
use super::recent::{DestinationRecent, Recent};
use hookwright_store::{Queries, WorkQueue};

/// How long a pause lasts where the request does not say.
const PAUSE: Duration = Duration::from_secs(600);
/// Deliveries in one transaction: others wait for it.
const DISCARD_STEP: usize = 1_000;
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 24 * 3_600);

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DestinationPage)]
pub(super) struct Page {
    destinations: Vec<Destination>,
    /// `after` of the next page, where there is one.
    next: Option<String>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Destination {
    name: String,
    /// Whether the settings have it; others only have events.
    known: bool,
    /// Without credentials and query.
    url: Option<String>,
    /// `running`, `slowed`, `breaker-open`, `probing`, `paused` or `disabled`.
    state: Option<String>,
    /// Until when nothing is sent, milliseconds since 1970, where that is known.
    until_ms: Option<u64>,
    /// Why it is off; none where it is on.
    disabled: Option<String>,
    /// Attempts under way.
    in_flight: usize,
    /// Attempts at once that are allowed now.
    limit: usize,
    /// Failed attempts since the last success.
    failures: u32,
    /// Since when there was no success, milliseconds since 1970.
    failing_since_ms: Option<u64>,
    /// The attempt that ended last.
    last: Option<LastAttempt>,
    /// Deliveries.
    waiting: u64,
    /// Deliveries.
    dead: u64,
    /// When the oldest waiting event was accepted, milliseconds since 1970.
    oldest_ms: Option<u64>,
    recent: DestinationRecent,
}

/// List destinations
///
/// By name: backlog, health, and the last five minutes. Those that the
/// settings do not have any more are told as long as there are events for them.
#[utoipa::path(get, path = "/destinations", tag = "destinations",
    operation_id = "list_destinations", params(Names),
    responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(queries): State<Arc<dyn Queries>>,
    State(control): State<Arc<dyn Control>>,
    State(recent): State<Recent>,
    Query(page): Query<Names>,
) -> Result<Json<Page>, Problem> {
    let backlog = queries.backlog().await?;
    let mut all: HashMap<String, Destination> = HashMap::new();
    for status in control.destinations() {
        let destination = Destination {
            known: true,
            url: Some(status.url),
            state: Some(status.state),
            until_ms: status.until_ms,
            disabled: status.disabled,
            in_flight: status.in_flight,
            limit: status.limit,
            failures: status.failures,
            failing_since_ms: status.failing_since_ms,
            last: status.last,
            recent: recent.destination(&status.name),
            ..Destination::default()
        };
        all.insert(status.name, destination);
    }
    for row in backlog {
        let entry = all.entry(row.destination).or_default();
        (entry.waiting, entry.dead, entry.oldest_ms) = (row.waiting, row.dead, row.oldest_ms);
    }
    let named = all.into_iter().map(|(name, one)| Destination { name, ..one }).collect();
    let (destinations, next) = by_name(named, &page, |one: &Destination| &one.name);
    Ok(Json(Page { destinations, next }))
}

/// Enable a destination
///
/// Whatever stopped it but the settings. What was kept for it goes out now; what
/// is dead stays so until a replay.
#[utoipa::path(post, path = "/destinations/{name}/enable", tag = "destinations",
    operation_id = "enable_destination", params(("name" = String, Path)),
    responses((status = 200, body = DestinationStatus)))]
pub(super) async fn enable(
    State(control): State<Arc<dyn Control>>,
    Path(name): Path<String>,
) -> Result<Json<DestinationStatus>, Problem> {
    switch(control, name, Switch::Enable).await
}

/// Disable a destination
///
/// Nothing more is sent to it; its deliveries are kept waiting.
#[utoipa::path(post, path = "/destinations/{name}/disable", tag = "destinations",
    operation_id = "disable_destination", params(("name" = String, Path)),
    responses((status = 200, body = DestinationStatus)))]
pub(super) async fn disable(
    State(control): State<Arc<dyn Control>>,
    Path(name): Path<String>,
) -> Result<Json<DestinationStatus>, Problem> {
    switch(control, name, Switch::Disable("disabled by a person".to_owned())).await
}

/// How long nothing is sent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    /// Milliseconds, at most 30 days. Default 10 minutes.
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    for_ms: Option<u64>,
}

/// Pause a destination
///
/// As to disable it, for a time.
#[utoipa::path(post, path = "/destinations/{name}/pause", tag = "destinations",
    operation_id = "pause_destination", params(("name" = String, Path)),
    request_body(content = inline(Option<Pause>)),
    responses((status = 200, body = DestinationStatus)))]
pub(super) async fn pause(
    State(control): State<Arc<dyn Control>>,
    Path(name): Path<String>,
    body: bytes::Bytes,
) -> Result<Json<DestinationStatus>, Problem> {
    let request: Pause = document(&body)?;
    let lasts = request.for_ms.map_or(PAUSE, Duration::from_millis);
    if lasts.is_zero() || lasts > LONGEST_PAUSE {
        return Err(Problem::invalid("`for_ms` must be 1 to 2592000000, which is 30 days"));
    }
    switch(control, name, Switch::Pause(lasts)).await
}

/// Close a destination's breaker
///
/// Try it now, at full speed.
#[utoipa::path(post, path = "/destinations/{name}/close-breaker", tag = "destinations",
    operation_id = "close_breaker", params(("name" = String, Path)),
    responses((status = 200, body = DestinationStatus)))]
pub(super) async fn close_breaker(
    State(control): State<Arc<dyn Control>>,
    Path(name): Path<String>,
) -> Result<Json<DestinationStatus>, Problem> {
    switch(control, name, Switch::CloseBreaker).await
}

/// Why what waits is given up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Discard {
    /// For whoever asks later what became of the events; 1 to 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Discarded {
    /// Deliveries that are dead now.
    discarded: u64,
}

/// Discard what waits for a destination
///
/// Of one that the settings do not have any more, or that is disabled: its
/// waiting deliveries become dead letters with the reason. A replay begins any
/// of them anew, where there is a destination of that name then.
#[utoipa::path(post, path = "/destinations/{name}/discard", tag = "destinations",
    operation_id = "discard_deliveries", params(("name" = String, Path)),
    request_body(content = inline(Discard)), responses((status = 200, body = Discarded)))]
pub(super) async fn discard(
    State(control): State<Arc<dyn Control>>,
    State(queries): State<Arc<dyn Queries>>,
    State(work_queue): State<Arc<dyn WorkQueue>>,
    Path(name): Path<String>,
    body: bytes::Bytes,
) -> Result<Json<Discarded>, Problem> {
    let request: Discard = document(&body)?;
    let reason = request.reason.trim();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Problem::invalid("`reason` must say why, in 1 to 500 characters"));
    }
    let cause = format!("discarded: {reason}");
    let known = control.destinations().into_iter().find(|one| one.name == name);
    if known.is_some_and(|one| one.disabled.is_none()) {
        let why =
            format!("`{name}` is at work: disable it first, or what waits goes out meanwhile");
        return Err(Problem::conflict(why));
    }
    if !queries.backlog().await?.iter().any(|row| row.destination == name) {
        return Err(Problem::missing(format!("no event was ever for a destination `{name}`")));
    }
    let discarding = to_its_end(async move {
        let mut discarded = 0;
        loop {
            let ended = work_queue.discard(&name, &cause, DISCARD_STEP).await?;
            discarded += ended;
            if ended < DISCARD_STEP as u64 {
                let destination = name;
                tracing::warn!(
                    destination,
                    discarded,
                    "what waited for a destination is discarded"
                );
                return Ok(discarded);
            }
        }
    });
    Ok(Json(Discarded { discarded: discarding.await? }))
}

/// Answers the destination as it is then. One that the settings do not have is
/// missing; one that stays as it is, a conflict.
async fn switch(
    control: Arc<dyn Control>,
    name: String,
    to: Switch,
) -> Result<Json<DestinationStatus>, Problem> {
    let (done, found) = blocking(move || {
        let done = control.switch(&name, to);
        Ok((done, control.destinations().into_iter().find(|one| one.name == name)))
    })
    .await?;
    match (done, found) {
        (Ok(()), Some(found)) => Ok(Json(found)),
        (Err(why), Some(_)) => Err(Problem::conflict(why)),
        (Err(why), None) => Err(Problem::missing(why)),
        (Ok(()), None) => Err(Problem::missing("the settings have no such destination any more")),
    }
}
