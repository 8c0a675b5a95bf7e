//! Every request that changes something leaves a line in the audit log: who, what, when, and how it ended.
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use axum::Extension;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::Options;
use super::caller::Caller;
use super::params::{Limit, Millis, Number, Query};
use super::problem::Problem;
use hookwright_model::Scope;
use hookwright_model::metrics::STORE_ERRORS;
use hookwright_store::{AuditEntry, AuditPage, AuditQuery, Change};

/// The largest document of a request that changes something, in bytes.
const DOCUMENT: usize = 256 * 1024;
/// For the whole document to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What the log keeps of a document, in bytes.
const KEPT: usize = 4 * 1024;

/// Wraps the routes that change something and take that scope. What is to be done is on the disk before it begins; then
/// it runs to its end and is written down, though the client goes away.
pub(super) async fn keep(
    State((options, scope)): State<(Options, Scope)>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let short = |path: &str| path.strip_prefix("/api/v1").unwrap_or(path).to_owned();
    let route = short(route.as_deref().unwrap_or(&path));
    let mut change = Change {
        who: caller.name.clone(),
        from: caller.address.map(|address| address.to_string()),
        action: format!("{} {route}", request.method()),
        path: short(&path),
        body: Value::Null,
    };
    if caller.scope < scope {
        let problem = Problem::scope(&caller.name, caller.scope, scope);
        let status = problem.status().as_u16();
        let log = options.clone();
        let noted = on_disk(&options, move |at_ms| log.audit.note(at_ms, change, status));
        report(noted.await);
        return Err(problem);
    }
    let (parts, body) = request.into_parts();
    let body =
        timeout(BODY_TIMEOUT, to_bytes(body, DOCUMENT)).await.map_err(|_| Problem::slow())?;
    let body = body.map_err(|_| Problem::too_large(DOCUMENT))?;
    change.body = kept(&body);
    let request = Request::from_parts(parts, Body::from(body));
    let tasks = options.tasks.clone();
    let done = tasks.spawn_piece(async move {
        let log = options.clone();
        let begun = on_disk(&options, move |at_ms| log.audit.begin(at_ms, change)).await;
        let number = begun.map_err(Problem::unaudited)?;
        // On its own, so that a panic is written down as well.
        let response = match tokio::spawn(next.run(request)).await {
            Ok(response) => response,
            Err(panic) => Problem::broken(panic).into_response(),
        };
        let (log, status) = (options.clone(), response.status().as_u16());
        report(on_disk(&options, move |at_ms| log.audit.end(number, at_ms, status)).await);
        Ok(response)
    });
    done.await.map_err(Problem::broken)?
}

/// Runs what writes to the disk, with the time, on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    options: &Options,
    write: impl FnOnce(u64) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let at_ms = options.clock.now_ms();
    let written = tokio::task::spawn_blocking(move || write(at_ms)).await;
    let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    if written.is_err() {
        counter!(STORE_ERRORS, "part" => "audit").increment(1);
    }
    written
}

/// It is over: that its line is late can only be told.
fn report(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::error!(%error, "the audit log can't be written; the line waits in memory");
    }
}

fn kept(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(document) if body.len() <= KEPT => document,
        _ if body.trim_ascii().is_empty() => Value::Null,
        _ => format!("{} bytes", body.len()).into(),
    }
}

/// Which changes, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
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
    /// Lines on the way that can't be read: a full disk or a crash cut them off.
    broken: u64,
}

/// List the changes
///
/// Who changed what and when: every request that is no reading, also a refused
/// one, and every reload of the settings. Newest first. Each is written down
/// before it is done: one whose `status` is null is under way, or the host broke
/// off in between.
#[utoipa::path(get, path = "/audit", tag = "host", operation_id = "list_audit",
    params(Params), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(options): State<Options>,
    Query(params): Query<Params>,
) -> Result<Json<Page>, Problem> {
    let query = AuditQuery {
        who: params.who,
        action: params.action,
        since_ms: params.since.map(|ms| ms.0),
        until_ms: params.until.map(|ms| ms.0),
        before: params.before.map(|number| number.0),
        limit: params.limit.unwrap_or_default().0,
    };
    let log = Arc::clone(&options.audit);
    let read = tokio::task::spawn_blocking(move || log.list(&query)).await;
    let page = read.map_err(Problem::broken)?.map_err(Problem::broken)?;
    let AuditPage { entries, next, broken } = page;
    Ok(Json(Page { audit: entries, next, broken }))
}
