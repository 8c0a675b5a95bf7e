//! Tests of the engine: helpers here, the tests by topic beside.
mod backup;
mod basics;
mod claims;
mod clock;
mod conformance;
mod damage;
mod dedupe;
mod faults;
mod faulty;
mod kill;
mod listing;
mod opening;
mod order;
mod purge;
mod recovery;
mod refused;
mod waiting;
mod weight;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;

use super::cursor::DueCursor;
use super::engine::Embedded;
use super::open::{Options, open_embedded};

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event, EventId, EventState};
use hookwright_store::{
    AppendError, Appended, DuePage, Handoff, NewEvent, Next, Routed, UnroutedPage,
};
use hookwright_store_conformance::fixtures::*;

/// Keeps what is handed on.
#[derive(Default)]
pub(super) struct Recorder {
    state: Mutex<Handed>,
    came: Condvar,
}

#[derive(Default)]
pub(super) struct Handed {
    pub(super) accepted: Vec<Arc<Event>>,
    pub(super) ready: Vec<Delivery>,
    pub(super) stirs: usize,
}

impl Recorder {
    /// Waits until the condition holds; a test that waits too long fails.
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut(&mut Handed) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut state = self.state.lock();
        while !holds(&mut state) {
            assert!(!self.came.wait_until(&mut state, until).timed_out(), "no {what} came");
        }
    }

    pub(super) fn take_ready(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.state.lock().ready)
    }
}

impl Handoff for Recorder {
    fn durable(&self, events: Vec<Arc<Event>>) {
        self.state.lock().accepted.extend(events);
        self.came.notify_all();
    }

    fn ready(&self, deliveries: Vec<Delivery>) {
        self.state.lock().ready.extend(deliveries);
        self.came.notify_all();
    }

    fn wake(&self) {
        self.state.lock().stirs += 1;
        self.came.notify_all();
    }
}

/// A store in a directory, which may outlive it.
pub(super) struct Opened {
    pub(super) store: Arc<Embedded>,
    pub(super) handed: Arc<Recorder>,
    pub(super) clock: Clock,
    pub(super) dir: Arc<TempDir>,
}

impl Opened {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::at(Arc::new(TempDir::new().unwrap()), Clock::manual(START), change)
    }

    pub(super) fn at(dir: Arc<TempDir>, clock: Clock, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(dir.path(), clock.clone());
        // Tests read much, and one at a time.
        options.read_spacing = Duration::ZERO;
        change(&mut options);
        let handed = Arc::new(Recorder::default());
        let store = open_embedded(options, Arc::clone(&handed) as Arc<dyn Handoff>);
        Self { store: Arc::new(store.unwrap()), handed, clock, dir }
    }

    /// Closes it and opens it again.
    pub(super) fn again(self) -> Self {
        self.store.close();
        let Self { dir, clock, .. } = self;
        Self::at(dir, clock, |_| {})
    }

    pub(super) fn append(&self, event: NewEvent) -> Result<Appended, AppendError> {
        wait(self.store.append(event))
    }

    /// All of the tests' one source that are to be routed and due.
    pub(super) fn unrouted(&self, now_ms: u64) -> UnroutedPage {
        self.store.flush().unwrap();
        self.store.unrouted(SOURCE, now_ms, None, 1_000).unwrap()
    }

    pub(super) fn accept(&self, body: &str) -> Arc<Event> {
        let id = new_id(self.append(event(body)));
        self.find(id)
    }

    /// The event as it was handed on.
    pub(super) fn find(&self, id: EventId) -> Arc<Event> {
        let mut found = None;
        self.handed.wait("event", |handed| {
            found = handed.accepted.iter().find(|event| event.id == id).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// Routes the event to the destinations, due at once.
    pub(super) fn route(&self, event: &Arc<Event>, destinations: &[&str]) {
        let deliveries = destinations.iter().map(|name| delivery(event, name)).collect();
        self.store.routed(outcome(event, EventState::Routed, deliveries));
    }

    pub(super) fn settle(&self, id: EventId, destination: &str, number: u32, next: Next) {
        self.store.settled(settled(id, destination, number, next));
    }

    pub(super) fn due_page(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> DuePage {
        self.store.flush().unwrap();
        self.store.due(destination, now_ms, after, limit).unwrap()
    }

    pub(super) fn due(&self, destination: &str, now_ms: u64) -> Vec<EventId> {
        let page = self.due_page(destination, now_ms, None, 1_000);
        page.deliveries.iter().map(|delivery| delivery.event.id).collect()
    }
}

/// Waits for a future on this thread.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(super) fn new_id(appended: Result<Appended, AppendError>) -> EventId {
    match appended {
        Ok(Appended::New(id)) => id,
        other => panic!("not a new event: {other:?}"),
    }
}

/// The journal's files, oldest first.
pub(super) fn journal_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Copies a data directory as it stands, the index first: as the index commits
/// later than the journal syncs, the copy is what a crash could leave.
pub(super) fn snapshot(from: &Path) -> Arc<TempDir> {
    let to = TempDir::new().unwrap();
    for file in ["index.db", "index.db-wal"] {
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.path().join(file)).unwrap();
        }
    }
    std::fs::create_dir(to.path().join("journal")).unwrap();
    for file in journal_files(from) {
        let name = file.file_name().unwrap();
        std::fs::copy(&file, to.path().join("journal").join(name)).unwrap();
    }
    Arc::new(to)
}
