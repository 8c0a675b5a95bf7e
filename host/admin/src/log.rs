//! What the host logs, changed while it runs.
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::params::document;
use super::problem::Problem;
use hookwright_telemetry::Levels;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LogFilter)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or one with
    /// others by target: `info,hookwright::delivery=debug`.
    // Spans and fields may stand in a filter, too; the document does not promise them.
    #[schema(
        max_length = 1024,
        pattern = "^([a-z_][a-z0-9_]*(::[a-z_][a-z0-9_]*)*=)?(error|warn|info|debug|trace|off)(,([a-z_][a-z0-9_]*(::[a-z_][a-z0-9_]*)*=)?(error|warn|info|debug|trace|off))*$"
    )]
    filter: String,
}

/// Show what is logged
///
/// The active filter.
#[utoipa::path(get, path = "/log", tag = "host", operation_id = "show_log",
    responses((status = 200, body = Filter)))]
pub(super) async fn show(State(levels): State<Option<Levels>>) -> Result<Json<Filter>, Problem> {
    Ok(Json(Filter { filter: known(levels)?.filter() }))
}

/// Change what is logged
///
/// Until the next start, or until the settings have another `[log] level`.
#[utoipa::path(post, path = "/log", tag = "host", operation_id = "change_log",
    request_body(content = inline(Filter)), responses((status = 200, body = Filter)))]
pub(super) async fn change(
    State(levels): State<Option<Levels>>,
    body: bytes::Bytes,
) -> Result<Json<Filter>, Problem> {
    let request: Option<Filter> = document(&body)?;
    let request = request.ok_or_else(|| Problem::invalid("send `{\"filter\": \"info\"}`"))?;
    let levels = known(levels)?;
    levels.set(&request.filter).map_err(|error| Problem::invalid(error.to_string()))?;
    tracing::info!(filter = request.filter, "another log filter is active");
    Ok(Json(Filter { filter: levels.filter() }))
}

fn known(levels: Option<Levels>) -> Result<Levels, Problem> {
    levels.ok_or_else(|| Problem::missing("this process has no log set-up"))
}
