//! Replay of one event.
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Options;
use super::events::blocking;
use super::problem::Problem;
use crate::model::EventId;

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

/// An empty body is an empty object.
pub(super) fn parse<T: for<'de> Deserialize<'de> + Default>(body: &[u8]) -> Result<T, Problem> {
    match body.trim_ascii() {
        [] => Ok(T::default()),
        text => serde_json::from_slice(text).map_err(|error| Problem::invalid(error.to_string())),
    }
}
