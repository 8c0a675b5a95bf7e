//! The routing stage: a lane for each source.
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::lane::Lane;
use super::pipeline::Pipelines;
use super::preview::{PreviewRefused, Previews};
use super::services::Services;
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, Name};
use hookwright_plugins::Plugins;
use hookwright_store::{Routed, WorkQueue};
use hookwright_telemetry::traces::Spans;

/// The routing stage: a lane for each source. The store hands it events, and the API asks it for previews.
/// Cheap to clone.
#[derive(Clone)]
pub struct Router {
    services: Arc<Services>,
    previews: Arc<Previews>,
    lanes: Arc<ArcSwap<HashMap<Name, Arc<Lane>>>>,
    tasks: Tasks,
}

impl Router {
    /// Starts a lane for each source and resumes the events in the rows. Needs a running runtime.
    pub fn start(
        pipelines: Pipelines,
        plugins: Plugins,
        store: Arc<dyn WorkQueue>,
        replies: Replies,
        clock: Clock,
        traces: Option<Arc<Spans>>,
        tasks: Tasks,
    ) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let router = Self {
            services: Arc::new(Services { plugins, store, replies, clock, traces, runtime }),
            previews: Arc::default(),
            lanes: Arc::default(),
            tasks,
        };
        router.reconfigure(pipelines);
        router
    }

    /// Takes events that were just made durable. Never blocks.
    pub fn accepted(&self, events: Vec<Arc<Event>>) {
        let lanes = self.lanes.load();
        let Some(first) = events.first() else { return };
        if events.iter().all(|event| event.source == first.source) {
            if let Some(lane) = lanes.get(&first.source) {
                lane.offer(events);
            }
            return;
        }
        let mut by_source: HashMap<Name, Vec<Arc<Event>>> = HashMap::new();
        for event in events {
            by_source.entry(event.source.clone()).or_default().push(event);
        }
        for (source, events) in by_source {
            if let Some(lane) = lanes.get(&source) {
                lane.offer(events);
            }
        }
    }

    /// Makes the lanes poll the rows, after a change there (a replay).
    pub fn wake(&self) {
        for lane in self.lanes.load().values() {
            lane.wake();
        }
    }

    /// The outcome that routing would have now; nothing is recorded, and plugins'
    /// writes to state are discarded.
    ///
    /// # Errors
    /// If the source is gone or too many previews are in flight.
    pub async fn preview(&self, event: &Arc<Event>) -> Result<Routed, PreviewRefused> {
        let pipeline = match self.lanes.load().get(&event.source) {
            Some(lane) => lane.pipeline(),
            None => return Err(PreviewRefused::NoSource),
        };
        self.previews.run(&pipeline, &self.services, event).await
    }

    /// Makes new pipelines active. The lane of a removed source stays
    /// closed: its events in flight are routed, and its rows are kept.
    pub fn reconfigure(&self, pipelines: Pipelines) {
        let old = self.lanes.load();
        for (source, lane) in old.iter() {
            if !pipelines.contains_key(source) {
                lane.close();
            }
        }
        let mut lanes = HashMap::clone(&old);
        for (source, pipeline) in pipelines {
            match lanes.get(&source) {
                Some(lane) => lane.set_pipeline(pipeline),
                None => {
                    let services = self.services.clone();
                    let lane = Lane::start(source.clone(), pipeline, services, &self.tasks);
                    lanes.insert(source, Arc::new(lane));
                }
            }
        }
        self.lanes.store(Arc::new(lanes));
    }
}
