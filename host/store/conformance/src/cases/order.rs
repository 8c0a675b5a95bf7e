//! Order keys: one delivery of each is due, under failures, replays, restarts and crashes, against a simple model.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::bench::*;
use crate::{End, Engine};
use hookwright_model::{Delivery, Event, EventId, EventState};
use hookwright_store::{Next, Routed};

const DESTINATIONS: [&str; 2] = ["a", "b"];
/// Later than anything that a step makes due.
const LATER: u64 = START + 1_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// An event for both destinations, with these keys.
    Route {
        keys: [Option<u8>; 2],
        changed: bool,
    },
    /// The attempt of the n-th due delivery ended: 0 well, 1 dead, else to be tried again.
    Settle {
        to: usize,
        due: usize,
        next: u8,
    },
    /// The n-th event's delivery once more, as it was.
    Replay {
        to: usize,
        event: usize,
    },
    /// The n-th event through routing once more, with these keys.
    Again {
        event: usize,
        keys: [Option<u8>; 2],
    },
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || prop::option::weighted(0.8, 0..3u8);
    prop_oneof![
        6 => ([key(), key()], any::<bool>()).prop_map(|(keys, changed)| Step::Route { keys, changed }),
        8 => (0..2usize, 0..100usize, 0..4u8)
            .prop_map(|(to, due, next)| Step::Settle { to, due, next }),
        1 => (0..2usize, 0..100usize).prop_map(|(to, event)| Step::Replay { to, event }),
        1 => (0..100usize, [key(), key()]).prop_map(|(event, keys)| Step::Again { event, keys }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// What waits for one destination.
#[derive(Default)]
struct Waiting {
    /// By event: its key, where it has one, and whether it is due.
    rows: BTreeMap<EventId, (Option<u8>, bool)>,
    attempts: BTreeMap<EventId, u32>,
    /// Keys as they were last given.
    keys: BTreeMap<EventId, Option<u8>>,
}

impl Waiting {
    fn enter(&mut self, event: EventId, key: Option<u8>) {
        self.keys.insert(event, key);
        let before = self.rows.get(&event).copied();
        let taken = |(other, (own, _)): (&EventId, &(Option<u8>, bool))| {
            *other != event && key.is_some() && *own == key
        };
        let is_head = before.is_some_and(|(own, due)| own == key && due);
        let due = is_head || !self.rows.iter().any(taken);
        self.rows.insert(event, (key, due));
        if let Some((former, _)) = before {
            self.come_forward(former);
        }
    }

    fn leave(&mut self, event: EventId) {
        if let Some((key, _)) = self.rows.remove(&event) {
            self.come_forward(key);
        }
    }

    fn come_forward(&mut self, key: Option<u8>) {
        let of_key = |(own, _): &(Option<u8>, bool)| own.is_some() && *own == key;
        if !self.rows.values().any(|row| of_key(row) && row.1) {
            let first = self.rows.values_mut().find(|row| of_key(row));
            if let Some(first) = first {
                first.1 = true;
            }
        }
    }

    fn due(&self) -> BTreeSet<EventId> {
        self.rows.iter().filter(|(_, (_, due))| *due).map(|(event, _)| *event).collect()
    }
}

struct World<E> {
    bench: Option<Bench<E>>,
    events: Vec<Arc<Event>>,
    waiting: [Waiting; 2],
}

impl<E: Engine> World<E> {
    fn bench(&self) -> &Bench<E> {
        self.bench.as_ref().expect("open between two steps")
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Route { keys, changed } => {
                let event = self.bench().accept("x").await;
                self.events.push(event.clone());
                self.route(&event, keys, *changed);
            }
            Step::Settle { to, due, next } => self.settle(*to, *due, *next),
            Step::Replay { to, event } => {
                let Some(event) = self.pick(*event) else { return };
                let waiting = &mut self.waiting[*to];
                let key = waiting.keys[&event.id];
                waiting.enter(event.id, key);
                let replayed = self.bench().store.replay(event.id, Some(DESTINATIONS[*to]));
                assert!(replayed.await.unwrap());
            }
            Step::Again { event, keys } => {
                if let Some(event) = self.pick(*event) {
                    self.route(&event, keys, false);
                }
            }
            Step::Reopen => self.reopen(End::Orderly).await,
            Step::Crash => self.reopen(End::Crash).await,
        }
    }

    fn pick(&self, event: usize) -> Option<Arc<Event>> {
        self.events.get(event % self.events.len().max(1)).cloned()
    }

    fn route(&mut self, event: &Arc<Event>, keys: &[Option<u8>; 2], is_changed: bool) {
        let deliveries = DESTINATIONS.iter().zip(keys).map(|(name, key)| Delivery {
            order_key: key.map(|key| format!("{SOURCE}/{key}").into()),
            payload: if is_changed { changed("y") } else { None },
            ..delivery(event, name)
        });
        let first = !self.waiting[0].keys.contains_key(&event.id);
        let deliveries: Vec<_> = deliveries.collect();
        self.bench().routed(Routed { first, ..outcome(event, EventState::Routed, deliveries) });
        for (waiting, key) in self.waiting.iter_mut().zip(keys) {
            waiting.enter(event.id, *key);
        }
    }

    fn settle(&mut self, to: usize, due: usize, next: u8) {
        let waiting = &mut self.waiting[to];
        let all = waiting.due();
        let Some(event) = all.iter().nth(due % all.len().max(1)).copied() else { return };
        let number = waiting.attempts.entry(event).or_default();
        *number += 1;
        let number = *number;
        let next = match next {
            0 => Next::Delivered,
            1 => dead("as the test wants"),
            later => Next::Retry { due_ms: START + 100 * u64::from(later) },
        };
        if !matches!(next, Next::Retry { .. }) {
            waiting.leave(event);
        }
        self.bench().settle(event, DESTINATIONS[to], number, next);
    }

    async fn reopen(&mut self, end: End) {
        self.check().await;
        let bench = self.bench.take().expect("open between two steps");
        self.bench = Some(bench.reopened(end).await);
    }

    /// Claimed and handed on is what the model calls due, and nothing else.
    async fn check(&self) {
        let bench = self.bench();
        bench.store.recorded().await.unwrap();
        for (waiting, name) in self.waiting.iter().zip(DESTINATIONS) {
            let claimed: BTreeSet<_> = bench.due(name, LATER).await.into_iter().collect();
            assert_eq!(claimed, waiting.due(), "{name}");
            let (count, _) = bench.counts(name).await;
            assert_eq!(count, waiting.rows.len() as u64, "those behind wait too");
        }
    }

    /// Of what was handed on since the last time, all has been due.
    fn check_handed(&self) {
        for handed in self.bench().take_ready() {
            let to = DESTINATIONS.iter().position(|name| *name == &*handed.destination).unwrap();
            let due = self.waiting[to].due();
            assert!(due.contains(&handed.event.id), "handed on out of its turn");
        }
    }
}

/// "FIFO per key; other keys continue while one waits for its retry; a dead letter lets its key
/// continue; survives restarts."
pub fn of_each_order_key_one_delivery_is_due_and_the_earliest_follows<E: Engine>() {
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 0..60))| {
        run(async {
            let bench = Some(Bench::<E>::new());
            let mut world = World { bench, events: Vec::new(), waiting: Default::default() };
            for step in &steps {
                world.step(step).await;
                world.check().await;
                world.check_handed();
            }
            // None is left behind for ever.
            for to in 0..2 {
                while !world.waiting[to].due().is_empty() {
                    world.settle(to, 0, 0);
                    world.check().await;
                }
                assert!(world.waiting[to].rows.is_empty());
            }
        });
    });
}
