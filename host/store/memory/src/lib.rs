//! The event store in memory: every part of the store's face, without a disk.
//!
//! Unit tests of other crates and the fuzz targets use it in place of an engine
//! that keeps anything. It is meant to be simple and correct: each call is done
//! at once under one lock, and a claim walks all rows. It passes the same
//! conformance suite as the other engines.
#![deny(missing_docs)]
mod deliveries;
mod events;
mod face;
mod queries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event};
use hookwright_store::{Handoff, StoreError};

use events::Tables;

/// A store in memory. What it holds goes with the last handle on it.
pub struct Memory {
    tables: Arc<Mutex<Tables>>,
    clock: Clock,
    handoff: Arc<dyn Handoff>,
    closed: AtomicBool,
    calls: AtomicU64,
}

impl Memory {
    /// An empty store that reads the time from `clock` and hands on to `handoff`.
    pub fn new(clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        Self::over(Arc::default(), clock, handoff)
    }

    /// A store as a restart of the host would find it: the same rows, with
    /// nothing handed on yet. This one is closed. Tests use it to play a crash.
    #[must_use]
    pub fn reopened(&self, handoff: Arc<dyn Handoff>) -> Self {
        self.closed.store(true, Ordering::SeqCst);
        Self::over(Arc::clone(&self.tables), self.clock.clone(), handoff)
    }

    /// Forgets all rows, so that a fuzz target that never ends holds no more than
    /// one input's. Ids continue to rise.
    pub fn clear(&self) {
        self.tables.lock().clear();
    }

    /// How often it was asked to read or change anything so far. Tests show by it
    /// that a request was refused before it came to the store.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn over(tables: Arc<Mutex<Tables>>, clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        let (closed, calls) = Default::default();
        Self { tables, clock, handoff, closed, calls }
    }

    /// Does it under the lock, and hands on what follows from it afterwards.
    fn with<T>(&self, work: impl FnOnce(&mut Tables, &mut Follow) -> T) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        let mut follow = Follow::default();
        let done = work(&mut self.tables.lock(), &mut follow);
        if !follow.durable.is_empty() {
            self.handoff.durable(follow.durable);
        }
        if !follow.ready.is_empty() {
            self.handoff.ready(follow.ready);
        }
        if follow.wake {
            self.handoff.wake();
        }
        Ok(done)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// A hand-off that lets go of everything, for tests that claim all work from the rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandoff;

impl Handoff for NoHandoff {
    fn durable(&self, _: Vec<Arc<Event>>) {}

    fn ready(&self, _: Vec<Delivery>) {}
}

/// What is to be handed on once the lock is free.
#[derive(Default)]
struct Follow {
    durable: Vec<Arc<Event>>,
    ready: Vec<Delivery>,
    wake: bool,
}
