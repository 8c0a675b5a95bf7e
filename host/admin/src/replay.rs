//! Replay of one event, and what it would do.
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::control::{Control, Preview, PreviewRefused};
use super::events::{Changed, find};
use super::params::document;
use super::problem::Problem;
use hookwright_model::{EventId, EventState, VerdictRecord};
use hookwright_store::{Queries, WorkQueue};

/// How to handle an event again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// Send to this destination again what was sent before; none takes the
    /// event through today's plugins.
    destination: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// Events.
    replayed: usize,
}

/// Replay one event
///
/// Through today's plugins, or to one destination as it was sent before. The
/// deliveries carry the same `webhook-id`.
#[utoipa::path(post, path = "/events/{id}/replay", tag = "events", operation_id = "replay_event",
    params(("id" = inline(EventId), Path)),
    request_body(content = inline(Option<Replay>)), responses((status = 200, body = Replayed)))]
pub(super) async fn replay(
    State(work_queue): State<Arc<dyn WorkQueue>>,
    Path(id): Path<String>,
    body: bytes::Bytes,
) -> Result<Json<Replayed>, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::invalid(format!("{id}: {error}")))?;
    let request: Replay = document(&body)?;
    let destination = request.destination.clone();
    let found = work_queue.replay(id, request.destination.as_deref()).await?;
    match (found, destination) {
        (true, _) => Ok(Json(Replayed { replayed: 1 })),
        (false, None) => Err(Problem::missing(format!("no event {id}"))),
        (false, Some(name)) => {
            Err(Problem::missing(format!("event {id} has no delivery to `{name}`")))
        }
    }
}

/// What a replay through today's plugins would come to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Previewed {
    state: EventState,
    /// Why, where routing would end it.
    reason: Option<String>,
    rulings: Vec<VerdictRecord>,
    deliveries: Vec<Target>,
}

/// A delivery that would be made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Target {
    destination: String,
    /// What it would send where that differs from the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Changed>,
}

/// Try a replay
///
/// Takes the event through today's plugins and tells what they say. Nothing is
/// sent, and nothing is kept: neither the verdicts nor what plugins keep.
#[utoipa::path(post, path = "/events/{id}/preview", tag = "events",
    operation_id = "preview_replay", params(("id" = inline(EventId), Path)),
    responses((status = 200, body = Previewed)))]
pub(super) async fn preview(
    State(queries): State<Arc<dyn Queries>>,
    State(control): State<Arc<dyn Control>>,
    Path(id): Path<String>,
) -> Result<Json<Previewed>, Problem> {
    let event = find(queries.as_ref(), &id).await?.event;
    let source = event.source.clone();
    let previewed = control.preview(event).await;
    let Preview { state, reason, verdicts, deliveries } = previewed.map_err(|why| match why {
        PreviewRefused::NoSource => {
            Problem::conflict(format!("the settings have no source `{source}` any more"))
        }
        PreviewRefused::Busy => Problem::busy("too many previews are under way"),
    })?;
    let target = |(destination, payload): (String, Option<Arc<_>>)| Target {
        destination,
        changed: payload.map(|payload| Changed::new(&payload)),
    };
    let deliveries = deliveries.into_iter().map(target).collect();
    Ok(Json(Previewed { state, reason, rulings: verdicts, deliveries }))
}
