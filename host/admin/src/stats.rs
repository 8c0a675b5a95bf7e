//! Figures over the whole host: now, and over the last hour.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::params::{Millis, Query};
use super::problem::Problem;
use super::recent::{Point, Recent, STEP_MS};
use hookwright_store::{Maintenance, Queries};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    /// Events that are kept.
    events: u64,
    /// On the disk.
    bytes: u64,
    /// When the oldest event was accepted, milliseconds since 1970.
    oldest_ms: Option<u64>,
    /// Events that are still to be routed: `accepted` and `waiting` are both 0
    /// once all is done, since no delivery can hide between the two.
    accepted: u64,
    /// Deliveries.
    waiting: u64,
    /// Deliveries.
    dead: u64,
    /// Of the host.
    version: &'static str,
}

/// The host in figures
#[utoipa::path(get, path = "/stats", tag = "host", operation_id = "show_stats",
    responses((status = 200, body = Stats)))]
pub(super) async fn show(
    State(queries): State<Arc<dyn Queries>>,
    State(maintenance): State<Arc<dyn Maintenance>>,
) -> Result<Json<Stats>, Problem> {
    // In this order: what is routed in between is in the backlog.
    let usage = maintenance.usage().await?;
    let backlog = queries.backlog().await?;
    Ok(Json(Stats {
        events: usage.events,
        bytes: usage.bytes,
        oldest_ms: usage.oldest_ms,
        accepted: usage.accepted,
        waiting: backlog.iter().map(|row| row.waiting).sum(),
        dead: backlog.iter().map(|row| row.dead).sum(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Which part of the hour, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesParams {
    /// Only points that end after this, milliseconds since 1970.
    #[param(inline)]
    since: Option<Millis>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Series {
    /// Milliseconds from one point to the next.
    step_ms: u64,
    /// The oldest first.
    points: Vec<Point>,
}

/// The last hour in figures
///
/// A point every ten seconds, since the start of the host at most. In memory.
#[utoipa::path(get, path = "/stats/series", tag = "host", operation_id = "show_series",
    params(SeriesParams), responses((status = 200, body = Series)))]
pub(super) async fn series(
    State(recent): State<Recent>,
    Query(params): Query<SeriesParams>,
) -> Json<Series> {
    let points = recent.points(params.since.map_or(0, |since| since.0));
    Json(Series { step_ms: STEP_MS, points })
}
