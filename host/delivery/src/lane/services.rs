//! What all lanes have in common: the store, the clock, and the ends of attempts.
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_store::{Conditions, WorkQueue};
use hookwright_telemetry::traces::Spans;

/// How long a lane waits after the store failed, in milliseconds.
pub(crate) const STORE_PAUSE_MS: u64 = 1_000;

/// What every lane uses and none of them owns. The handle makes it once, at the start.
pub(crate) struct Services {
    /// Where due deliveries are claimed and outcomes handed in.
    pub(crate) queue: Arc<dyn WorkQueue>,
    /// Where what is remembered of a destination is written down.
    pub(crate) conditions: Arc<dyn Conditions>,
    pub(crate) clock: Clock,
    /// Runs lanes, polls and writes of conditions.
    pub(crate) tasks: Tasks,
    /// Runs attempts, so that the end can wait for them alone.
    pub(crate) attempts: TaskTracker,
    /// Attempts run there, from whatever thread they begin.
    pub(crate) runtime: tokio::runtime::Handle,
    /// No new attempts.
    pub(crate) stop: CancellationToken,
    /// No attempts at all.
    pub(crate) cut: CancellationToken,
    /// Takes the spans of attempts; none: nothing does.
    pub(crate) traces: Option<Arc<Spans>>,
}
