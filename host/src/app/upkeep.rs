//! What the metrics need beside a scrape: their histograms taken in, and the samples of the last hour.
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{Interval, MissedTickBehavior};

use hookwright_admin::{Recent, STEP_MS};
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_store::Queries;

/// How often the metrics' histograms are taken in.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder's histograms grow until they are taken in, which a scrape
/// does too; a host that nobody scrapes does it here.
pub(super) fn take_in(metrics: PrometheusHandle, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.spawn("metrics", async move {
        let mut ticks = every(UPKEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => metrics.run_upkeep(),
            }
        }
    });
}

/// Takes the figures of the last hour for the admin side.
pub(super) fn sample(
    metrics: PrometheusHandle,
    recent: Recent,
    queries: Arc<dyn Queries>,
    clock: Clock,
    tasks: &Tasks,
) {
    let stop = tasks.stopping();
    tasks.spawn("recent", async move {
        let mut ticks = every(Duration::from_millis(STEP_MS));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let rows = queries.backlog().await.unwrap_or_default();
            let waiting = rows.iter().map(|row| row.waiting).sum();
            recent.sample(&metrics.render(), waiting, clock.now_ms());
        }
    });
}

fn every(time: Duration) -> Interval {
    let mut ticks = tokio::time::interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
