//! An event log in memory.
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use hookwright_model::EventId;
use hookwright_store::{AppendError, AppendFuture, Appended, EventLog, NewEvent};

/// The clock of all tests, milliseconds since 1970.
pub(crate) const NOW: u64 = 1_614_265_330_000;

/// Keeps what is appended.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) events: Mutex<Vec<NewEvent>>,
    /// Answers every append, where there is one.
    pub(crate) error: Mutex<Option<AppendError>>,
    /// Appends resolve only with its permits, where there is one.
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    /// What it says of how much waits.
    pub(crate) fullness: Mutex<f32>,
    keys: Mutex<HashMap<[u8; 16], EventId>>,
}

impl MemoryStore {
    pub(crate) fn count(&self) -> usize {
        self.events.lock().len()
    }

    fn keep(&self, event: NewEvent) -> Result<Appended, AppendError> {
        if let Some(error) = self.error.lock().clone() {
            return Err(error);
        }
        let mut events = self.events.lock();
        let id = EventId::new(EventId::first_row_at(NOW) + events.len() as i64, 7);
        if let Some(dedupe) = &event.dedupe {
            let first = *self.keys.lock().entry(dedupe.key).or_insert(id);
            if first != id {
                return Ok(Appended::Duplicate(first));
            }
        }
        events.push(event);
        Ok(Appended::New(id))
    }
}

impl EventLog for MemoryStore {
    fn append(&self, event: NewEvent) -> AppendFuture {
        let kept = self.keep(event);
        let gate = self.gate.lock().clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            kept
        })
    }

    fn fullness(&self) -> f32 {
        *self.fullness.lock()
    }
}
