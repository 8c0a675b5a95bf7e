//! The store in memory, with faults that a test injects.
use std::sync::Arc;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use hookwright_model::clock::Clock;
use hookwright_store::{AppendError, AppendFuture, Appended, EventLog, NewEvent};
use hookwright_store_memory::{Memory, NoHandoff};

/// The clock of all tests, milliseconds since 1970.
pub(crate) const NOW: u64 = 1_614_265_330_000;

/// The store in memory behind an event log that can refuse, delay and report itself as full.
///
/// Tests of every way in append to it, and look at what it was given.
pub(crate) struct FaultyStore {
    memory: Memory,
    /// The events that were new, as the intake handed them in.
    pub(crate) events: Mutex<Vec<NewEvent>>,
    /// The error of every append; none: appends succeed.
    pub(crate) error: Mutex<Option<AppendError>>,
    /// Where set, each append waits for one of its permits after the event is kept.
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    /// The reported share of the queue that is used.
    pub(crate) fullness: Mutex<f32>,
}

impl Default for FaultyStore {
    fn default() -> Self {
        let memory = Memory::new(Clock::manual(NOW), Arc::new(NoHandoff));
        let (events, error, gate, fullness) = Default::default();
        Self { memory, events, error, gate, fullness }
    }
}

impl FaultyStore {
    pub(crate) fn count(&self) -> usize {
        self.events.lock().len()
    }

    fn keep(&self, event: NewEvent) -> Result<Appended, AppendError> {
        if let Some(error) = self.error.lock().clone() {
            return Err(error);
        }
        let NewEvent { source, kind, headers, body, dedupe } = &event;
        let copy = NewEvent {
            source: source.clone(),
            kind: kind.clone(),
            headers: headers.clone(),
            body: body.clone(),
            dedupe: dedupe.clone(),
        };
        let mut events = self.events.lock();
        let appended = self.memory.append(event).now_or_never().expect("it never waits")?;
        if matches!(appended, Appended::New(_)) {
            events.push(copy);
        }
        Ok(appended)
    }
}

impl EventLog for FaultyStore {
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
