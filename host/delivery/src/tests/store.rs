//! The store in memory as the tests of lanes need it: filled by hand, with commits that come late and reads that fail on demand.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;

use super::{Handle, START_MS};
use hookwright_model::clock::Clock;
use hookwright_model::{Attempt, Delivery, DeliveryState, Event, EventId, EventState};
use hookwright_store::*;
use hookwright_store_memory::Memory;

/// A delivery's row and all that was settled about it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) state: DeliveryState,
    pub(super) cause: Option<String>,
    pub(super) attempts: Vec<Attempt>,
}

/// The engine in memory, whose face it shows to lanes. It refuses what lanes must
/// never do, which an engine bears: to settle a delivery twice in a round.
pub(super) struct TestStore {
    memory: Memory,
    onward: Arc<Onward>,
    clock: Clock,
    /// Told after each commit.
    changed: Notify,
    /// None: every command is carried out at once.
    writer: Option<mpsc::Sender<Command>>,
    /// Deliveries that were added, or are wanted again, and are not committed.
    adding: AtomicUsize,
    /// Claims that fail before they work again.
    failures: AtomicUsize,
    claims: AtomicUsize,
}

enum Command {
    Add(Routed),
    Again(&'static str, EventId),
    Settled(Settled),
    GivenUp(GivenUp),
    Flush(mpsc::Sender<()>),
}

/// Hands on to the lanes once they are there.
#[derive(Default)]
struct Onward(OnceLock<Handle>);

impl Handoff for Onward {
    fn durable(&self, _: Vec<Arc<Event>>) {}

    fn ready(&self, deliveries: Vec<Delivery>) {
        if let Some(handle) = self.0.get() {
            handle.ready(deliveries);
        }
    }
}

/// What the engine in memory answers, which it does at once.
fn now<T>(answer: Answer<'_, T>) -> T {
    answer.now_or_never().expect("nothing is waited for").expect("the store is open")
}

impl TestStore {
    /// Commits at once, in the caller's thread.
    pub(super) fn prompt() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    /// Commits in batches and late, in a thread of its own, as engines with a disk do.
    pub(super) fn late() -> Arc<Self> {
        let (sender, receiver) = mpsc::channel();
        let store = Arc::new(Self::new(Some(sender)));
        let weak = Arc::downgrade(&store);
        std::thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let mut batch = vec![first];
                // Who waits is not kept waiting; anything else gathers for a while.
                while !matches!(batch.last(), Some(Command::Flush(_))) && batch.len() <= 50 {
                    match receiver.recv_timeout(Duration::from_millis(2)) {
                        Ok(next) => batch.push(next),
                        Err(_) => break,
                    }
                }
                let Some(store) = weak.upgrade() else { return };
                batch.into_iter().for_each(|command| store.commit(command));
                store.changed.notify_waiters();
            }
        });
        store
    }

    fn new(writer: Option<mpsc::Sender<Command>>) -> Self {
        let (clock, onward) = (Clock::tokio(START_MS), Arc::<Onward>::default());
        let (adding, failures, claims) = Default::default();
        Self {
            memory: Memory::new(clock.clone(), onward.clone()),
            onward,
            clock,
            changed: Notify::new(),
            writer,
            adding,
            failures,
            claims,
        }
    }

    /// The one that the lanes are to have too.
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(super) fn hand_to(&self, handle: Handle) {
        self.onward.0.set(handle).ok().expect("one handle for one store");
    }

    /// The next claims fail, so many of them.
    pub(super) fn fail_claims(&self, count: usize) {
        self.failures.store(count, Ordering::SeqCst);
    }

    /// How often rows were claimed.
    pub(super) fn claims(&self) -> usize {
        self.claims.load(Ordering::SeqCst)
    }

    /// Takes deliveries as routing hands them in, each of an event of its own, and
    /// answers the ids that the events have got.
    pub(super) fn add(&self, deliveries: Vec<Delivery>) -> Vec<EventId> {
        deliveries.into_iter().map(|delivery| self.add_one(delivery)).collect()
    }

    fn add_one(&self, mut delivery: Delivery) -> EventId {
        let Event { source, kind, headers, body, .. } = Event::clone(&delivery.event);
        let new = NewEvent { source, kind, headers, body, dedupe: None };
        let appended = self.memory.append(new).now_or_never().expect("nothing is waited for");
        let Ok(Appended::New(id)) = appended else { panic!("a new event, not {appended:?}") };
        delivery.event = Arc::new(Event { id, ..Event::clone(&delivery.event) });
        let event = delivery.event.clone();
        self.adding.fetch_add(1, Ordering::SeqCst);
        self.command(Command::Add(Routed {
            state: EventState::Routed,
            deliveries: vec![delivery],
            first: true,
            ..Routed::parked(event, String::new())
        }));
        id
    }

    /// A new round for a delivery that has ended.
    pub(super) fn again(&self, destination: &'static str, event: EventId) {
        self.adding.fetch_add(1, Ordering::SeqCst);
        self.command(Command::Again(destination, event));
    }

    /// What is remembered of a destination from before the start.
    pub(super) fn remember(&self, destination: &str, condition: &Condition) {
        now(self.memory.set_condition(destination, condition));
    }

    fn command(&self, command: Command) {
        match &self.writer {
            Some(writer) => writer.send(command).expect("the writer lives as long as the store"),
            None => {
                self.commit(command);
                self.changed.notify_waiters();
            }
        }
    }

    fn commit(&self, command: Command) {
        match command {
            Command::Add(routed) => {
                self.memory.routed(routed).expect("open");
                self.adding.fetch_sub(1, Ordering::SeqCst);
            }
            Command::Again(destination, event) => {
                assert!(now(self.memory.replay(event, Some(destination))), "it is there");
                self.adding.fetch_sub(1, Ordering::SeqCst);
            }
            Command::Settled(settled) => {
                let row = self.row(&settled.key.destination, settled.key.event);
                assert_eq!(row.state, DeliveryState::Waiting, "settled twice: {row:?}");
                let number = settled.attempt.number as usize;
                assert!(number > row.attempts.len(), "an attempt is counted: {row:?}");
                self.memory.settled(settled).expect("open");
            }
            Command::GivenUp(given_up) => {
                let row = self.row(&given_up.key.destination, given_up.key.event);
                assert_eq!(row.state, DeliveryState::Waiting, "it waits: {row:?}");
                self.memory.given_up(given_up).expect("open");
            }
            Command::Flush(done) => drop(done.send(())),
        }
    }

    /// Waits until all that was handed in before is committed.
    fn flush(&self) {
        if self.writer.is_some() {
            let (done, waiting) = mpsc::channel();
            self.command(Command::Flush(done));
            waiting.recv().expect("the writer lives as long as the store");
        }
    }
}

