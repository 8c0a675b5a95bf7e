//! Instances that serve more than one event, for plugins that start slowly and ask for it.
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::context::RunContext;
use crate::run::instance::{Ended, Instance, ended};
use crate::run::log::Level;
use hookwright_model::plugin::Warm;

/// Instances that wait for an event, over all plugins.
pub(crate) const KEPT_INSTANCES: u32 = 32;

/// A version's instances that wait for an event.
pub(crate) struct Pool {
    rule: Warm,
    /// What the engine has room for, over all plugins.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Kept>>,
}

/// An instance with its permit; what has none yet goes after its event.
struct Kept {
    instance: Instance,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(crate) fn new(rule: Warm, permits: Arc<Semaphore>) -> Self {
        Self { rule, permits, idle: Mutex::default() }
    }

    /// One event through an instance that waits, or else through a fresh one.
    ///
    /// Where an instance breaks that handled others before, a fresh one tries
    /// again, within the same limits: no event fails by what another one left.
    pub(crate) async fn handle(&self, context: &RunContext, event: &handler::Event) -> Ended {
        if let Some(mut kept) = self.take() {
            kept.instance.renew(context.guest(), context.limits.output);
            let ended = kept.instance.handle(event).await;
            let Err(error) = &ended.answer else {
                self.put(kept, &ended, context.limits.memory);
                return ended;
            };
            let calls = kept.instance.calls();
            let why = error.root_cause();
            let line =
                format!("(an instance broke at its event {calls}, a fresh one tries: {why})");
            context.log.write(Level::Warn, &line);
        }
        match Instance::new(&context.code, context.store()).await {
            Ok(mut instance) => {
                let ended = instance.handle(event).await;
                self.put(Kept { instance, permit: None }, &ended, context.limits.memory);
                ended
            }
            Err((error, mut store)) => ended(&mut store, Err(error)),
        }
    }

    /// The one that waited least; those that are not needed stay untouched.
    fn take(&self) -> Option<Kept> {
        self.idle.lock().pop()
    }

    /// Keeps an instance that gave a verdict, unless it has served its time,
    /// holds more than half of its memory, or there is no room.
    fn put(&self, mut kept: Kept, ended: &Ended, memory: u64) {
        let good = matches!(ended.answer, Ok(Ok(_))) && ended.memory <= memory / 2;
        if !good || kept.instance.calls() >= self.rule.calls {
            return;
        }
        kept.permit = kept.permit.or_else(|| self.permits.clone().try_acquire_owned().ok());
        let mut idle = self.idle.lock();
        if kept.permit.is_some() && idle.len() < self.rule.keep {
            idle.push(kept);
        }
    }
}
