//! Stored event → plugins in order → delivery rows.
//!
//! One lane a source, so that a source whose plugins are slow delays only
//! itself. What does not fit into a lane's memory is read from the rows later.
mod lane;
mod pipeline;
mod suspect;
mod wait;
mod work;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use hookwright_model::clock::{Clock, millis};
use hookwright_model::plugin::OnFailure;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, Name, Order, Rules};
use hookwright_plugins::{Aim, Plugins, Suspect, Target};
use hookwright_store::{Routed, WorkQueue};
use hookwright_telemetry::traces::Spans;

use lane::Lane;

/// One plugin in a source's list.
#[derive(Debug, Clone)]
pub struct Step {
    pub plugin: Name,
    pub on_failure: OnFailure,
}

/// How the events of one source are routed.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    steps: Vec<Step>,
    /// The steps' plugins, as the engine wants them.
    plugins: Vec<Name>,
    destinations: Vec<Name>,
    first_waits: Arc<FirstWaits>,
    /// What an event must look like, or it is parked.
    rules: Option<Arc<Rules>>,
    orders: Arc<Orders>,
    /// The destinations of the settings; none: plugins may name any.
    known: Option<Arc<Known>>,
    /// Some destination that it may choose wants an order.
    in_turn: bool,
    /// The source waits for what its plugins answer.
    answers: bool,
}

/// The destinations that want an order.
pub type Orders = HashMap<Name, Order>;

/// The destinations of the settings.
pub type Known = HashSet<Name>;

/// How long a destination's first attempt waits, where it does.
pub type FirstWaits = HashMap<Name, Duration>;

impl Pipeline {
    /// `destinations` are for what no plugin routed.
    pub fn new(steps: Vec<Step>, destinations: Vec<Name>, first_waits: Arc<FirstWaits>) -> Self {
        let plugins = steps.iter().map(|step| step.plugin.clone()).collect();
        Self {
            steps,
            plugins,
            destinations,
            first_waits,
            rules: None,
            orders: Arc::default(),
            known: None,
            in_turn: false,
            answers: false,
        }
    }

    /// The source's requests wait for what its plugins answer.
    #[must_use]
    pub fn answers(self, answers: bool) -> Self {
        Self { answers, ..self }
    }

    /// Events are routed one after the other where a destination that they may
    /// go to wants an order: what a slow plugin still has in hand must not be
    /// overtaken.
    #[must_use]
    pub fn ordered(mut self, orders: Arc<Orders>) -> Self {
        let own = |destination: &Name| orders.contains_key(destination);
        let may_choose = !self.steps.is_empty() && !orders.is_empty();
        self.in_turn = may_choose || self.destinations.iter().any(own);
        self.orders = orders;
        self
    }

    /// What a delivery is ordered by; `key` is a plugin's.
    fn order_key(&self, event: &Event, destination: &Name, key: Option<&str>) -> Option<Box<str>> {
        if !self.in_turn {
            return None;
        }
        match self.orders.get(destination)? {
            Order::Source => Some(event.source.as_str().into()),
            // A name holds no slash, so no two kinds of keys are alike.
            Order::Key => key.map(|key| format!("{}/{key}", event.source).into()),
        }
    }

