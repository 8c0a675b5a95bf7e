//! A store in memory that behaves as its face promises: hands on after the
//! commit, settles later than it was told, commits what came before a claim.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Handle;
use hookwright_model::{Attempt, Delivery, DeliveryState, EventId};
use hookwright_store::*;

/// A waiting or finished delivery and all that was settled about it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) delivery: Delivery,
    pub(super) state: DeliveryState,
    pub(super) cause: Option<String>,
    pub(super) attempts: Vec<Attempt>,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) all: BTreeMap<(String, EventId), Row>,
    pub(super) conditions: BTreeMap<String, Condition>,
    /// What was ever added, committed or not.
    promised: BTreeSet<(String, EventId)>,
}

impl Rows {
    pub(super) fn of<'r>(&'r self, destination: &str) -> impl Iterator<Item = &'r Row> {
        let name = destination.to_owned();
        self.all.iter().filter(move |((of, _), _)| *of == name).map(|(_, row)| row)
    }

    pub(super) fn count(&self, destination: &str, state: DeliveryState) -> usize {
        self.of(destination).filter(|row| row.state == state).count()
    }

    pub(super) fn condition(&self, destination: &str) -> Condition {
        self.conditions.get(destination).cloned().unwrap_or_default()
    }

    /// All that was ever added to it.
    pub(super) fn all_delivered(&self, destination: &str) -> bool {
        let mut promised = self.promised.iter().filter(|(of, _)| of == destination);
        promised
            .all(|key| self.all.get(key).is_some_and(|row| row.state == DeliveryState::Delivered))
    }
}

enum Command {
    Add(Vec<Delivery>),
    Settled(Settled),
    GivenUp(GivenUp),
    Flush(mpsc::Sender<()>),
}

pub(super) struct FakeStore {
    rows: Mutex<Rows>,
    changed: Notify,
    handle: OnceLock<Handle>,
    /// None: every command is carried out at once.
    writer: Option<mpsc::Sender<Command>>,
    /// Reads that fail before they work again.
    pub(super) failures: AtomicUsize,
    pub(super) polls: AtomicUsize,
}

impl FakeStore {
    /// Commits at once, in the caller's thread.
    pub(super) fn prompt() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    /// Commits in batches and late, in a thread of its own, as the real one does.
    pub(super) fn late() -> Arc<Self> {
        let (sender, receiver) = mpsc::channel();
        let store = Arc::new(Self::new(Some(sender)));
        let weak = Arc::downgrade(&store);
        std::thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let mut batch = vec![first];
                // A flush is not kept waiting; anything else gathers for a while.
                while !matches!(batch.last(), Some(Command::Flush(_))) {
                    match receiver.recv_timeout(Duration::from_millis(2)) {
                        Ok(next) => batch.push(next),
                        Err(_) => break,
                    }
                    if batch.len() > 50 {
                        break;
                    }
                }
                let Some(store) = weak.upgrade() else { return };
                store.commit(batch);
            }
        });
        store
    }

    fn new(writer: Option<mpsc::Sender<Command>>) -> Self {
        Self {
            rows: Mutex::default(),
            changed: Notify::new(),
            handle: OnceLock::new(),
            writer,
            failures: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
        }
    }

    pub(super) fn hand_to(&self, handle: Handle) {
        self.handle.set(handle).ok().expect("one handle for one store");
    }

    pub(super) fn add(&self, deliveries: Vec<Delivery>) {
        {
            let promised = &mut self.rows.lock().promised;
            let keys = deliveries.iter().map(|one| (one.destination.to_string(), one.event.id));
            promised.extend(keys);
        }
        self.command(Command::Add(deliveries));
    }

    /// A new round for a delivery that has ended.
    pub(super) fn again(&self, destination: &str, event: EventId) {
        let delivery = {
            let rows = self.rows.lock();
            let row = &rows.all[&(destination.to_owned(), event)];
            Delivery { tries: 0, replayed: true, ..row.delivery.clone() }
        };
        self.add(vec![delivery]);
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Rows) -> T) -> T {
        read(&self.rows.lock())
    }

    /// Waits for the rows to be so.
    pub(super) async fn until(&self, so: impl Fn(&Rows) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if self.read(&so) {
                    return;
                }
                changed.await;
            }
        };
        let deadline = Duration::from_secs(30 * 24 * 3_600);
        tokio::time::timeout(deadline, waiting).await.expect("the rows come to be so");
    }

    fn command(&self, command: Command) {
        match &self.writer {
            Some(writer) => writer.send(command).expect("the writer lives as long as the store"),
            None => self.commit(vec![command]),
        }
    }

    fn commit(&self, batch: Vec<Command>) {
        let mut ready = Vec::new();
        let mut flushed = Vec::new();
        {
            let mut rows = self.rows.lock();
            for command in batch {
                match command {
                    Command::Add(deliveries) => {
                        for delivery in deliveries {
                            ready.push(insert(&mut rows, delivery));
                        }
                    }
                    Command::Settled(settled) => settle(&mut rows, settled),
                    Command::GivenUp(GivenUp { key, cause, .. }) => {
                        let key = (key.destination.to_string(), key.event);
                        let row = rows.all.get_mut(&key).expect("only rows are given up");
                        assert_eq!(row.state, DeliveryState::Waiting, "it waits");
                        (row.state, row.cause) = (DeliveryState::Dead, Some(cause));
                    }
                    Command::Flush(done) => flushed.push(done),
                }
            }
        }
        for done in flushed {
            done.send(()).ok();
        }
        if let Some(handle) = self.handle.get() {
            handle.ready(ready);
        }
        self.changed.notify_waiters();
    }
}

