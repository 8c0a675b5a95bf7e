//! Replays: of one event, and of all that a filter finds.
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Options;
use super::events::{Filter, blocking};
use super::problem::Problem;
use crate::model::EventId;
use crate::store::{EventQuery, Store, StoreError};

/// How many events one bulk replay looks at; the answer names where to go on.
const REPLAY_CAP: usize = 2_000;
/// Events read at once.
const PAGE: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// Send to this destination again what was sent before; none takes the
    /// event through today's plugins.
    destination: Option<String>,
}

pub(super) async fn replay(
    State(options): State<Options>,
    Path(id): Path<String>,
    body: bytes::Bytes,
) -> Result<Json<Value>, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::invalid(format!("{id}: {error}")))?;
    let wanted: Replay = parse(&body)?;
    let destination = wanted.destination.clone();
    let store = options.store.clone();
    let found = blocking(move || store.replay(id, wanted.destination.as_deref())).await?;
    match (found, destination) {
        (true, _) => Ok(Json(json!({ "replayed": 1 }))),
        (false, None) => Err(Problem::missing(format!("no event {id}"))),
        (false, Some(name)) => {
            Err(Problem::missing(format!("event {id} has no delivery to `{name}`")))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayMany {
    /// Which events; `limit` is how many in all.
    #[serde(default)]
    filter: Filter,
    /// As for one event: none goes through today's plugins.
    destination: Option<String>,
}

/// Newest first. `next` is the last id that was looked at, where there may be
/// more: `filter.before` of the request that goes on.
pub(super) async fn replay_many(
    State(options): State<Options>,
    body: bytes::Bytes,
) -> Result<Json<Value>, Problem> {
    let wanted: ReplayMany = parse(&body)?;
    if wanted.filter.is_open() {
        return Err(Problem::invalid(
            "`filter` needs at least one of source, kind, destination, state, delivery, since \
             and until; `\"since\": 0` takes every event",
        ));
    }
    if wanted.filter.limit == Some(0) {
        return Err(Problem::invalid("`filter.limit` must be at least 1"));
    }
    let most = wanted.filter.limit.map_or(REPLAY_CAP, |limit| limit.min(REPLAY_CAP));
    let query = wanted.filter.query();
    let store = options.store.clone();
    let again = move || replay_found(store.as_ref(), query, most, wanted.destination.as_deref());
    let (replayed, next) = blocking(again).await?;
    Ok(Json(json!({ "replayed": replayed, "more": next.is_some(), "next": next })))
}

/// Takes at most `most` events; answers how many were replayed, and the last
/// one looked at where there may be more.
fn replay_found(
    store: &dyn Store,
    mut query: EventQuery,
    most: usize,
    destination: Option<&str>,
) -> Result<(usize, Option<EventId>), StoreError> {
    let (mut replayed, mut left) = (0, most);
    loop {
        query.limit = left.min(PAGE);
        let page = store.events(&query)?;
        for row in &page {
            replayed += usize::from(store.replay(row.id, destination)?);
        }
        left -= page.len().min(left);
        match page.last() {
            Some(last) if page.len() == query.limit => query.before = Some(last.id),
            _ => return Ok((replayed, None)),
        }
        if left == 0 {
            return Ok((replayed, query.before));
        }
    }
}

/// An empty body is an empty object.
pub(super) fn parse<T: for<'de> Deserialize<'de> + Default>(body: &[u8]) -> Result<T, Problem> {
    match body.trim_ascii() {
        [] => Ok(T::default()),
        text => serde_json::from_slice(text).map_err(|error| Problem::invalid(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::{ReplayMany, parse};

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(parse::<ReplayMany>(br#"{"filters": {"delivery": "dead"}}"#).is_err());
        assert!(parse::<ReplayMany>(br#"{"filter": {"deliveries": "dead"}}"#).is_err());
    }

    #[test]
    fn a_cursor_or_a_limit_chooses_nothing() {
        for (text, open) in [
            ("", true),
            (r#"{"filter": {"limit": 5}}"#, true),
            (r#"{"filter": {"since": 0}}"#, false),
            (r#"{"filter": {"delivery": "dead"}}"#, false),
        ] {
            assert_eq!(parse::<ReplayMany>(text.as_bytes()).unwrap().filter.is_open(), open);
        }
    }
}
