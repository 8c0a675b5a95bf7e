//! The admin side: API, console, metrics and health, on a port of its own.
#![deny(missing_docs)]
mod access;
pub mod alerts;
mod assets;
mod audit;
mod backup;
mod bounds;
mod caller;
mod control;
mod deliveries;
mod destinations;
mod events;
mod feed;
mod health;
mod log;
mod openapi;
mod params;
mod plugins;
mod problem;
mod recent;
mod reload;
mod replay;
mod replays;
pub mod retention;
mod sources;
mod stats;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hookwright_model::Scope;
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_store::{AuditLog, Maintenance, Queries, WorkQueue};
use hookwright_telemetry::Levels;

pub use access::Tokens;
pub use bounds::Bounds;
pub use control::{
    CandidateStatus, Control, DestinationStatus, LastAttempt, LastRejected, PluginStatus, Preview,
    PreviewFuture, PreviewRefused, QuarantineStatus, ReloadFuture, ReloadRefused, Reloaded,
    SettingsMistake, SourceStatus, Switch,
};
pub use recent::{Recent, STEP_MS};

pub use replays::Replays;

/// What the admin side works with.
#[derive(Clone)]
pub struct Options {
    /// Asked of every request but those to `/healthz`, `/readyz` and the pages
    /// themselves. None: only requests that name this machine as their host
    /// are answered.
    pub tokens: Tokens,
    /// Lists, searches, the feed and the counts.
    pub queries: Arc<dyn Queries>,
    /// Takes replays, and discards what waits.
    pub work_queue: Arc<dyn WorkQueue>,
    /// The size and the health of the store, and its backups.
    pub maintenance: Arc<dyn Maintenance>,
    /// What is under way, by token and address.
    pub bounds: Bounds,
    /// Where changes are written down.
    pub audit: Arc<AuditLog>,
    /// What was begun runs to its end here, though its client goes away.
    pub tasks: Tasks,
    /// The parts that know of lanes and plugins.
    pub control: Arc<dyn Control>,
    /// The bulk replays.
    pub replays: Replays,
    /// The time, for pages that begin now and for ages.
    pub clock: Clock,
    /// Where backups go: a folder for each.
    pub backups: PathBuf,
    /// None where the process has no recorder.
    pub metrics: Option<PrometheusHandle>,
    /// Filled by whoever has the recorder.
    pub recent: Recent,
    /// None where the process has no log set-up.
    pub log: Option<Levels>,
}

/// So that each operation takes by its type what it uses, and no more: `State<Arc<dyn Queries>>`.
macro_rules! handed_out {
    ($($field:ident: $part:ty),* $(,)?) => {
        $(impl FromRef<Options> for $part {
            fn from_ref(options: &Options) -> Self {
                options.$field.clone()
            }
        })*
    };
}

handed_out! {
    tokens: Tokens,
    queries: Arc<dyn Queries>,
    work_queue: Arc<dyn WorkQueue>,
    maintenance: Arc<dyn Maintenance>,
    bounds: Bounds,
    control: Arc<dyn Control>,
    replays: Replays,
    clock: Clock,
    metrics: Option<PrometheusHandle>,
    recent: Recent,
    log: Option<Levels>,
}

type Routes = OpenApiRouter<Options>;

/// What only tells.
fn reading() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(events::list))
        .routes(routes!(events::show))
        .routes(routes!(events::body))
        .routes(routes!(deliveries::list))
        .routes(routes!(feed::feed))
        .routes(routes!(stream::stream))
        .routes(routes!(replays::list))
        .routes(routes!(replays::show_one))
        .routes(routes!(sources::list))
        .routes(routes!(sources::rejected))
        .routes(routes!(destinations::list))
        .routes(routes!(plugins::list))
        .routes(routes!(stats::show))
        .routes(routes!(stats::series))
        .routes(routes!(access::show))
        .routes(routes!(log::show))
}

/// What costs a call of the plugins and changes nothing.
fn trying() -> Routes {
    OpenApiRouter::new().routes(routes!(replay::preview))
}

/// What is in the audit log afterwards, by the scope that it takes.
fn replaying() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(replay::replay))
        .routes(routes!(replays::create))
        .routes(routes!(replays::stop))
        .routes(routes!(replays::resume))
}

fn changing() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(destinations::enable))
        .routes(routes!(destinations::disable))
        .routes(routes!(destinations::pause))
        .routes(routes!(destinations::close_breaker))
        .routes(routes!(destinations::discard))
        .routes(routes!(backup::make))
        .routes(routes!(log::change))
        .routes(routes!(reload::reload))
}

/// What only an administrator may see.
fn overseeing() -> Routes {
    OpenApiRouter::new().routes(routes!(audit::list))
}

/// All of the API; `layered` sees each part with the scope that it takes, and
/// whether it changes something.
fn api(layered: impl Fn(Routes, Scope, bool) -> Routes) -> Routes {
    let parts = [
        (reading(), Scope::Read, false),
        (trying(), Scope::Replay, false),
        (replaying(), Scope::Replay, true),
        (changing(), Scope::Admin, true),
        (overseeing(), Scope::Admin, false),
    ];
    let mut all = OpenApiRouter::new();
    for (mut part, scope, changes) in parts {
        openapi::guarded(part.get_openapi_mut(), scope);
        all = all.merge(layered(part, scope, changes));
    }
    OpenApiRouter::with_openapi(openapi::head()).nest("/api/v1", all)
}

/// The document of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api(|part, _, _| part).into_openapi()
}

/// The whole admin side as one service.
pub fn router(options: Options) -> Router {
    let layered = |part: Routes, scope, changes| {
        if changes {
            // It looks at the scope itself, so that a refused change is written down too.
            part.layer(from_fn_with_state((options.clone(), scope), audit::keep))
        } else {
            part.layer(from_fn_with_state(scope, access::need))
        }
    };
    let (api, document) = api(layered).split_for_parts();
    let document = serde_json::to_string(&document).expect("texts and numbers are JSON");
    let metrics = get(health::metrics).layer(from_fn_with_state(Scope::Read, access::need));
    let guarded =
        api.route("/metrics", metrics).layer(from_fn_with_state(options.clone(), access::check));
    Router::new()
        .merge(guarded)
        .merge(assets::router(document.into()))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(problem::not_found)
        .layer(map_response(problem::uniform))
        .with_state(options)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_says_its_scope_what_it_does_and_how_it_refuses() {
        let document = serde_json::to_value(super::openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut count = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/api/v1/"), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                count += 1;
                let scope = operation["security"][0]["token"][0].as_str();
                let reads = matches!(scope, Some("read"))
                    || path == "/api/v1/audit"
                    || path.ends_with("/preview");
                assert_eq!(reads, method == "get" || path.ends_with("/preview"), "{path}");
                assert!(operation["summary"].is_string(), "{path}");
                assert!(operation["operationId"].as_str().unwrap().contains('_'), "{path}");
                assert!(operation["responses"]["default"].is_object(), "{path}");
            }
        }
        assert!(count >= 18, "{count}");
    }
}
