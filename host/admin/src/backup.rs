//! Backups: a copy of the store in a folder of the host's own, made while it runs.
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Options;
use super::params::document;
use super::problem::Problem;
use hookwright_model::Name;
use hookwright_store::StoreError;

/// Which backup to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Backup)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The folder's name; none: the time, `backup-1700000000000`.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackedUp)]
pub(super) struct Made {
    /// On the host's machine.
    path: String,
    bytes: u64,
    events: u64,
}

/// Back up the store
///
/// Copies it while the host runs, and answers once the copy is whole and on
/// the disk.
#[utoipa::path(post, path = "/backups", tag = "host", operation_id = "make_backup",
    request_body(content = inline(Option<Request>)), responses((status = 200, body = Made)))]
pub(super) async fn make(
    State(options): State<Options>,
    body: bytes::Bytes,
) -> Result<Json<Made>, Problem> {
    let request: Request = document(&body)?;
    let name = request.name.unwrap_or_else(|| format!("backup-{}", options.clock.now_ms()));
    // A name, so that no path leads elsewhere.
    let name: Name = name.parse().map_err(|error| Problem::invalid(format!("{name}: {error}")))?;
    let dir = options.backups.clone();
    let to: PathBuf = dir.join(name.as_str());
    if to.exists() {
        return Err(Problem::conflict(format!("there is a backup `{name}` already")));
    }
    let path = to.display().to_string();
    let dir_made = super::events::blocking(move || {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| StoreError::Failed(format!("{}: {error}", dir.display()).into()))
    });
    dir_made.await?;
    let made = options.maintenance.backup(&to).await?;
    tracing::info!(path, bytes = made.bytes, events = made.events, "a backup is made");
    Ok(Json(Made { path, bytes: made.bytes, events: made.events }))
}