    /// An event that a plugin sends anywhere else is parked: nobody would ever send
    /// its deliveries, and a row, a metric and a place in memory for each name would
    /// be the plugin's to make.
    #[must_use]
    pub fn known(self, known: Arc<Known>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Why the event can't go where the plugin sends it.
    fn unknown(&self, plugin: &Name, targets: &[Target]) -> Option<String> {
        let known = self.known.as_ref()?;
        let name = |target: &Target| {
            (!known.contains(&target.destination)).then(|| format!("`{}`", target.destination))
        };
        let mut unknown = targets.iter().filter_map(name);
        let mut named: Vec<String> = unknown.by_ref().take(NAMED).collect();
        match unknown.count() {
            0 => {}
            more => named.push(format!("{more} more")),
        }
        (!named.is_empty()).then(|| format!(
            "{plugin}: chose {}, which the settings have no destination for: add it to `[destinations]`, or mend the plugin, and replay the event",
            named.join(", ")
        ))
    }

    /// An event that is not so is parked before any plugin sees it; a replay
    /// checks it again.
    #[must_use]
    pub fn park_unless(mut self, rules: Arc<Rules>) -> Self {
        self.rules = Some(rules);
        self
    }

    fn due_ms(&self, destination: &Name, now_ms: u64) -> u64 {
        let wait = self.first_waits.get(destination).copied().unwrap_or_default();
        now_ms.saturating_add(millis(wait))
    }
}

pub type Pipelines = HashMap<Name, Pipeline>;

/// What every lane works with.
struct Parts {
    plugins: Plugins,
    store: Arc<dyn WorkQueue>,
    replies: Replies,
    clock: Clock,
    traces: Option<Arc<Spans>>,
    runtime: tokio::runtime::Handle,
}

/// Previews under way or waiting, at most; those beyond are refused.
const PREVIEWS: usize = 16;
/// Previews that ask plugins at a time.
const PREVIEW_TURNS: usize = 4;
/// Unknown destinations that a reason names.
const NAMED: usize = 3;

struct Previews {
    places: Semaphore,
    turns: Semaphore,
}

/// Why there is no preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewRefused {
    /// The settings no longer have the event's source.
    NoSource,
    /// As many as may be are under way.
    Busy,
}

/// The routing stage. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    parts: Arc<Parts>,
    previews: Arc<Previews>,
    lanes: Arc<ArcSwap<HashMap<Name, Arc<Lane>>>>,
    tasks: Tasks,
}

impl Router {
    /// Starts a lane for each source and resumes what the rows hold. Needs a running runtime.
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
            parts: Arc::new(Parts { plugins, store, replies, clock, traces, runtime }),
            previews: Arc::new(Previews {
                places: Semaphore::new(PREVIEWS),
                turns: Semaphore::new(PREVIEW_TURNS),
            }),
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

    /// Something in the rows changed (a replay): look there.
    pub fn stir(&self) {
        for lane in self.lanes.load().values() {
            lane.stir();
        }
    }

    /// What routing would come to now; nothing is recorded, and what plugins
    /// would keep is forgotten.
    ///
    /// # Errors
    /// Where nobody is asked.
    pub async fn preview(&self, event: &Arc<Event>) -> Result<Routed, PreviewRefused> {
        let pipeline = match self.lanes.load().get(&event.source) {
            Some(lane) => lane.pipeline(),
            None => return Err(PreviewRefused::NoSource),
        };
        // Each holds its event in memory, also while it waits.
        let Ok(_place) = self.previews.places.try_acquire() else {
            return Err(PreviewRefused::Busy);
        };
        let Ok(_turn) = self.previews.turns.acquire().await else {
            return Err(PreviewRefused::Busy);
        };
        // One that may kill the host waits for its turn among its like, and stays a suspect.
        let suspect = self.parts.plugins.suspect(event.id).await;
        if let Some(why) = suspect.as_ref().and_then(Suspect::guilty) {
            return Ok(pipeline::parked(event.clone(), why.to_owned()));
        }
        let turn = pipeline::Turn { replay: true, aim: Aim::Preview, tries: 0 };
        let pipeline::Outcome { routed, changes, reply: _ } =
            pipeline::run(&pipeline, &self.parts, event, turn).await;
        drop(changes);
        Ok(routed)
    }

    /// Puts new pipelines in force. The lane of a source that is gone stays
    /// closed: what it holds is routed to its end, and its rows are kept.
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
                    let parts = self.parts.clone();
                    let lane = Lane::start(source.clone(), pipeline, parts, &self.tasks);
                    lanes.insert(source, lane);
                }
            }
        }
        self.lanes.store(Arc::new(lanes));
    }
}
