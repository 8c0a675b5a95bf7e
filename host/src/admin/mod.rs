//! The admin side: API, console, metrics and health, on a port of its own.
mod access;
mod backup;
mod control;
mod events;
mod health;
mod problem;
mod replay;
mod replays;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::Clock;
use crate::signing::Secret;
use crate::store::Store;

pub use control::{
    CandidateStatus, Control, DestinationStatus, LastAttempt, LastRejected, PluginStatus,
    QuarantineStatus, SourceStatus, Switch,
};

pub use replays::Replays;

/// What the admin side works with.
#[derive(Clone)]
pub struct Options {
    /// Asked of every request but `/healthz` and `/readyz`. None: only requests
    /// that name this machine as their host are answered.
    pub token: Option<Secret>,
    pub store: Arc<dyn Store>,
    /// The parts that know of lanes and plugins.
    pub control: Arc<dyn Control>,
    pub replays: Replays,
    pub clock: Clock,
    /// Where backups go: a folder for each.
    pub backups: PathBuf,
    /// None where the process has no recorder.
    pub metrics: Option<PrometheusHandle>,
}

/// The console: one page, no request beyond the API.
const CONSOLE: &str = include_str!("console.html");
const CONSOLE_POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; \
     style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The whole admin side as one service.
pub fn router(options: Options) -> Router {
    let api = Router::new()
        .route("/events", get(events::list))
        .route("/events/{id}", get(events::show))
        .route("/events/{id}/body", get(events::body))
        .route("/events/{id}/replay", post(replay::replay))
        .route("/replays", get(replays::list).post(replays::create))
        .route("/replays/{id}", get(replays::show_one))
        .route("/replays/{id}/stop", post(replays::stop))
        .route("/replays/{id}/resume", post(replays::resume))
        .route("/backups", post(backup::make))
        .route("/sources", get(control::sources))
        .route("/sources/{name}/rejected", get(control::rejected))
        .route("/plugins", get(control::plugins))
        .route("/destinations", get(control::destinations))
        .route("/destinations/{name}/enable", post(control::enable))
        .route("/destinations/{name}/disable", post(control::disable))
        .route("/destinations/{name}/pause", post(control::pause))
        .route("/destinations/{name}/close-breaker", post(control::close_breaker))
        .route("/stats", get(control::stats))
        .route("/stream", get(stream::stream));
    let guarded = Router::new()
        .nest("/api/v1", api)
        .route("/metrics", get(health::metrics))
        .layer(axum::middleware::from_fn_with_state(options.clone(), access::check));
    Router::new()
        .merge(guarded)
        .route("/", get(console))
        .route("/console.js", get(|| asset("text/javascript", include_str!("console.js"))))
        .route("/console.css", get(|| asset("text/css", include_str!("console.css"))))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(problem::not_found)
        .layer(axum::middleware::map_response(problem::uniform))
        .with_state(options)
}

async fn console() -> impl axum::response::IntoResponse {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", CONSOLE_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ];
    (headers, CONSOLE)
}

async fn asset(kind: &'static str, text: &'static str) -> impl axum::response::IntoResponse {
    ([("content-type", kind), ("x-content-type-options", "nosniff")], text)
}
