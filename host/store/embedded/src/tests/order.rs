//! Order keys: one delivery of each is due, under failures, replays, restarts and crashes, against a simple model.
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use hookwright_model::DeliveryState;

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

struct World {
    opened: Opened,
    events: Vec<Arc<Event>>,
    waiting: [Waiting; 2],
}

impl World {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Route { keys, changed } => {
                let event = self.opened.accept("x");
                self.events.push(event.clone());
                self.route(&event, keys, *changed);
            }
            Step::Settle { to, due, next } => self.settle(*to, *due, *next),
            Step::Replay { to, event } => {
                let Some(event) = self.pick(*event) else { return };
                let waiting = &mut self.waiting[*to];
                let key = waiting.keys[&event.id];
                waiting.enter(event.id, key);
                assert!(self.opened.store.replay(event.id, Some(DESTINATIONS[*to])).unwrap());
            }
            Step::Again { event, keys } => {
                if let Some(event) = self.pick(*event) {
                    self.route(&event, keys, false);
                }
            }
            Step::Reopen => self.reopen(false),
            Step::Crash => self.reopen(true),
        }
    }

    fn pick(&self, event: usize) -> Option<Arc<Event>> {
        self.events.get(event % self.events.len().max(1)).cloned()
    }

    fn route(&mut self, event: &Arc<Event>, keys: &[Option<u8>; 2], is_changed: bool) {
        let deliveries = DESTINATIONS.iter().zip(keys).map(|(name, key)| Delivery {
            order_key: key.map(|key| format!("github/{key}").into()),
            payload: if is_changed { changed("y") } else { None },
            ..delivery(event, name)
        });
        let first = !self.waiting[0].keys.contains_key(&event.id);
        let deliveries: Vec<_> = deliveries.collect();
        let routed = Routed { first, ..outcome(event, EventState::Routed, deliveries) };
        self.opened.store.routed(routed);
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
        let next = match next {
            0 => Next::Delivered,
            1 => dead("as the test wants"),
            later => Next::Retry { due_ms: START + 100 * u64::from(later) },
        };
        self.opened.settle(event, DESTINATIONS[to], *number, next.clone());
        if !matches!(next, Next::Retry { .. }) {
            waiting.leave(event);
        }
    }

    fn reopen(&mut self, crash: bool) {
        self.check();
        let fresh = Opened::new();
        let Opened { store, dir, clock, .. } = std::mem::replace(&mut self.opened, fresh);
        let dir = if crash { snapshot(dir.path()) } else { dir };
        store.close();
        self.opened = Opened::at(dir, clock, |_| {});
    }

    /// Read and handed on is what the model calls due, and nothing else.
    fn check(&self) {
        self.opened.store.flush().unwrap();
        for (waiting, name) in self.waiting.iter().zip(DESTINATIONS) {
            let due = waiting.due();
            let read: BTreeSet<_> = self.opened.due(name, LATER).into_iter().collect();
            assert_eq!(read, due, "{name}");
            let count = self.opened.store.backlog().unwrap();
            let count = count.iter().find(|row| row.destination == name).map(|row| row.waiting);
            assert_eq!(count.unwrap_or(0), waiting.rows.len() as u64, "those behind wait too");
        }
    }

    /// Of what was handed on since the last time, all has been due.
    fn check_handed(&self) {
        for handed in self.opened.handed.take_ready() {
            let to = DESTINATIONS.iter().position(|name| *name == &*handed.destination).unwrap();
            let due = self.waiting[to].due();
            assert!(due.contains(&handed.event.id), "handed on out of its turn");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// "FIFO per key; other keys go on while one waits for its retry; a dead letter lets its key
    /// go on; survives restarts."
    #[test]
    fn of_each_order_key_one_delivery_is_due_and_the_earliest_follows(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let (opened, events, waiting) = (Opened::new(), Vec::new(), Default::default());
        let mut world = World { opened, events, waiting };
        for step in &steps {
            world.step(step);
            world.check();
            world.check_handed();
        }
        // None is left behind for ever.
        for to in 0..2 {
            while !world.waiting[to].due().is_empty() {
                world.settle(to, 0, 0);
                world.check();
            }
            prop_assert!(world.waiting[to].rows.is_empty());
        }
    }
}

#[test]
fn one_that_waits_for_its_retry_holds_its_key_up_and_no_other() {
    let opened = Opened::new();
    let events: Vec<_> = (0..4).map(|number| opened.accept(&number.to_string())).collect();
    for (event, key) in events.iter().zip(["a", "a", "b", "a"]) {
        let keyed = Delivery { order_key: Some(key.into()), ..delivery(event, "ci") };
        opened.store.routed(outcome(event, EventState::Routed, vec![keyed]));
    }
    opened.store.flush().unwrap();
    assert_eq!(opened.due("ci", START), [events[0].id, events[2].id]);
    opened.settle(events[0].id, "ci", 1, Next::Retry { due_ms: START + 50 });
    assert_eq!(opened.due("ci", START), [events[2].id]);
    opened.settle(events[2].id, "ci", 1, Next::Delivered);
    assert!(opened.due("ci", START + 49).is_empty());
    let row = opened.store.event(events[1].id).unwrap().unwrap().deliveries.remove(0).row;
    assert_eq!((row.state, row.behind), (DeliveryState::Waiting, true));
    opened.store.flush().unwrap();
    opened.handed.take_ready();
    opened.settle(events[0].id, "ci", 2, dead("given up"));
    opened.store.flush().unwrap();
    let handed: Vec<_> = opened.handed.take_ready().iter().map(|one| one.event.id).collect();
    assert_eq!(handed, [events[1].id], "a dead letter lets the next one go");
    assert_eq!(opened.due("ci", START), [events[1].id]);
}

/// A payload goes through the journal first, an unchanged body need not.
#[test]
fn a_changed_body_is_not_overtaken_by_an_unchanged_one() {
    for _ in 0..20 {
        let opened = Opened::new();
        let events: Vec<_> = (0..6).map(|number| opened.accept(&number.to_string())).collect();
        for (number, event) in events.iter().enumerate() {
            let payload = if number % 2 == 0 { changed("y") } else { None };
            let keyed = Delivery { order_key: Some("a".into()), payload, ..delivery(event, "ci") };
            let routed = outcome(event, EventState::Routed, vec![keyed]);
            opened.store.routed(Routed { first: true, ..routed });
        }
        opened.store.flush().unwrap();
        for event in &events {
            assert_eq!(opened.due("ci", START), [event.id]);
            opened.settle(event.id, "ci", 1, Next::Delivered);
        }
    }
}

/// In steps, over a restart, and with order keys: nothing is left behind nobody.
#[test]
fn what_waits_is_discarded_in_steps_and_what_is_behind_goes_first() {
    let opened = Opened::new();
    let events: Vec<_> = (0..6).map(|number| opened.accept(&number.to_string())).collect();
    for (number, event) in events.iter().enumerate() {
        let key = (number < 4).then(|| "a".into());
        let gone = Delivery { order_key: key, ..delivery(event, "gone") };
        let all = vec![gone, delivery(event, "ci")];
        opened.store.routed(outcome(event, EventState::Routed, all));
    }
    opened.store.flush().unwrap();
    assert_eq!(opened.store.discard("nobody", "x", 10).unwrap(), 0);
    // Three are behind the first of their key.
    assert_eq!(opened.store.discard("gone", "discarded: moved", 2).unwrap(), 2);
    assert_eq!(opened.due("gone", START), [events[0].id, events[4].id, events[5].id]);
    let opened = opened.again();
    assert_eq!(opened.store.discard("gone", "discarded: moved", 2).unwrap(), 2);
    assert_eq!(opened.store.discard("gone", "discarded: moved", 3).unwrap(), 2);
    assert_eq!(opened.store.discard("gone", "discarded: moved", 3).unwrap(), 0);
    assert!(opened.due("gone", START).is_empty());
    assert_eq!(opened.due("ci", START).len(), 6);
    let backlog = opened.store.backlog().unwrap();
    let of = |name: &str| backlog.iter().find(|row| row.destination == name).unwrap().clone();
    assert_eq!((of("gone").waiting, of("gone").dead, of("gone").oldest_ms), (0, 6, None));
    assert_eq!((of("ci").waiting, of("ci").dead), (6, 0));
    let rows = opened.store.event(events[1].id).unwrap().unwrap().deliveries;
    let gone = rows.iter().find(|one| one.row.destination == "gone").unwrap();
    assert_eq!(gone.row.cause.as_deref(), Some("discarded: moved"));
    assert!(opened.store.replay(events[1].id, Some("gone")).unwrap());
    assert_eq!(opened.due("gone", START), [events[1].id]);
}
