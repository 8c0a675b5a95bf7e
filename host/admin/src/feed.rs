//! The feed: events in the order in which they were accepted, for those who must miss none.
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::control::Control;
use super::params::{Limit, Query};
use super::problem::Problem;
use hookwright_model::EventId;
use hookwright_server::Peer;
use hookwright_store::{EventQuery, EventRow, Queries};

/// How often the rows are looked at while a request waits.
const POLL: Duration = Duration::from_millis(200);
/// Seconds that a request may wait.
const LONGEST: u64 = 30;

/// Which events, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Only events after this one: `position` of the page before. Without it
    /// the answer is the present position alone.
    #[param(inline)]
    after: Option<EventId>,
    source: Option<String>,
    kind: Option<String>,
    /// Only with a delivery to this destination, as far as it is known when
    /// the event is looked at.
    destination: Option<String>,
    /// How long to wait for an event where there is none yet, in seconds.
    #[param(inline)]
    wait_s: Option<Wait>,
    #[param(inline)]
    limit: Option<Limit>,
}

/// Seconds to wait: 0 to 30, by default 0.
#[derive(Debug, Clone, Copy, Default, ToSchema)]
#[schema(value_type = u64, minimum = 0, maximum = 30, default = 0)]
struct Wait(u64);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            seconds if seconds <= LONGEST => Ok(Self(seconds)),
            _ => Err(serde::de::Error::custom(format!("`wait_s` is 0 to {LONGEST}"))),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeedPage)]
pub(super) struct Page {
    events: Vec<EventRow>,
    /// `after` of the next page. To ask for that page is to acknowledge this one.
    position: EventId,
}

/// Follow events without missing one
///
/// Oldest first. Ask again with `after` set to the `position` of the answer
/// once its events are dealt with: nothing is left out or told twice, however
/// long the pause, as long as the events are kept.
#[utoipa::path(get, path = "/feed", tag = "events", operation_id = "follow_events",
    params(Params), responses((status = 200, body = Page)))]
pub(super) async fn feed(
    State(queries): State<Arc<dyn Queries>>,
    State(control): State<Arc<dyn Control>>,
    peer: Option<Extension<Peer>>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    // Whoever hung up must not keep its place among the requests.
    let hangup = peer.map(|peer| peer.0.hangup).unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(params.wait_s.unwrap_or_default().0);
    let query = EventQuery {
        source: params.source,
        kind: params.kind,
        destination: params.destination,
        limit: params.limit.unwrap_or_default().0,
        ..EventQuery::default()
    };
    loop {
        let page = queries.feed(&query, params.after).await?;
        let Some(page) = page else {
            return Err(Problem::missing("no such position: `after` is of another store"));
        };
        let over = Instant::now() >= until || !control.ready() || hangup.is_cancelled();
        if !page.rows.is_empty() || params.after.is_none() || over {
            return Ok(Json(Page { events: page.rows, position: page.position }));
        }
        let poll = tokio::time::sleep_until(until.min(Instant::now() + POLL));
        hangup.run_until_cancelled(poll).await;
    }
}