/// What tests ask of the rows.
impl TestStore {
    /// The delivery of that event to the destination; none before it is committed.
    fn find(&self, destination: &str, event: EventId) -> Option<Row> {
        let detail = now(self.memory.event(event))?;
        let mut sent = detail.deliveries.into_iter();
        let sent = sent.find(|sent| sent.row.destination == destination)?;
        let DeliveryRow { state, cause, .. } = sent.row;
        Some(Row { state, cause, attempts: sent.attempts })
    }

    pub(super) fn row(&self, destination: &str, event: EventId) -> Row {
        self.find(destination, event).expect("a row")
    }

    pub(super) fn is_delivered(&self, destination: &str, event: EventId) -> bool {
        let row = self.find(destination, event);
        row.is_some_and(|row| row.state == DeliveryState::Delivered)
    }

    /// All of a destination's deliveries, in the order of their events.
    pub(super) fn rows(&self, destination: &str) -> Vec<Row> {
        let all = self.events(destination, None).into_iter();
        all.map(|event| self.row(destination, event)).collect()
    }

    /// Of the earliest event.
    pub(super) fn first(&self, destination: &str) -> Row {
        self.rows(destination).into_iter().next().expect("a row")
    }

    pub(super) fn count(&self, destination: &str, state: DeliveryState) -> usize {
        self.events(destination, Some(state)).len()
    }

    fn events(&self, destination: &str, delivery: Option<DeliveryState>) -> Vec<EventId> {
        let mut query = EventQuery {
            destination: Some(destination.to_owned()),
            delivery,
            oldest_first: true,
            limit: 1_000,
            ..EventQuery::default()
        };
        let mut all = Vec::new();
        loop {
            let page = now(self.memory.events(&query));
            all.extend(page.iter().map(|row| row.id));
            query.after = all.last().copied();
            if page.len() < query.limit {
                return all;
            }
        }
    }

    /// Whether all that was ever added to it is delivered.
    pub(super) fn all_delivered(&self, destination: &str) -> bool {
        let added = self.adding.load(Ordering::SeqCst) == 0;
        let mut all = now(self.memory.backlog()).into_iter();
        let left = all.find(|backlog| backlog.destination == destination);
        added && left.is_none_or(|backlog| (backlog.waiting, backlog.dead) == (0, 0))
    }

    pub(super) fn condition(&self, destination: &str) -> Condition {
        let all = now(self.memory.conditions()).into_iter();
        all.filter(|(name, _)| name == destination).map(|(_, one)| one).next().unwrap_or_default()
    }

    /// Waits for the rows to be so.
    pub(super) async fn until(&self, so: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if so(self) {
                    return;
                }
                changed.await;
            }
        };
        let deadline = Duration::from_secs(30 * 24 * 3_600);
        tokio::time::timeout(deadline, waiting).await.expect("the rows come to be so");
    }
}

impl WorkQueue for TestStore {
    fn routed(&self, routed: Routed) -> Result<(), StoreError> {
        self.memory.routed(routed)
    }

    fn settled(&self, settled: Settled) -> Result<(), StoreError> {
        self.command(Command::Settled(settled));
        Ok(())
    }

    fn given_up(&self, given_up: GivenUp) -> Result<(), StoreError> {
        self.command(Command::GivenUp(given_up));
        Ok(())
    }

    fn recorded(&self) -> Answer<'_, ()> {
        self.flush();
        self.memory.recorded()
    }

    fn claim_events<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, UnroutedPage> {
        self.memory.claim_events(claim)
    }

    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage> {
        self.claims.fetch_add(1, Ordering::SeqCst);
        let left =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() {
            let failed = StoreError::Failed("as the test wants".into());
            return Box::pin(std::future::ready(Err(failed)));
        }
        Box::pin(async move {
            self.flush();
            self.memory.claim_deliveries(claim).await
        })
    }

    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64> {
        self.memory.rein_in(destination, now_ms, longest)
    }

    fn replay<'a>(&'a self, event: EventId, destination: Option<&'a str>) -> Answer<'a, bool> {
        self.memory.replay(event, destination)
    }

    fn discard<'a>(&'a self, destination: &'a str, cause: &'a str, most: usize) -> Answer<'a, u64> {
        self.memory.discard(destination, cause, most)
    }
}

impl Conditions for TestStore {
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>> {
        self.memory.conditions()
    }

    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()> {
        let set = self.memory.set_condition(destination, condition);
        self.changed.notify_waiters();
        set
    }
}
