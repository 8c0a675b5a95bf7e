//! The window against a model of the store, in every order of events that chance finds.
use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use crate::lane::window::{Limits, Poll, Window};
use crate::tests::{START_MS, delivery};
use hookwright_model::{Delivery, EventId};
use hookwright_store::DuePage;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Routing hands the store new deliveries, due after so many milliseconds.
    Add(Vec<u8>),
    /// The store commits what it has been told, in order.
    Commit,
    /// The store hands on what it committed last.
    HandOn,
    Start,
    /// The store is told that the attempt at this place ended: well, or to be
    /// tried again after so many milliseconds.
    End(u8, Option<u8>),
    /// The window is told of all that ended.
    Free,
    /// The next part of a poll: begin, record what was told before, read, or bring the page home.
    Poll,
    /// A person wants the finished delivery at this place once more.
    Replay(u8),
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(prop_oneof![4 => Just(0u8), 1 => any::<u8>()], 0..6).prop_map(Step::Add),
        3 => Just(Step::Commit),
        3 => Just(Step::HandOn),
        6 => Just(Step::Start),
        6 => (any::<u8>(), prop::option::weighted(0.3, any::<u8>())).prop_map(|(at, again)| Step::End(at, again)),
        6 => Just(Step::Free),
        8 => Just(Step::Poll),
        4 => any::<u8>().prop_map(Step::Replay),
        2 => any::<u8>().prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..300)
}

#[derive(Clone, Copy)]
struct Row {
    waiting: bool,
    due_ms: u64,
}

enum Told {
    Insert(u64, u64),
    Settle(u64, Option<u64>),
}

enum Polling {
    No,
    Begun(Poll),
    Flushed(Poll),
    Read(Poll, DuePage, u64),
}

struct World {
    window: Window,
    now_ms: u64,
    next: u64,
    told: Vec<Told>,
    rows: BTreeMap<u64, Row>,
    to_hand_on: Vec<u64>,
    in_flight: Vec<u64>,
    ending: Vec<(u64, Option<u64>)>,
    polling: Polling,
    /// Rounds asked for and rounds delivered.
    asked: BTreeMap<u64, usize>,
    made: BTreeMap<u64, usize>,
}

impl World {
    fn new(count: usize) -> Self {
        Self {
            window: Window::new(Limits { count, bytes: 1_000 * count }),
            now_ms: START_MS,
            next: 0,
            told: Vec::new(),
            rows: BTreeMap::new(),
            to_hand_on: Vec::new(),
            in_flight: Vec::new(),
            ending: Vec::new(),
            polling: Polling::No,
            asked: BTreeMap::new(),
            made: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Add(delays) => {
                for delay in delays {
                    self.told.push(Told::Insert(self.next, self.now_ms + u64::from(*delay)));
                    self.asked.insert(self.next, 1);
                    self.next += 1;
                }
            }
            Step::Commit => self.commit(),
            Step::HandOn => self.hand_on(),
            Step::Start => self.start(),
            Step::End(place, again) => self.end(*place, *again),
            Step::Free => self.free(),
            Step::Poll => self.poll(),
            Step::Replay(place) => self.replay(*place),
            Step::Pass(ms) => self.now_ms += u64::from(*ms),
        }
    }

    fn commit(&mut self) {
        // The store hands on before it commits anything further.
        self.hand_on();
        for told in self.told.drain(..) {
            match told {
                Told::Insert(number, due_ms) => {
                    self.rows.insert(number, Row { waiting: true, due_ms });
                    self.to_hand_on.push(number);
                }
                Told::Settle(number, again) => {
                    let row = self.rows.get_mut(&number).expect("only rows are settled");
                    assert!(row.waiting, "{number} is settled twice");
                    row.waiting = again.is_some();
                    row.due_ms = again.unwrap_or(row.due_ms);
                }
            }
        }
    }

    fn hand_on(&mut self) {
        for number in std::mem::take(&mut self.to_hand_on) {
            let delivery = self.delivery(number);
            self.window.offer(delivery, self.now_ms);
        }
    }

    fn delivery(&self, number: u64) -> Delivery {
        let size = 200 * (1 + number as usize % 8);
        Delivery { due_ms: self.rows[&number].due_ms, ..delivery(number, "a", vec![b'x'; size]) }
    }

    fn start(&mut self) {
        let Some(delivery) = self.window.pop() else { return };
        let first = EventId::first_row_at(START_MS);
        let number = (delivery.event.id.row() - first).cast_unsigned();
        assert!(!self.in_flight.contains(&number), "{number} is in flight twice");
        let made = self.made.get(&number).copied().unwrap_or(0);
        assert!(made < self.asked[&number], "{number} is sent again after its success");
        assert!(delivery.due_ms <= self.now_ms, "{number} is sent too early");
        self.in_flight.push(number);
    }

