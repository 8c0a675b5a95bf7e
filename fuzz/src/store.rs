//! A store in memory, as far as ingress and admin see one, that counts what it is asked.
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookwright_model::{EventId, ReplayJob, StateRow};
use hookwright_store::*;

/// Keeps what is appended and routed until it is taken; everything else in it is empty.
#[derive(Default)]
pub struct MemoryStore {
    events: Mutex<Vec<NewEvent>>,
    routed: Mutex<Vec<Routed>>,
    asked: AtomicUsize,
}

impl MemoryStore {
    /// What was appended since the last call.
    pub fn take(&self) -> Vec<NewEvent> {
        std::mem::take(&mut *self.events.lock().expect("a panic ends the process"))
    }

    /// What was routed since the last call.
    pub fn take_routed(&self) -> Vec<Routed> {
        std::mem::take(&mut *self.routed.lock().expect("a panic ends the process"))
    }

    /// How often it was read or changed; a look at its health does not count.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn note<T>(&self, answer: T) -> Result<T, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }
}

impl EventLog for MemoryStore {
    fn append(&self, event: NewEvent) -> AppendFuture {
        self.events.lock().expect("a panic ends the process").push(event);
        Box::pin(async { Ok(Appended::New(EventId::new(1, 7))) })
    }
}

impl WorkQueue for MemoryStore {
    fn routed(&self, routed: Routed) {
        self.routed.lock().expect("a panic ends the process").push(routed);
    }

    fn settled(&self, _: Settled) {}

    fn given_up(&self, _: GivenUp) {}

    fn rein_in(&self, _: Option<&str>, _: u64, _: Duration) -> Result<u64, StoreError> {
        self.note(0)
    }

    fn replay(&self, _: EventId, _: Option<&str>) -> Result<bool, StoreError> {
        self.note(false)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.note(())
    }

    fn unrouted(
        &self,
        _: &str,
        _: u64,
        _: Option<DueCursor>,
        _: usize,
    ) -> Result<UnroutedPage, StoreError> {
        self.note(UnroutedPage::default())
    }

    fn due(&self, _: &str, _: u64, _: Option<DueCursor>, _: usize) -> Result<DuePage, StoreError> {
        self.note(DuePage::default())
    }
}

impl Queries for MemoryStore {
    fn events(&self, _: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
        self.note(Vec::new())
    }

    fn search(&self, _: &EventQuery, _: &str) -> Result<Found, StoreError> {
        self.note(Found::default())
    }

    fn feed(&self, _: &EventQuery, _: Option<EventId>) -> Result<Option<FeedPage>, StoreError> {
        self.note(None)
    }

    fn event(&self, _: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.note(None)
    }

    fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.note(Vec::new())
    }
}

impl PluginState for MemoryStore {
    fn state(&self) -> Result<Vec<StateRow>, StoreError> {
        self.note(Vec::new())
    }
}

impl Maintenance for MemoryStore {
    fn usage(&self) -> Result<Usage, StoreError> {
        self.note(Usage::default())
    }

    fn purge(&self, _: u64) -> Result<Purged, StoreError> {
        self.note(Purged::default())
    }

    fn backup(&self, _: &std::path::Path) -> Result<Backup, StoreError> {
        self.note(Backup::default())
    }

    fn healthy(&self) -> bool {
        true
    }

    fn close(&self) {}
}

impl Conditions for MemoryStore {
    fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError> {
        self.note(Vec::new())
    }

    fn set_condition(&self, _: &str, _: &Condition) -> Result<(), StoreError> {
        self.note(())
    }
}

impl Jobs for MemoryStore {
    fn put_replay(&self, _: &ReplayJob) -> Result<(), StoreError> {
        self.note(())
    }

    fn replays(&self) -> Result<Vec<ReplayJob>, StoreError> {
        self.note(Vec::new())
    }
}
