//! One destination's settings, made ready for use.
use std::sync::Arc;
use std::time::Duration;

use super::health::HealthPolicy;
use crate::error::Problem;
use crate::kinds::{Environment, Kind, LaneOptions, factory};
use hookwright_model::retry::Policy;
use hookwright_model::{Name, Rate};
use hookwright_settings::{Batch, Destination};

/// What a lane sends by: the destination itself, made from its settings, and the
/// rules around it. The handle makes it at the start and at each reload; attempts
/// that are in flight keep theirs.
pub(crate) struct Settings {
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) policy: Policy,
    pub(crate) batch: Option<Batch>,
    pub(crate) health: HealthPolicy,
    pub(crate) disable_after: Option<Duration>,
    pub(crate) rate: Option<Rate>,
    pub(crate) disabled: bool,
}

impl Settings {
    /// `before` are those of the same destination until now, which lend what has
    /// not changed: open connections, for example.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub(crate) fn new(
        name: &Name,
        options: Destination,
        environment: &Environment,
        before: Option<&Self>,
    ) -> Result<Self, Problem> {
        let in_flight = options.in_flight.max(1);
        let lane = LaneOptions { name, in_flight, batch: options.batch.as_ref() };
        let before = before.map(|before| &*before.kind);
        let kind = factory(&options.to).make(&lane, environment, before)?;
        Ok(Self {
            kind,
            policy: options.policy,
            batch: options.batch,
            health: HealthPolicy {
                breaker: options.breaker,
                adaptive: options.adaptive,
                in_flight,
            },
            disable_after: options.disable_after,
            rate: options.rate,
            disabled: options.disabled,
        })
    }
}
