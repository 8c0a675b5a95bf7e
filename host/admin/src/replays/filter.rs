//! Which events a bulk replay takes.
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::params::Millis;
use hookwright_model::{DeliveryState, EventId, EventState};
use hookwright_store::EventQuery;

/// Which events a bulk replay takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayFilter)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    source: Option<String>,
    kind: Option<String>,
    destination: Option<String>,
    state: Option<EventState>,
    delivery: Option<DeliveryState>,
    /// Not before, milliseconds since 1970.
    since: Option<Millis>,
    /// Before, milliseconds since 1970.
    until: Option<Millis>,
    /// Only events older than this one.
    before: Option<EventId>,
    /// How many in all.
    #[schema(minimum = 1)]
    pub(super) limit: Option<usize>,
}

impl Filter {
    /// All that is dead for the destination and was accepted since then.
    pub(super) fn dead_of(destination: String, since_ms: u64) -> Self {
        Self {
            destination: Some(destination),
            delivery: Some(DeliveryState::Dead),
            since: Some(Millis(since_ms)),
            ..Self::default()
        }
    }

    /// Gives it two ends, where it has none or later ones.
    pub(super) fn within(&mut self, since_ms: u64, until_ms: u64) {
        self.since.get_or_insert(Millis(since_ms));
        self.until = Some(Millis(self.until.map_or(until_ms, |until| until.0.min(until_ms))));
    }

    /// From and until, milliseconds since 1970.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.since.map_or(0, |ms| ms.0), self.until.map_or(u64::MAX, |ms| ms.0))
    }

    /// What it asks of a delivery.
    pub(super) fn of_delivery(&self) -> (Option<&str>, Option<DeliveryState>) {
        (self.destination.as_deref(), self.delivery)
    }

    /// Whether it asks for everything: the cursor and the limit choose nothing.
    pub(super) fn is_open(&self) -> bool {
        let words = [&self.source, &self.kind, &self.destination];
        words.iter().all(|word| word.is_none())
            && (self.state, self.delivery) == (None, None)
            && (self.since, self.until) == (None, None)
    }

    pub(super) fn query(&self) -> EventQuery {
        EventQuery {
            source: self.source.clone(),
            kind: self.kind.clone(),
            destination: self.destination.clone(),
            state: self.state,
            delivery: self.delivery,
            since_ms: self.since.map(|ms| ms.0),
            until_ms: self.until.map(|ms| ms.0),
            before: self.before,
            ..EventQuery::default()
        }
    }
}
