//! The parts that every lane of the router works with.
use std::sync::Arc;

use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_plugins::Plugins;
use hookwright_store::WorkQueue;
use hookwright_telemetry::traces::Spans;

/// What every lane works with.
pub(super) struct Services {
    pub(super) plugins: Plugins,
    pub(super) store: Arc<dyn WorkQueue>,
    pub(super) replies: Replies,
    pub(super) clock: Clock,
    pub(super) traces: Option<Arc<Spans>>,
    pub(super) runtime: tokio::runtime::Handle,
}
