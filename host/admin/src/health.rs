//! Health and metrics.
use std::collections::HashSet;
use std::sync::Arc;

use ::metrics::gauge;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;

use super::control::Control;
use super::problem::Problem;
use hookwright_model::clock::Clock;
use hookwright_model::metrics as names;
use hookwright_store::{Backlog, Maintenance, Queries};

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The host takes events: the store writes, and no stop was asked for. What of
/// the store is damaged is said too; events are taken all the same.
pub(super) async fn readyz(
    State(maintenance): State<Arc<dyn Maintenance>>,
    State(control): State<Arc<dyn Control>>,
) -> Response {
    match maintenance.healthy() && control.ready() {
        true => {
            let faults = maintenance.faults().await.unwrap_or_default();
            let lines = faults.into_iter().map(|fault| format!("but: {}\n", fault.what));
            let text = std::iter::once("ready\n".to_owned()).chain(lines).collect::<String>();
            (StatusCode::OK, text).into_response()
        }
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// Prometheus text. What is cheap to read and dear to follow is read here.
pub(super) async fn metrics(
    State(queries): State<Arc<dyn Queries>>,
    State(maintenance): State<Arc<dyn Maintenance>>,
    State(control): State<Arc<dyn Control>>,
    State(clock): State<Clock>,
    State(recorder): State<Option<PrometheusHandle>>,
) -> Result<Response, Problem> {
    let backlog = queries.backlog().await?;
    let usage = maintenance.usage().await?;
    let now_ms = clock.now_ms();
    let known = control.destinations().into_iter().map(|one| one.name).collect();
    for row in by_series(backlog, &known) {
        let labels = [("destination", row.destination)];
        gauge!(names::BACKLOG, &labels).set(row.waiting as f64);
        let age_ms = row.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest));
        gauge!(names::OLDEST_SECONDS, &labels).set(age_ms as f64 / 1_000.0);
    }
    gauge!(names::STORE_BYTES).set(usage.bytes as f64);
    let text = recorder.map(|handle| handle.render()).unwrap_or_default();
    let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}

/// Rows for so many destinations that the settings do not have keep series of their
/// own: a few that were removed.
const STRANGERS: usize = 100;
/// What the others are told under; no destination may be called so.
const OTHERS: &str = "(other)";

/// A row for each series. Who sent what to where is in the rows for as long as they
/// wait, and a series for each name would be without bound.
fn by_series(mut backlog: Vec<Backlog>, known: &HashSet<String>) -> Vec<Backlog> {
    backlog.sort_by(|a, b| a.destination.cmp(&b.destination));
    let mut strangers = 0;
    let mut others: Option<Backlog> = None;
    backlog.retain(|row| {
        strangers += usize::from(!known.contains(&row.destination));
        if known.contains(&row.destination) || strangers <= STRANGERS {
            return true;
        }
        let others = others.get_or_insert_with(|| Backlog {
            destination: OTHERS.to_owned(),
            ..Backlog::default()
        });
        others.waiting += row.waiting;
        others.dead += row.dead;
        others.oldest_ms = others.oldest_ms.into_iter().chain(row.oldest_ms).min();
        false
    });
    backlog.extend(others);
    // One that never had a delivery has a backlog, too: of none.
    let told: HashSet<&str> = backlog.iter().map(|row| row.destination.as_str()).collect();
    let silent = known.iter().filter(|name| !told.contains(name.as_str()));
    let silent = silent.map(|name| Backlog { destination: name.clone(), ..Backlog::default() });
    let silent: Vec<Backlog> = silent.collect();
    backlog.extend(silent);
    backlog
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault: 64,000 series, and a scrape of 1.4 s.
    #[test]
    fn regression_destinations_that_nobody_has_share_a_series() {
        let row = |number: u64| Backlog {
            destination: format!("d{number:05}"),
            waiting: 2,
            dead: 1,
            oldest_ms: Some(1_000_000 - number),
        };
        let known = HashSet::from(["d60000".to_owned()]);
        let all = by_series((0..64_000).rev().map(row).collect(), &known);
        assert_eq!(all.len(), STRANGERS + 2);
        assert!(all.iter().any(|row| row.destination == "d60000" && row.waiting == 2));
        let last = all.last().unwrap();
        assert_eq!((last.destination.as_str(), last.waiting), (OTHERS, 2 * (64_000 - 101)));
        assert_eq!(last.oldest_ms, Some(1_000_000 - 63_999));
        assert!(OTHERS.parse::<hookwright_model::Name>().is_err());
    }
}
