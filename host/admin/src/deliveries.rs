//! Deliveries, over all events.
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::params::{Limit, Millis, Query};
use super::problem::Problem;
use hookwright_model::{DeliveryState, EventId};
use hookwright_store::{DeliveryRow, EventQuery, EventRow, Queries};

/// Which deliveries, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Only to this destination.
    destination: Option<String>,
    #[param(inline)]
    state: Option<DeliveryState>,
    /// Only of events from this source.
    source: Option<String>,
    /// Only of events of this kind.
    kind: Option<String>,
    /// Of events not before, milliseconds since 1970.
    #[param(inline)]
    since: Option<Millis>,
    /// Of events before, milliseconds since 1970.
    #[param(inline)]
    until: Option<Millis>,
    /// Only of events older than this one: `next` of the page before.
    #[param(inline)]
    before: Option<EventId>,
    /// Of so many events; all that fit of each are told.
    #[param(inline)]
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub(super) struct Page {
    deliveries: Vec<Listed>,
    /// `before` of the next page, where there may be one.
    next: Option<EventId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    event: EventId,
    source: String,
    kind: String,
    /// When the event was accepted, milliseconds since 1970.
    received_ms: u64,
    #[serde(flatten)]
    row: DeliveryRow,
}

/// List deliveries
///
/// By their events, newest first.
#[utoipa::path(get, path = "/deliveries", tag = "events", operation_id = "list_deliveries",
    params(Params), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(queries): State<Arc<dyn Queries>>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let (destination, state) = (params.destination, params.state);
    let query = EventQuery {
        source: params.source,
        kind: params.kind,
        destination: destination.clone(),
        state: None,
        delivery: state,
        since_ms: params.since.map(|ms| ms.0),
        until_ms: params.until.map(|ms| ms.0),
        before: params.before,
        limit: params.limit.unwrap_or_default().0,
        ..EventQuery::default()
    };
    let limit = query.limit;
    let events = queries.events(&query).await?;
    let next = (events.len() == limit).then(|| events.last().map(|row| row.id)).flatten();
    let fits = |row: &DeliveryRow| {
        destination.as_ref().is_none_or(|name| *name == row.destination)
            && state.is_none_or(|state| state == row.state)
    };
    let listed = |event: EventRow| {
        let EventRow { id, source, kind, received_ms, deliveries, .. } = event;
        deliveries.into_iter().map(move |row| Listed {
            event: id,
            source: source.clone(),
            kind: kind.clone(),
            received_ms,
            row,
        })
    };
    let deliveries = events.into_iter().flat_map(listed).filter(|one| fits(&one.row)).collect();
    Ok(Json(Page { deliveries, next }))
}
