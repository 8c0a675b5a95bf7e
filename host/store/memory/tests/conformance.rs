//! The store in memory passes what every engine passes.
use std::sync::Arc;

use hookwright_model::clock::Clock;
use hookwright_store::{Handoff, Store};
use hookwright_store_conformance::{End, Engine};
use hookwright_store_memory::Memory;

struct InMemory {
    memory: Arc<Memory>,
    store: Arc<dyn Store>,
}

impl InMemory {
    fn new(memory: Memory) -> Self {
        let memory = Arc::new(memory);
        Self { store: memory.clone(), memory }
    }
}

impl Engine for InMemory {
    fn open(clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        Self::new(Memory::new(clock, handoff))
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// It has all on record at once, so both ends leave the same.
    async fn reopen(self, _: End, _: Clock, handoff: Arc<dyn Handoff>) -> Self {
        Self::new(self.memory.reopened(handoff))
    }
}

hookwright_store_conformance::suite!(InMemory);