    fn end(&mut self, place: u8, again: Option<u8>) {
        if self.in_flight.is_empty() {
            return;
        }
        let number = self.in_flight.swap_remove(usize::from(place) % self.in_flight.len());
        let due_ms = again.map(|ms| self.now_ms + u64::from(ms));
        if due_ms.is_none() {
            *self.made.entry(number).or_default() += 1;
        }
        self.told.push(Told::Settle(number, due_ms));
        self.ending.push((number, due_ms));
    }

    fn free(&mut self) {
        for (number, due_ms) in self.ending.drain(..) {
            let event = EventId::new(EventId::first_row_at(START_MS) + number.cast_signed(), 7);
            self.window.ended(event, due_ms);
        }
    }

    fn poll(&mut self) {
        self.polling = match std::mem::replace(&mut self.polling, Polling::No) {
            Polling::No => match self.window.poll(self.now_ms) {
                Some(poll) => Polling::Begun(poll),
                None => Polling::No,
            },
            Polling::Begun(poll) => {
                self.commit();
                Polling::Flushed(poll)
            }
            Polling::Flushed(poll) => Polling::Read(poll, self.page(poll.limit), self.now_ms),
            Polling::Read(poll, page, now_ms) => {
                self.window.done(page, poll.limit, now_ms);
                Polling::No
            }
        };
    }

    fn page(&self, limit: usize) -> DuePage {
        let mut waiting: Vec<_> = self.rows.iter().filter(|(_, row)| row.waiting).collect();
        waiting.sort_by_key(|(number, row)| (row.due_ms, **number));
        let due =
            waiting.iter().take(limit).take_while(|(_, row)| row.due_ms <= self.now_ms).count();
        DuePage {
            deliveries: waiting[..due].iter().map(|(number, _)| self.delivery(**number)).collect(),
            next: None,
            next_due_ms: waiting.get(due).map(|(_, row)| row.due_ms),
        }
    }

    /// As the store replays: only what its row calls finished.
    fn replay(&mut self, place: u8) {
        let settling: HashSet<u64> = self
            .told
            .iter()
            .map(|told| match told {
                Told::Insert(number, _) | Told::Settle(number, _) => *number,
            })
            .collect();
        let ended =
            self.rows.iter().filter(|(number, row)| !row.waiting && !settling.contains(*number));
        let ended: Vec<u64> = ended.map(|(number, _)| *number).collect();
        if !ended.is_empty() {
            let number = ended[usize::from(place) % ended.len()];
            *self.asked.get_mut(&number).expect("known") += 1;
            self.told.push(Told::Insert(number, self.now_ms));
        }
    }

    /// From here on all goes well.
    fn settle_down(&mut self) {
        for _ in 0..100_000 {
            if self.asked == self.made && self.told.is_empty() {
                return;
            }
            self.step(&Step::Commit);
            self.step(&Step::HandOn);
            self.step(&Step::Start);
            self.step(&Step::End(0, None));
            self.step(&Step::Free);
            self.step(&Step::Poll);
            // The clock moves when nothing else does.
            if self.in_flight.is_empty()
                && self.told.is_empty()
                && matches!(self.polling, Polling::No)
            {
                self.now_ms += 5;
            }
        }
        let left: Vec<_> =
            self.asked.iter().filter(|(n, asked)| self.made.get(n) != Some(asked)).collect();
        panic!("never delivered: {left:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn each_is_delivered_once_a_round_and_never_twice_at_once(
        count in prop::sample::select(vec![1, 4, 100]), steps in steps(),
    ) {
        let mut world = World::new(count);
        for step in &steps {
            world.step(step);
        }
        let start_ms = world.now_ms;
        world.settle_down();
        // Retries and delays are short: what takes longer was lost, and only the sweep found it.
        prop_assert!(world.now_ms < start_ms + 1_000);
    }
}

#[test]
fn a_destination_that_fails_all_the_time_is_looked_at_now_and_then() {
    let mut window = Window::new(Limits::share(usize::MAX, 1));
    let mut polls = 0;
    for ms in 0..1_000 {
        if let Some(poll) = window.poll(START_MS + ms) {
            polls += 1;
            let next_due_ms = Some(START_MS + ms + 1);
            window.done(DuePage { next_due_ms, ..DuePage::default() }, poll.limit, START_MS + ms);
        }
    }
    assert!((30..=50).contains(&polls), "{polls} polls in a second");
}
