//! A store in memory, and what it hands on.
use std::sync::{Arc, Mutex};

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event};
use hookwright_store::Handoff;
use hookwright_store_memory::Memory;

/// Keeps the events that were made durable until a target takes them.
#[derive(Default)]
pub struct Handed(Mutex<Vec<Arc<Event>>>);

impl Handed {
    /// What was made durable since the last call.
    pub fn take(&self) -> Vec<Arc<Event>> {
        std::mem::take(&mut *self.0.lock().expect("a panic ends the process"))
    }
}

impl Handoff for Handed {
    fn durable(&self, events: Vec<Arc<Event>>) {
        self.0.lock().expect("a panic ends the process").extend(events);
    }

    fn ready(&self, _: Vec<Delivery>) {}
}

/// An empty store whose clock stands still. A target clears it after each input.
pub fn store() -> (Arc<Memory>, Arc<Handed>) {
    let handed = Arc::new(Handed::default());
    (Arc::new(Memory::new(Clock::manual(0), handed.clone())), handed)
}
