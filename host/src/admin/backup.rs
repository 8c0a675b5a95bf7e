//! Backups: a copy of the store in a folder of the host's own, made while it runs.
use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Options;
use super::problem::Problem;
use crate::model::Name;
use crate::store::StoreError;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The folder's name; none: the time, `backup-1700000000000`.
    name: Option<String>,
}

/// Answers once the copy is whole and on the disk. `path` is on the host's machine.
pub(super) async fn make(
    State(options): State<Options>,
    body: bytes::Bytes,
) -> Result<Json<Value>, Problem> {
    let wanted: Wanted = super::replay::parse(&body)?;
    let name = wanted.name.unwrap_or_else(|| format!("backup-{}", options.clock.now_ms()));
    // A name, so that no path leads elsewhere.
    let name: Name = name.parse().map_err(|error| Problem::invalid(format!("{name}: {error}")))?;
    let (dir, store) = (options.backups.clone(), options.store.clone());
    let to: PathBuf = dir.join(name.as_str());
    if to.exists() {
        return Err(Problem::conflict(format!("there is a backup `{name}` already")));
    }
    let path = to.display().to_string();
    let made = super::events::blocking(move || {
        std::fs::create_dir_all(&dir)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", dir.display()).into()))?;
        store.backup(&to)
    });
    let made = made.await?;
    tracing::info!(path, bytes = made.bytes, events = made.events, "a backup is made");
    Ok(Json(json!({ "path": path, "bytes": made.bytes, "events": made.events })))
}
