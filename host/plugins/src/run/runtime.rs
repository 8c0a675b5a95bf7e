//! What all calls share: the slow lanes, and the permits that bound the instances at a time.
use std::sync::Arc;

use ::metrics::{Gauge, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::run::call::CallMode;
use crate::run::slow::SlowLane;
use hookwright_model::metrics::INSTANCES;

/// Calls at a time that decide nothing (shadows and previews), over all plugins.
pub(crate) const BACKGROUND: u32 = 16;

/// The lanes and semaphores that all calls share.
///
/// One for the whole host; versions get permits from it and run their calls in its lanes.
pub(crate) struct SharedRuntime {
    pub(crate) lane: SlowLane,
    /// Instances at a time, over all plugins.
    permits: Arc<Semaphore>,
    /// Threads and instances for calls that decide nothing: no event waits for those.
    background: SlowLane,
    background_permits: Arc<Semaphore>,
    in_use: Gauge,
}

/// The right to one instance, given back when it is dropped.
pub(crate) struct Permit {
    in_use: Gauge,
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl SharedRuntime {
    pub(crate) fn new((lane, background): (SlowLane, SlowLane), instances: usize) -> Self {
        let permits = Arc::new(Semaphore::new(instances));
        let background_permits = Arc::new(Semaphore::new(BACKGROUND as usize));
        Self { lane, permits, background, background_permits, in_use: gauge!(INSTANCES) }
    }

    /// A permit for a call that decides nothing; none where all are taken.
    pub(crate) fn try_background_permit(&self) -> Option<Permit> {
        let permit = self.background_permits.clone().try_acquire_owned().ok()?;
        Some(self.taken(None, Some(permit)))
    }

    /// Waits while the plugin, or all plugins together, have as many calls
    /// in flight as they may. The semaphores are never closed.
    pub(crate) async fn permit(&self, own: &Arc<Semaphore>, mode: CallMode) -> Permit {
        if mode != CallMode::Decide {
            let permit = self.background_permits.clone().acquire_owned().await.ok();
            return self.taken(None, permit);
        }
        // Its own first: a plugin that waits for itself holds nothing that others want.
        let own = own.clone().acquire_owned().await.ok();
        let shared = self.permits.clone().acquire_owned().await.ok();
        self.taken(own, shared)
    }

    fn taken(
        &self,
        own: Option<OwnedSemaphorePermit>,
        shared: Option<OwnedSemaphorePermit>,
    ) -> Permit {
        self.in_use.increment(1);
        Permit { in_use: self.in_use.clone(), _own: own, _shared: shared }
    }

    /// Where a call continues that takes long.
    pub(crate) fn lane(&self, mode: CallMode) -> &SlowLane {
        if mode == CallMode::Decide { &self.lane } else { &self.background }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_use.decrement(1);
    }
}