/// Answers the delivery as it is handed on.
fn insert(rows: &mut Rows, delivery: Delivery) -> Delivery {
    let key = (delivery.destination.to_string(), delivery.event.id);
    let row = rows.all.entry(key).or_insert_with(|| Row {
        delivery: delivery.clone(),
        state: DeliveryState::Waiting,
        cause: None,
        attempts: Vec::new(),
    });
    row.state = DeliveryState::Waiting;
    row.delivery = Delivery { attempts: row.delivery.attempts, ..delivery };
    row.delivery.clone()
}

fn settle(rows: &mut Rows, settled: Settled) {
    let key = (settled.key.destination.to_string(), settled.key.event);
    let row = rows.all.get_mut(&key).expect("only rows are settled");
    assert_eq!(row.state, DeliveryState::Waiting, "settled twice: {:?}", settled.key);
    assert_eq!(settled.attempt.number, row.delivery.attempts + 1, "an attempt is counted");
    row.delivery.attempts += 1;
    row.delivery.tries += 1;
    row.attempts.push(settled.attempt);
    match settled.next {
        Next::Delivered => row.state = DeliveryState::Delivered,
        Next::Retry { due_ms } => row.delivery.due_ms = due_ms,
        Next::Dead { cause } => {
            row.state = DeliveryState::Dead;
            row.cause = Some(cause);
        }
    }
}

impl FakeStore {
    /// Waits until all that was handed in before is committed.
    fn flush(&self) {
        if self.writer.is_some() {
            let (done, waiting) = mpsc::channel();
            self.command(Command::Flush(done));
            waiting.recv().expect("the writer lives as long as the store");
        }
    }

    fn page(&self, claim: Claim<'_>) -> Result<DuePage, StoreError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        let left =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() {
            return Err(StoreError::Failed("as the test wants".into()));
        }
        self.flush();
        let rows = self.rows.lock();
        let mut waiting: Vec<_> = rows
            .of(claim.of)
            .filter(|row| row.state == DeliveryState::Waiting)
            .map(|row| (row.delivery.due_ms, row.delivery.event.id.row(), &row.delivery))
            .collect();
        waiting.sort_by_key(|(due_ms, row, _)| (*due_ms, *row));
        let due = waiting.iter().take(claim.limit);
        let due = due.take_while(|(due_ms, ..)| *due_ms <= claim.now_ms).count();
        let deliveries = waiting[..due].iter().map(|(.., delivery)| (*delivery).clone()).collect();
        let next_due_ms = waiting.get(due).map(|(due_ms, ..)| *due_ms);
        Ok(DuePage { deliveries, next: None, next_due_ms })
    }

    fn rein(&self, destination: Option<&str>, now_ms: u64, longest: Duration) -> u64 {
        let limit_ms = now_ms + hookwright_model::clock::millis(longest);
        let mut rows = self.rows.lock();
        let mut reined = 0;
        for ((name, _), row) in &mut rows.all {
            let waits = row.state == DeliveryState::Waiting && row.delivery.due_ms > limit_ms;
            let (tries, received) = (row.delivery.tries, row.delivery.event.received_ms());
            if waits && Some(name.as_str()) == destination && (tries > 0 || received > now_ms) {
                let delay =
                    if tries > 0 { 0 } else { row.delivery.due_ms.saturating_sub(received) };
                row.delivery.due_ms = now_ms + delay;
                reined += 1;
            }
        }
        reined
    }

    pub(super) fn remember(&self, destination: &str, condition: &Condition) {
        self.rows.lock().conditions.insert(destination.to_owned(), condition.clone());
        self.changed.notify_waiters();
    }
}

impl WorkQueue for FakeStore {
    fn routed(&self, _: Routed) -> Result<(), StoreError> {
        panic!("delivery routes nothing")
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
        Box::pin(async { Ok(()) })
    }

    fn claim_events<'a>(&'a self, _: Claim<'a>) -> Answer<'a, UnroutedPage> {
        panic!("delivery routes nothing")
    }

    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage> {
        Box::pin(async move { self.page(claim) })
    }

    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64> {
        Box::pin(async move { Ok(self.rein(destination, now_ms, longest)) })
    }

    fn replay<'a>(&'a self, _: EventId, _: Option<&'a str>) -> Answer<'a, bool> {
        panic!("delivery replays nothing")
    }

    fn discard<'a>(&'a self, _: &'a str, _: &'a str, _: usize) -> Answer<'a, u64> {
        panic!("delivery discards nothing")
    }
}

impl Conditions for FakeStore {
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>> {
        Box::pin(async { Ok(self.rows.lock().conditions.clone().into_iter().collect()) })
    }

    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            self.remember(destination, condition);
            Ok(())
        })
    }
}
