//! Server-sent events: each event as it comes and as it changes.
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use utoipa::IntoParams;

use super::bounds::{Bounds, Permit};
use super::caller::Caller;
use super::params::{Millis, Query};
use super::problem::Problem;
use hookwright_model::EventId;
use hookwright_model::clock::Clock;
use hookwright_store::{EventQuery, EventRow, Queries};

/// How often the rows are looked at.
const POLL: Duration = Duration::from_millis(500);
/// Events whose changes are followed at once; older ones are left.
const FOLLOWED: usize = 1_000;
/// An event older than this that has not changed is left.
const FOLLOW_MS: u64 = 60_000;

/// Which events, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    source: Option<String>,
    kind: Option<String>,
    /// Only with a delivery to this destination.
    destination: Option<String>,
    /// Accepted not before, milliseconds since 1970. By default now.
    #[param(inline)]
    since: Option<Millis>,
}

struct Follower {
    queries: Arc<dyn Queries>,
    bounds: Bounds,
    clock: Clock,
    params: Params,
    /// Only events after this one: the newest when the stream began, where no
    /// time was asked for. Clocks are set back.
    after: Option<EventId>,
    /// A hash of what was last told of each event, to tell only changes.
    told: HashMap<EventId, u64>,
    hasher: RandomState,
    order: VecDeque<EventId>,
    _permit: Permit,
}

/// Watch events
///
/// Server-sent events without an end: an event as it comes, and again whenever
/// it changes, looked at twice a second. For watching: who must miss none
/// takes the feed.
#[utoipa::path(get, path = "/stream", tag = "events", operation_id = "watch_events",
    params(Params),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn stream(
    State(queries): State<Arc<dyn Queries>>,
    State(bounds): State<Bounds>,
    State(clock): State<Clock>,
    Extension(caller): Extension<Caller>,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let permit = bounds.stream(&caller)?;
    let after = match params.since {
        Some(_) => None,
        None => newest(queries.as_ref()).await,
    };
    let follower = Follower {
        queries,
        bounds,
        clock,
        params,
        after,
        told: HashMap::new(),
        hasher: RandomState::new(),
        order: VecDeque::new(),
        _permit: permit,
    };
    let lines = futures_util::stream::unfold(follower, |mut follower| async move {
        tokio::time::sleep(POLL).await;
        let text = follower.poll().await;
        Some((Ok::<_, Infallible>(text), follower))
    });
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// The event that came last.
async fn newest(queries: &dyn Queries) -> Option<EventId> {
    let query = EventQuery { limit: 1, ..EventQuery::default() };
    let rows = queries.events(&query).await.ok()?;
    rows.first().map(|row| row.id)
}

impl Follower {
    /// What is new, as server-sent events; a comment where nothing is, which
    /// also finds out that the reader has gone.
    async fn poll(&mut self) -> Bytes {
        let now_ms = self.clock.now_ms();
        let since =
            self.params.since.map_or(0, |since| since.0).max(now_ms.saturating_sub(FOLLOW_MS));
        let query = EventQuery {
            source: self.params.source.clone(),
            kind: self.params.kind.clone(),
            destination: self.params.destination.clone(),
            since_ms: Some(since),
            after: self.after,
            limit: FOLLOWED,
            ..EventQuery::default()
        };
        let bounds = self.bounds.clone();
        let _permit = bounds.poll().await;
        let Ok(rows) = self.queries.events(&query).await else {
            return Bytes::from_static(b": the store can't be read\n\n");
        };
        let mut out = String::new();
        for row in rows.iter().rev() {
            self.tell(row, &mut out);
        }
        if out.is_empty() {
            out.push_str(":\n\n");
        }
        out.into()
    }

    fn tell(&mut self, row: &EventRow, out: &mut String) {
        let text = serde_json::to_string(row).unwrap_or_default();
        match self.told.get(&row.id) {
            Some(known) if *known == self.hasher.hash_one(&text) => return,
            Some(_) => {}
            None => self.order.push_back(row.id),
        }
        out.push_str("event: event\nid: ");
        out.push_str(&row.id.to_string());
        out.push_str("\ndata: ");
        out.push_str(&text);
        out.push_str("\n\n");
        self.told.insert(row.id, self.hasher.hash_one(&text));
        while self.order.len() > FOLLOWED {
            if let Some(oldest) = self.order.pop_front() {
                self.told.remove(&oldest);
            }
        }
    }
}
