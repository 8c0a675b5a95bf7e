//! Random histories against a simple model of what the store should say.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::bench::*;
use crate::{End, Engine};
use hookwright_model::{DeliveryState, Event, EventId, EventState};
use hookwright_store::{Appended, Claim, Cursor, Dedupe, EventQuery, NewEvent, Next, Routed};

const DESTINATIONS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Append { key: Option<u8> },
    Route { event: usize, to: u8, changed: bool, due: u64 },
    End { event: usize, state: usize },
    Retry { event: usize, due: u64 },
    Settle { event: usize, to: usize, next: u8 },
    Replay { event: usize, to: Option<usize> },
    Tick(u64),
    Purge { age: u64 },
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let event = 0..1_000usize;
    prop_oneof![
        4 => prop::option::weighted(0.3, 0..4u8).prop_map(|key| Step::Append { key }),
        4 => (event.clone(), 1..8u8, any::<bool>(), 0..50u64)
            .prop_map(|(event, to, changed, due)| Step::Route { event, to, changed, due }),
        1 => (event.clone(), 2..6usize).prop_map(|(event, state)| Step::End { event, state }),
        1 => (event.clone(), 0..50u64).prop_map(|(event, due)| Step::Retry { event, due }),
        5 => (event.clone(), 0..3usize, 0..6u8)
            .prop_map(|(event, to, next)| Step::Settle { event, to, next }),
        1 => (event, prop::option::of(0..3usize))
            .prop_map(|(event, to)| Step::Replay { event, to }),
        2 => (1..40u64).prop_map(Step::Tick),
        1 => (0..80u64).prop_map(|age| Step::Purge { age }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Sent {
    state: DeliveryState,
    due: u64,
    tries: u32,
    attempts: u32,
    body: String,
}

#[derive(Debug, Clone)]
struct Kept {
    event: Arc<Event>,
    state: EventState,
    due: u64,
    replays: u32,
    sent: BTreeMap<usize, Sent>,
}

impl Kept {
    fn is_finished(&self) -> bool {
        let waits = |sent: &Sent| sent.state == DeliveryState::Waiting;
        self.state != EventState::Accepted && !self.sent.values().any(waits)
    }
}

struct World<E> {
    bench: Option<Bench<E>>,
    now: u64,
    kept: BTreeMap<EventId, Kept>,
    keys: BTreeMap<u8, (EventId, u64)>,
    bodies: usize,
}

impl<E: Engine> World<E> {
    fn new() -> Self {
        let (kept, keys) = Default::default();
        Self { bench: Some(Bench::new()), now: START, kept, keys, bodies: 0 }
    }

    fn bench(&self) -> &Bench<E> {
        self.bench.as_ref().expect("open between two steps")
    }

    fn pick(&mut self, event: usize) -> Option<&mut Kept> {
        let count = self.kept.len();
        if count == 0 { None } else { self.kept.values_mut().nth(event % count) }
    }

    async fn append(&mut self, key: Option<u8>) {
        self.bodies += 1;
        let window = Duration::from_millis(60);
        let dedupe = key.map(|key| Dedupe { key: [key; 16], window });
        let new = NewEvent { dedupe, ..event(&self.bodies.to_string()) };
        let got = self.bench().append(new).await;
        let known = key.and_then(|key| self.keys.get(&key)).filter(|(_, end)| *end > self.now);
        if let Some((id, _)) = known {
            assert_eq!(got, Appended::Duplicate(*id));
            return;
        }
        let Appended::New(id) = got else { panic!("its key is not known") };
        let event = self.bench().handed_on(id);
        assert!(self.kept.keys().next_back().is_none_or(|last| *last < id));
        key.map(|key| self.keys.insert(key, (id, self.now + 60)));
        let kept =
            Kept { event, state: EventState::Accepted, due: 0, replays: 0, sent: BTreeMap::new() };
        self.kept.insert(id, kept);
    }

    async fn route(&mut self, event: usize, to: u8, is_changed: bool, due: u64) {
        let due = self.now + due;
        let Some(kept) = self.pick(event).filter(|kept| kept.state == EventState::Accepted) else {
            return;
        };
        kept.state = EventState::Routed;
        let mut deliveries = Vec::new();
        let payload = if is_changed { changed("changed") } else { None };
        for (number, name) in DESTINATIONS.iter().enumerate() {
            if to & (1 << number) == 0 {
                continue;
            }
            let mut one = delivery(&kept.event, name);
            (one.payload, one.due_ms) = (payload.clone(), due);
            let body = String::from_utf8(one.body().to_vec()).unwrap();
            deliveries.push(one);
            let attempts = kept.sent.get(&number).map_or(0, |sent| sent.attempts);
            let sent = Sent { state: DeliveryState::Waiting, due, tries: 0, attempts, body };
            kept.sent.insert(number, sent);
        }
        let first = kept.replays == 0;
        let routed = outcome(&kept.event.clone(), EventState::Routed, deliveries);
        self.bench().routed(Routed { first, ..routed });
        if !first || is_changed {
            // Only then may they be settled.
            self.bench().store.recorded().await.unwrap();
        }
    }

    fn end(&mut self, event: usize, state: EventState, due: u64) {
        let due = if state == EventState::Accepted { self.now + due } else { 0 };
        let Some(kept) = self.pick(event).filter(|kept| kept.state == EventState::Accepted) else {
            return;
        };
        (kept.state, kept.due) = (state, due);
        let mut routed = outcome(&kept.event.clone(), state, Vec::new());
        routed.retry_ms = due;
        self.bench().routed(routed);
    }

    fn settle(&mut self, event: usize, to: usize, next: u8) {
        let now = self.now;
        let Some(kept) = self.pick(event) else { return };
        let id = kept.event.id;
        let waiting = |sent: &&mut Sent| sent.state == DeliveryState::Waiting;
        let Some(sent) = kept.sent.get_mut(&to).filter(waiting) else { return };
        sent.attempts += 1;
        sent.tries += 1;
        let next = match next {
            0 => dead("no"),
            1..3 => Next::Retry { due_ms: now + u64::from(next) * 9 },
            _ => Next::Delivered,
        };
        match &next {
            Next::Delivered => sent.state = DeliveryState::Delivered,
            Next::Dead { .. } => sent.state = DeliveryState::Dead,
            Next::Retry { due_ms } => sent.due = *due_ms,
        }
        let number = sent.attempts;
        self.bench().settle(id, DESTINATIONS[to], number, next);
    }

    async fn replay(&mut self, event: usize, to: Option<usize>) {
        let now = self.now;
        let Some(kept) = self.pick(event) else { return };
        let id = kept.event.id;
        let there = match to {
            None => {
                (kept.state, kept.due, kept.replays) = (EventState::Accepted, 0, kept.replays + 1);
                true
            }
            Some(to) => kept.sent.get_mut(&to).is_some_and(|sent| {
                (sent.state, sent.due, sent.tries) = (DeliveryState::Waiting, now, 0);
                true
            }),
        };
        let replayed = self.bench().store.replay(id, to.map(|to| DESTINATIONS[to]));
        assert_eq!(replayed.await.unwrap(), there);
    }

    async fn purge(&mut self, age: u64) {
        let before = self.now.saturating_sub(age);
        let purged = self.bench().store.purge(before).await.unwrap();
        let count = self.kept.len();
        for id in self.kept.keys().copied().collect::<Vec<_>>() {
            if self.bench().store.event(id).await.unwrap().is_none() {
                let gone = self.kept.remove(&id);
                let may_go = gone.is_some_and(|kept| kept.is_finished());
                assert!(may_go && id.millis() < before, "{id} must stay");
            }
        }
        assert_eq!(count - self.kept.len(), purged.events as usize);
    }

    async fn reopen(&mut self, end: End) {
        self.bench().store.recorded().await.unwrap();
        let bench = self.bench.take().expect("open between two steps");
        self.bench = Some(bench.reopened(end).await);
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Append { key } => self.append(key).await,
            Step::Route { event, to, changed, due } => self.route(event, to, changed, due).await,
            Step::End { event, state } => self.end(event, EventState::ALL[state], 0),
            Step::Retry { event, due } => self.end(event, EventState::Accepted, due),
            Step::Settle { event, to, next } => self.settle(event, to, next),
            Step::Replay { event, to } => self.replay(event, to).await,
            Step::Tick(by) => {
                self.now += by;
                self.bench().clock.set(self.now);
            }
            Step::Purge { age } => self.purge(age).await,
            Step::Reopen => self.reopen(End::Orderly).await,
            Step::Crash => self.reopen(End::Crash).await,
        }
    }

    async fn check(&self) {
        let query = EventQuery { limit: 1_000, ..EventQuery::default() };
        let rows = self.bench().store.events(&query).await.unwrap();
        assert_eq!(rows.len(), self.kept.len());
        for (row, kept) in rows.iter().rev().zip(self.kept.values()) {
            assert_eq!((row.id, row.state), (kept.event.id, kept.state));
            assert_eq!(row.replays, kept.replays);
            let said =
                row.deliveries.iter().map(|one| (one.destination.clone(), one.state, one.attempts));
            let said: std::collections::BTreeSet<_> = said.map(|one| format!("{one:?}")).collect();
            let meant = kept
                .sent
                .iter()
                .map(|(to, sent)| (DESTINATIONS[*to].to_owned(), sent.state, sent.attempts));
            assert_eq!(said, meant.map(|one| format!("{one:?}")).collect());
        }
        self.check_waiting().await;
        self.check_backlog().await;
        assert_eq!(self.bench().store.usage().await.unwrap().events as usize, self.kept.len());
    }

    async fn check_waiting(&self) {
        for (number, name) in DESTINATIONS.iter().enumerate() {
            let sent = self.kept.values().filter_map(|kept| Some((kept, kept.sent.get(&number)?)));
            let mut meant: Vec<_> = sent
                .filter(|(_, sent)| sent.state == DeliveryState::Waiting && sent.due <= self.now)
                .map(|(kept, sent)| {
                    (sent.due, kept.event.id.row(), sent.tries, sent.attempts, sent.body.clone())
                })
                .collect();
            meant.sort();
            let (mut said, mut after) = (Vec::new(), None::<Cursor>);
            loop {
                let claim = Claim { of: name, now_ms: self.now, after: after.as_ref(), limit: 3 };
                let page = self.bench().store.claim_deliveries(claim).await.unwrap();
                let Some(next) = page.next else { break };
                after = Some(next);
                said.extend(page.deliveries.iter().map(|one| {
                    let body = String::from_utf8(one.body().to_vec()).unwrap();
                    (one.due_ms, one.event.id.row(), one.tries, one.attempts, body)
                }));
            }
            assert_eq!(said, meant, "due for {name}");
        }
        let accepted = self.kept.values().filter(|kept| kept.state == EventState::Accepted);
        let (mut now, later): (Vec<_>, Vec<_>) = accepted.partition(|kept| kept.due <= self.now);
        now.sort_by_key(|kept| kept.due);
        let page = self.bench().unrouted(self.now).await;
        let said: Vec<_> = page.events.iter().map(|one| (one.event.id, one.replay)).collect();
        let meant: Vec<_> = now.iter().map(|kept| (kept.event.id, kept.replays > 0)).collect();
        assert_eq!(said, meant);
        assert_eq!(page.next_due_ms, later.iter().map(|kept| kept.due).min());
    }

    async fn check_backlog(&self) {
        for backlog in self.bench().store.backlog().await.unwrap() {
            let number = DESTINATIONS.iter().position(|name| *name == backlog.destination).unwrap();
            let in_state = |state| {
                let kept = self.kept.values();
                let ids = kept
                    .filter(move |kept| kept.sent.get(&number).is_some_and(|s| s.state == state));
                ids.map(|kept| kept.event.id)
            };
            assert_eq!(backlog.waiting as usize, in_state(DeliveryState::Waiting).count());
            assert_eq!(backlog.dead as usize, in_state(DeliveryState::Dead).count());
            let oldest = in_state(DeliveryState::Waiting).next().map(EventId::millis);
            assert_eq!(backlog.oldest_ms, oldest);
        }
    }
}

pub fn the_store_says_what_the_model_says<E: Engine>() {
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..60))| {
        run(async {
            let mut world = World::<E>::new();
            for (number, step) in steps.into_iter().enumerate() {
                world.apply(step).await;
                if number % 5 == 4 {
                    world.check().await;
                }
            }
            world.check().await;
        });
    });
}
