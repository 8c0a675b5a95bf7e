//! Health and metrics.
use ::metrics::gauge;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::Options;
use super::events::blocking;
use super::problem::Problem;
use crate::metrics as names;

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The host takes events: the store writes, and no stop was asked for.
pub(super) async fn readyz(State(options): State<Options>) -> Response {
    match options.store.healthy() && options.control.ready() {
        true => (StatusCode::OK, "ready\n").into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// Prometheus text. What is cheap to read and dear to follow is read here.
pub(super) async fn metrics(State(options): State<Options>) -> Result<Response, Problem> {
    let store = options.store.clone();
    let (backlog, usage) = blocking(move || Ok((store.backlog()?, store.usage()?))).await?;
    let now_ms = options.clock.now_ms();
    for row in backlog {
        let labels = [("destination", row.destination)];
        gauge!(names::BACKLOG, &labels).set(row.waiting as f64);
        let age_ms = row.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest));
        gauge!(names::OLDEST_SECONDS, &labels).set(age_ms as f64 / 1_000.0);
    }
    gauge!(names::STORE_BYTES).set(usage.bytes as f64);
    let text = options.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}
