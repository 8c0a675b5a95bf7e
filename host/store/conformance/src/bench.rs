//! An engine under test with what it hands on.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event, EventId, EventState};
use hookwright_store::{
    Appended, Claim, EventDetail, Handoff, NewEvent, Next, Routed, Store, UnroutedPage,
};

use crate::{End, Engine};

// The cases take both with one import.
pub(crate) use crate::fixtures::*;

/// Keeps what is handed on.
#[derive(Default)]
pub(crate) struct Recorder {
    handed: Mutex<Handed>,
    came: Condvar,
}

#[derive(Default)]
struct Handed {
    durable: BTreeMap<EventId, Arc<Event>>,
    ready: Vec<Delivery>,
}

impl Handoff for Recorder {
    fn durable(&self, events: Vec<Arc<Event>>) {
        let events = events.into_iter().map(|event| (event.id, event));
        self.handed.lock().durable.extend(events);
        self.came.notify_all();
    }

    fn ready(&self, deliveries: Vec<Delivery>) {
        self.handed.lock().ready.extend(deliveries);
    }
}

/// A store under test.
pub(crate) struct Bench<E> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    handed: Arc<Recorder>,
    engine: E,
}

impl<E: Engine> Bench<E> {
    pub(crate) fn new() -> Self {
        let (clock, handed) = (Clock::manual(START), Arc::<Recorder>::default());
        let engine = E::open(clock.clone(), handed.clone());
        Self { store: Arc::clone(engine.store()), clock, handed, engine }
    }

    pub(crate) async fn reopened(self, end: End) -> Self {
        let Self { store, clock, engine, .. } = self;
        drop(store);
        let handed = Arc::<Recorder>::default();
        let engine = engine.reopen(end, clock.clone(), handed.clone()).await;
        Self { store: Arc::clone(engine.store()), clock, handed, engine }
    }

    pub(crate) async fn append(&self, event: NewEvent) -> Appended {
        self.store.append(event).await.unwrap()
    }

    /// A new event, as it was handed on.
    pub(crate) async fn accept(&self, body: &str) -> Arc<Event> {
        let Appended::New(id) = self.append(event(body)).await else { panic!("it is new") };
        self.handed_on(id)
    }

    /// The event as it was handed on, by a thread of the engine's maybe.
    pub(crate) fn handed_on(&self, id: EventId) -> Arc<Event> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut handed = self.handed.handed.lock();
        loop {
            if let Some(event) = handed.durable.get(&id) {
                return Arc::clone(event);
            }
            let late = self.handed.came.wait_until(&mut handed, until).timed_out();
            assert!(!late, "{id} was never handed on");
        }
    }

    pub(crate) fn take_ready(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.handed.handed.lock().ready)
    }

    /// Routes the event to the destinations, due at once.
    pub(crate) fn route(&self, event: &Arc<Event>, destinations: &[&str]) {
        let deliveries = destinations.iter().map(|name| delivery(event, name)).collect();
        self.routed(outcome(event, EventState::Routed, deliveries));
    }

    pub(crate) fn routed(&self, routed: Routed) {
        self.store.routed(routed).unwrap();
    }

    pub(crate) fn settle(&self, id: EventId, destination: &str, number: u32, next: Next) {
        self.store.settled(settled(id, destination, number, next)).unwrap();
    }

    pub(crate) async fn due(&self, destination: &str, now_ms: u64) -> Vec<EventId> {
        let claim = Claim { of: destination, now_ms, after: None, limit: 1_000 };
        let page = self.store.claim_deliveries(claim).await.unwrap();
        page.deliveries.iter().map(|delivery| delivery.event.id).collect()
    }

    pub(crate) async fn unrouted(&self, now_ms: u64) -> UnroutedPage {
        let claim = Claim { of: SOURCE, now_ms, after: None, limit: 1_000 };
        self.store.claim_events(claim).await.unwrap()
    }

    pub(crate) async fn detail(&self, id: EventId) -> EventDetail {
        self.store.event(id).await.unwrap().unwrap()
    }

    /// Waiting and dead deliveries.
    pub(crate) async fn counts(&self, destination: &str) -> (u64, u64) {
        let backlog = self.store.backlog().await.unwrap();
        let found = backlog.iter().find(|row| row.destination == destination);
        found.map_or((0, 0), |row| (row.waiting, row.dead))
    }
}

/// Runs a case on a runtime of its own.
pub(crate) fn run<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(case)
}
