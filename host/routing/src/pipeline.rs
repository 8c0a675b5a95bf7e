//! How the events of one source are routed: its plugins in order, its destinations, and their order.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::clock::millis;
use hookwright_model::plugin::OnFailure;
use hookwright_model::{Event, Name, Order, Rules};
use hookwright_plugins::Target;

/// The most unknown destinations that a reason names.
const NAMED: usize = 3;

/// One plugin in a source's list.
#[derive(Debug, Clone)]
pub struct Step {
    /// The plugin's name in the settings.
    pub plugin: Name,
    /// What happens to an event that it could not handle.
    pub on_failure: OnFailure,
}

/// How the events of one source are routed.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    pub(super) steps: Vec<Step>,
    /// The steps' plugins, in the engine's form.
    pub(super) plugins: Vec<Name>,
    /// The destinations of events that no plugin routed.
    pub(super) destinations: Vec<Name>,
    first_waits: Arc<FirstWaits>,
    /// The rules that an event must follow; one that breaks them is parked.
    pub(super) rules: Option<Arc<Rules>>,
    orders: Arc<Orders>,
    /// The destinations of the settings; none: plugins may name any.
    known: Option<Arc<Known>>,
    /// Whether a destination that it may choose requires an order.
    pub(super) in_turn: bool,
    /// Whether the source waits for a plugin's response.
    pub(super) answers: bool,
}

/// The destinations that require an order.
pub type Orders = HashMap<Name, Order>;

/// The destinations of the settings.
pub type Known = HashSet<Name>;

/// How long the first attempt of a destination waits, for destinations with such a delay.
pub type FirstWaits = HashMap<Name, Duration>;

impl Pipeline {
    /// A pipeline without rules or orders. `destinations` are for events that no plugin routed.
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

    /// Makes the source's requests wait for a plugin's response.
    #[must_use]
    pub fn answers(self, answers: bool) -> Self {
        Self { answers, ..self }
    }

    /// Events are routed one after the other if a destination that they may
    /// go to requires an order: later events must not overtake one that a slow
    /// plugin is still handling.
    #[must_use]
    pub fn ordered(mut self, orders: Arc<Orders>) -> Self {
        let own = |destination: &Name| orders.contains_key(destination);
        let may_choose = !self.steps.is_empty() && !orders.is_empty();
        self.in_turn = may_choose || self.destinations.iter().any(own);
        self.orders = orders;
        self
    }

    /// The order key of a delivery; `key` is the one that a plugin gave.
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
            // A name has no slash, so the two kinds of keys can't collide.
            Order::Key => key.map(|key| format!("{}/{key}", event.source).into()),
        }
    }

    /// Parks an event that a plugin sends to a destination outside the settings: its deliveries would
    /// never be sent, and a plugin could create any number of rows, metrics and entries in
    /// memory, one for each name.
    #[must_use]
    pub fn known(self, known: Arc<Known>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Why the event can't go to the destinations that the plugin chose; none if it can.
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
