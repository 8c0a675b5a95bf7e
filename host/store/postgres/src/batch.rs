//! What one transaction records: outcomes of routing, deliveries and attempts, in the order in which they were handed in.
//!
//! Most deliveries have no order key and end at the first attempt, soon after their event was routed. Those are put
//! together here and written as one row, many in one statement. All others go through the functions of the schema, one
//! after the other, and come after: no statement for the one kind touches a row of the other.
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hookwright_model::{
    Attempt, Delivery, DeliveryKey, DeliveryState, EventId, EventState, Name, StateRow,
};
use hookwright_store::{GivenUp, Next, Routed, Settled};

use super::codec;

/// What became of an event in routing.
pub(crate) struct OutcomeRow {
    pub(crate) state: i16,
    pub(crate) reason: Option<String>,
    pub(crate) verdicts: Option<Vec<u8>>,
    /// The source, where it is to be routed again.
    pub(crate) source: Option<Name>,
    pub(crate) due_ms: u64,
    pub(crate) tries: u32,
    /// The event can't have been purged.
    pub(crate) first: bool,
}

/// A first delivery without an order key: it has no row yet, and whatever happens to it, no other one depends on it.
pub(crate) struct Fresh {
    pub(crate) delivery: Delivery,
    pub(crate) state: DeliveryState,
    pub(crate) cause: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
    /// It was handed on when it was handed in.
    pub(crate) handed: bool,
}

/// Steps of one kind in a row, each by a function of the schema.
pub(crate) enum Steps {
    Deliver(Vec<Delivery>),
    Settle(Vec<Settled>),
    GiveUp(Vec<GivenUp>),
}

/// All that one transaction records.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) number: i64,
    pub(crate) outcomes: BTreeMap<EventId, OutcomeRow>,
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) steps: Vec<Steps>,
    pub(crate) state: BTreeMap<(Name, Box<str>), StateRow>,
    pub(crate) destinations: BTreeSet<Name>,
    /// Where a delivery stands in `fresh`, as long as no step has touched it.
    open: HashMap<DeliveryKey, usize>,
    /// Every delivery of the batch.
    seen: HashSet<DeliveryKey>,
    count: usize,
}

impl Batch {
    pub(crate) fn new(number: i64) -> Self {
        Self { number, ..Self::default() }
    }

    /// How much was handed in.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn route(&mut self, routed: Routed, handed: bool) {
        self.count += 1;
        for row in routed.state_rows {
            self.state.insert((row.plugin.clone(), row.key.clone()), row);
        }
        let (id, first) = (routed.event.id, routed.first);
        let accepted = routed.state == EventState::Accepted;
        let before = self.outcomes.get(&id).is_some_and(|row| row.first);
        let outcome = OutcomeRow {
            state: number(&EventState::ALL, routed.state),
            reason: routed.reason.as_deref().map(codec::text),
            verdicts: codec::from_verdicts(&routed.verdicts),
            source: accepted.then(|| routed.event.source.clone()),
            due_ms: routed.retry_ms,
            tries: routed.tries,
            first: first || before,
        };
        self.outcomes.insert(id, outcome);
        for delivery in routed.deliveries {
            self.count += 1;
            self.destinations.insert(delivery.destination.clone());
            let key = delivery.key();
            if self.seen.insert(key.clone()) && first && delivery.order_key.is_none() {
                let handed = handed && leaves_as_it_came(&delivery);
                self.open.insert(key, self.fresh.len());
                let (state, attempts) = (DeliveryState::Waiting, Vec::new());
                self.fresh.push(Fresh { delivery, state, cause: None, attempts, handed });
                continue;
            }
            self.open.remove(&key);
            match self.steps.last_mut() {
                Some(Steps::Deliver(all)) => all.push(delivery),
                _ => self.steps.push(Steps::Deliver(vec![delivery])),
            }
        }
    }

    /// The delivery, where it stands in `fresh` and waits.
    fn waiting(&mut self, key: &DeliveryKey) -> Option<&mut Fresh> {
        let fresh = self.open.get(key).and_then(|place| self.fresh.get_mut(*place))?;
        (fresh.state == DeliveryState::Waiting).then_some(fresh)
    }

    pub(crate) fn settle(&mut self, settled: Settled) {
        self.count += 1;
        if let Some(fresh) = self.waiting(&settled.key) {
            let Settled { attempt, next, .. } = settled;
            let delivery = &mut fresh.delivery;
            delivery.attempts = delivery.attempts.max(attempt.number);
            delivery.tries += 1;
            match next {
                Next::Retry { due_ms } => delivery.due_ms = due_ms,
                Next::Delivered => fresh.state = DeliveryState::Delivered,
                Next::Dead { cause } => {
                    (fresh.state, fresh.cause) = (DeliveryState::Dead, Some(codec::text(&cause)));
                }
            }
            fresh.attempts.retain(|one| one.number != attempt.number);
            fresh.attempts.push(attempt);
            return;
        }
        self.open.remove(&settled.key);
        self.seen.insert(settled.key.clone());
        match self.steps.last_mut() {
            Some(Steps::Settle(all)) => all.push(settled),
            _ => self.steps.push(Steps::Settle(vec![settled])),
        }
    }

    pub(crate) fn give_up(&mut self, given_up: GivenUp) {
        self.count += 1;
        if let Some(fresh) = self.waiting(&given_up.key) {
            (fresh.state, fresh.cause) = (DeliveryState::Dead, Some(codec::text(&given_up.cause)));
            return;
        }
        self.open.remove(&given_up.key);
        self.seen.insert(given_up.key.clone());
        match self.steps.last_mut() {
            Some(Steps::GiveUp(all)) => all.push(given_up),
            _ => self.steps.push(Steps::GiveUp(vec![given_up])),
        }
    }
}

/// Whether it is handed on within [`WorkQueue::routed`](hookwright_store::WorkQueue::routed), in a first round.
pub(crate) fn leaves_as_it_came(delivery: &Delivery) -> bool {
    delivery.order_key.is_none() && delivery.payload.is_none()
}

/// The number of a state, as the tables have it: its place among all.
pub(crate) fn number<T: PartialEq>(all: &[T], state: T) -> i16 {
    let place = all.iter().position(|one| *one == state).unwrap_or_default();
    i16::try_from(place).unwrap_or_default()
}
