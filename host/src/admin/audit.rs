//! Every request that changes something leaves a line in the audit log: who, what, when, and how it ended.
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Options;
use super::access::Caller;
use super::params::{Asked, Limit, Millis, Number};
use super::problem::Problem;
use crate::store::{AuditEntry, AuditQuery, Change};

/// The largest document of a request that changes something, in bytes.
const DOCUMENT: usize = 256 * 1024;
/// What the log keeps of a document, in bytes.
const KEPT: usize = 4 * 1024;

/// Wraps the routes that change something.
pub(super) async fn keep(
    State(options): State<Options>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let short = |path: &str| path.strip_prefix("/api/v1").unwrap_or(path).to_owned();
    let route = short(route.as_deref().unwrap_or(&path));
    let action = format!("{} {route}", request.method());
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, DOCUMENT).await.map_err(|_| Problem::too_large(DOCUMENT))?;
    let document = kept(&body);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let change = Change {
        who: caller.name,
        from: caller.address.map(|address| address.to_string()),
        action,
        path: short(&path),
        body: document,
        status: response.status().as_u16(),
    };
    let (log, at_ms) = (options.audit.clone(), options.clock.now_ms());
    let line = change.clone();
    let written = tokio::task::spawn_blocking(move || log.write(at_ms, line)).await;
    // The change is made: it can only be told elsewhere.
    if let Ok(Err(error)) = written {
        tracing::error!(%error, ?change, "the audit log can't be written");
    }
    Ok(response)
}

fn kept(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(document) if body.len() <= KEPT => document,
        _ if body.trim_ascii().is_empty() => Value::Null,
        _ => format!("{} bytes", body.len()).into(),
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only by this token, `local` or `settings`.
    who: Option<String>,
    /// Only with this text in the action, `disable` for example.
    action: Option<String>,
    /// Not before, milliseconds since 1970.
    #[param(inline)]
    since: Option<Millis>,
    /// Before, milliseconds since 1970.
    #[param(inline)]
    until: Option<Millis>,
    /// Only entries with a smaller number: `next` of the page before.
    #[param(inline)]
    before: Option<Number>,
    #[param(inline)]
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Page {
    audit: Vec<AuditEntry>,
    /// `before` of the next page, where there is one.
    next: Option<u64>,
}

/// List the changes
///
/// Who changed what and when: every request that is no reading, also a refused
/// one, and every reload of the settings. Newest first.
#[utoipa::path(get, path = "/audit", tag = "host", operation_id = "list_audit",
    params(Wanted), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(options): State<Options>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page>, Problem> {
    let query = AuditQuery {
        who: wanted.who,
        action: wanted.action,
        since_ms: wanted.since.map(|ms| ms.0),
        until_ms: wanted.until.map(|ms| ms.0),
        before: wanted.before.map(|number| number.0),
        limit: wanted.limit.unwrap_or_default().0,
    };
    let log = Arc::clone(&options.audit);
    let read = tokio::task::spawn_blocking(move || log.list(&query)).await;
    let (audit, next) = read.map_err(Problem::broken)?.map_err(Problem::broken)?;
    Ok(Json(Page { audit, next }))
}
