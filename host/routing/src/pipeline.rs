//! How the events of one source are routed: its plugins in order, its destinations, and their order.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::clock::millis;
use hookwright_model::plugin::OnFailure;
use hookwright_model::{Event, Name, Order, Rules};
use hookwright_plugins::Target;

/// Unknown destinations that a reason names.
const NAMED: usize = 3;

/// One plugin in a source's list.
#[derive(Debug, Clone)]
pub struct Step {
    /// The plugin's name in the settings.
    pub plugin: Name,
    /// What becomes of an event that it could not handle.
    pub on_failure: OnFailure,
}

/// How the events of one source are routed.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    pub(super) steps: Vec<Step>,
    /// The steps' plugins, as the engine wants them.
    pub(super) plugins: Vec<Name>,
    /// Where events go that no plugin routed.
    pub(super) destinations: Vec<Name>,
    first_waits: Arc<FirstWaits>,
    /// What an event must look like, or it is parked.
    pub(super) rules: Option<Arc<Rules>>,
    orders: Arc<Orders>,
    /// The destinations of the settings; none: plugins may name any.
    known: Option<Arc<Known>>,
    /// Some destination that it may choose wants an order.
    pub(super) in_turn: bool,
    /// The source waits for what its plugins answer.
    pub(super) answers: bool,
}

/// The destinations that want an order.
pub type Orders = HashMap<Name, Order>;

/// The destinations of the settings.
pub type Known = HashSet<Name>;

/// How long a destination's first attempt waits, where it does.
pub type FirstWaits = HashMap<Name, Duration>;

impl Pipeline {
    /// A pipeline without rules or orders. `destinations` are for what no plugin routed.
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

    /// The order key of a delivery; `key` is a plugin's.
    pub(super) fn order_key(
        &self,
        event: &Event,
        destination: &Name,
        key: Option<&str>,
    ) -> Option<Box<str>> {
        if !self.in_turn {
            return None;
        }
        match self.orders.get(destination)? {
            Order::Source => Some(event.source.as_str().into()),
            // A name holds no slash, so no two kinds of keys are alike.
            Order::Key => key.map(|key| format!("{}/{key}", event.source).into()),
        }
    }

    /// Parks an event that a plugin sends to any other destination: nobody would ever send
    /// its deliveries, and the plugin could have any number of rows, metrics and places in
    /// memory made, one for each name.
    #[must_use]
    pub fn known(self, known: Arc<Known>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Why the event can't go where the plugin sends it.
    pub(super) fn unknown(&self, plugin: &Name, targets: &[Target]) -> Option<String> {
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

    /// Parks an event that breaks a rule before any plugin sees it; a replay
    /// checks it again.
    #[must_use]
    pub fn park_unless(mut self, rules: Arc<Rules>) -> Self {
        self.rules = Some(rules);
        self
    }

    pub(super) fn due_ms(&self, destination: &Name, now_ms: u64) -> u64 {
        let wait = self.first_waits.get(destination).copied().unwrap_or_default();
        now_ms.saturating_add(millis(wait))
    }
}

/// The pipelines of all sources.
pub type Pipelines = HashMap<Name, Pipeline>;
