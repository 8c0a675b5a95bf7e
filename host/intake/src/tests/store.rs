//! A store in memory, as far as ingress sees one.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use hookwright_model::EventId;
use hookwright_store::*;

/// Keeps what is appended.
#[derive(Default)]
pub(super) struct MemoryStore {
    pub(super) events: Mutex<Vec<NewEvent>>,
    /// Answers every append, where there is one.
    pub(super) error: Mutex<Option<AppendError>>,
    /// Appends resolve only with its permits, where there is one.
    pub(super) gate: Mutex<Option<Arc<Semaphore>>>,
    /// What it says of how much waits.
    pub(super) fullness: Mutex<f32>,
    keys: Mutex<HashMap<[u8; 16], EventId>>,
}

impl MemoryStore {
    pub(super) fn count(&self) -> usize {
        self.events.lock().len()
    }

    fn keep(&self, event: NewEvent) -> Result<Appended, AppendError> {
        if let Some(error) = self.error.lock().clone() {
            return Err(error);
        }
        let mut events = self.events.lock();
        let id = EventId::new(EventId::first_row_at(super::NOW) + events.len() as i64, 7);
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

impl Store for MemoryStore {
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

    fn routed(&self, _: Routed) {}

    fn settled(&self, _: Settled) {}

    fn given_up(&self, _: GivenUp) {}

    fn rein_in(&self, _: Option<&str>, _: u64, _: Duration) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn replay(&self, _: EventId, _: Option<&str>) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    fn state(&self) -> Result<Vec<hookwright_model::StateRow>, StoreError> {
        Ok(Vec::new())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn unrouted(
        &self,
        _: &str,
        _: u64,
        _: Option<DueCursor>,
        _: usize,
    ) -> Result<UnroutedPage, StoreError> {
        Err(StoreError::Closed)
    }

    fn due(&self, _: &str, _: u64, _: Option<DueCursor>, _: usize) -> Result<DuePage, StoreError> {
        Err(StoreError::Closed)
    }

    fn events(&self, _: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
        Err(StoreError::Closed)
    }

    fn search(&self, _: &EventQuery, _: &str) -> Result<Found, StoreError> {
        Err(StoreError::Closed)
    }

    fn feed(&self, _: &EventQuery, _: Option<EventId>) -> Result<Option<FeedPage>, StoreError> {
        Err(StoreError::Closed)
    }

    fn event(&self, _: EventId) -> Result<Option<EventDetail>, StoreError> {
        Err(StoreError::Closed)
    }

    fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        Err(StoreError::Closed)
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        Err(StoreError::Closed)
    }

    fn put_replay(&self, _: &hookwright_model::ReplayJob) -> Result<(), StoreError> {
        panic!("ingress replays nothing")
    }

    fn replays(&self) -> Result<Vec<hookwright_model::ReplayJob>, StoreError> {
        panic!("ingress replays nothing")
    }

    fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError> {
        Err(StoreError::Closed)
    }

    fn set_condition(&self, _: &str, _: &Condition) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    fn purge(&self, _: u64) -> Result<Purged, StoreError> {
        Err(StoreError::Closed)
    }

    fn healthy(&self) -> bool {
        true
    }

    fn close(&self) {}
}
