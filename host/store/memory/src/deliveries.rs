//! The rows of deliveries, and the order of those that have an order key.
use std::collections::BTreeMap;
use std::sync::Arc;

use hookwright_model::{Attempt, Delivery, DeliveryKey, DeliveryState};
use hookwright_store::{DuePage, GivenUp, Next, Settled};

use super::Follow;
use super::events::{At, Tables, cursor};

/// What a plugin may put a delivery off by, and a day more, in milliseconds.
const LONGEST_DELAY_MS: u64 = 367 * 24 * 3_600_000;

/// A delivery's row.
pub(super) struct Sent {
    pub(super) delivery: Delivery,
    pub(super) state: DeliveryState,
    /// It waits for an earlier one of its order key to end.
    pub(super) behind: bool,
    pub(super) cause: Option<String>,
    /// By their numbers.
    pub(super) log: BTreeMap<u32, Attempt>,
}

impl Sent {
    /// Due by the clock, or behind another one.
    pub(super) fn waits(&self) -> bool {
        self.state == DeliveryState::Waiting
    }

    fn is_head(&self) -> bool {
        self.waits() && !self.behind
    }

    fn has_key(&self, destination: &str, key: &str) -> bool {
        *self.delivery.destination == *destination
            && self.delivery.order_key.as_deref() == Some(key)
    }

    fn row(&self) -> i64 {
        self.delivery.event.id.row()
    }
}

impl Tables {
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.events.values().flat_map(|kept| &kept.sent)
    }

    fn sent_mut(&mut self) -> impl Iterator<Item = &mut Sent> {
        self.events.values_mut().flat_map(|kept| &mut kept.sent)
    }

    fn find(&mut self, row: i64, destination: &str) -> Option<&mut Sent> {
        let mut sent = self.events.get_mut(&row)?.sent.iter_mut();
        sent.find(|sent| *sent.delivery.destination == *destination)
    }

    /// Whether another delivery of the key waits.
    fn is_taken(&self, destination: &str, key: &str, row: i64) -> bool {
        self.sent().any(|one| one.waits() && one.has_key(destination, key) && one.row() != row)
    }

    /// A new delivery, or a new round of one that is there.
    pub(super) fn deliver(&mut self, mut delivery: Delivery, follow: &mut Follow) {
        let (row, destination) = (delivery.event.id.row(), delivery.destination.clone());
        self.destinations.insert(destination.clone());
        let key = delivery.order_key.clone();
        let taken = key.as_ref().is_some_and(|key| self.is_taken(&destination, key, row));
        let Some(sent) = self.find(row, &destination) else {
            let sent = Sent {
                delivery: delivery.clone(),
                state: DeliveryState::Waiting,
                behind: taken,
                cause: None,
                log: BTreeMap::new(),
            };
            if let Some(kept) = self.events.get_mut(&row) {
                kept.sent.push(sent);
            }
            if !taken {
                follow.ready.push(delivery);
            }
            return;
        };
        delivery.attempts = sent.delivery.attempts;
        delivery.replayed = true;
        let former = sent.delivery.order_key.clone();
        sent.behind = taken && !(sent.is_head() && former == key);
        (sent.state, sent.cause) = (DeliveryState::Waiting, None);
        sent.delivery = delivery.clone();
        if !sent.behind {
            follow.ready.push(delivery);
        }
        self.let_next_go(&destination, former.as_deref(), follow);
    }

    /// Where none of the key is due any more, that of the earliest event is.
    fn let_next_go(&mut self, destination: &str, key: Option<&str>, follow: &mut Follow) {
        let Some(key) = key else { return };
        let chain = self.sent().filter(|one| one.has_key(destination, key) && one.waits());
        let chain: Vec<_> = chain.map(|one| (one.row(), one.is_head())).collect();
        let has_head = chain.iter().any(|(_, head)| *head);
        let first = chain.first().filter(|_| !has_head).map(|(row, _)| *row);
        if let Some(next) = first.and_then(|row| self.find(row, destination)) {
            next.behind = false;
            follow.ready.push(next.delivery.clone());
        }
    }

    fn ended(&mut self, key: &DeliveryKey, follow: &mut Follow) {
        let found = self.find(key.event.row(), &key.destination);
        let order_key = found.and_then(|sent| sent.delivery.order_key.clone());
        self.let_next_go(&key.destination, order_key.as_deref(), follow);
    }

    /// An attempt that ends after its delivery did (two rounds overlapped) is
    /// kept, and success wins.
    pub(super) fn settle(&mut self, settled: Settled, follow: &mut Follow) {
        let Settled { key, attempt, next, ordered } = settled;
        let Some(sent) = self.find(key.event.row(), &key.destination) else { return };
        let waited = sent.waits();
        sent.delivery.attempts = sent.delivery.attempts.max(attempt.number);
        sent.delivery.tries += u32::from(waited);
        sent.log.insert(attempt.number, attempt);
        let ends = !matches!(next, Next::Retry { .. });
        match next {
            Next::Retry { due_ms } if waited => sent.delivery.due_ms = due_ms,
            Next::Delivered if waited || sent.state == DeliveryState::Dead => {
                (sent.state, sent.behind, sent.cause) = (DeliveryState::Delivered, false, None);
            }
            Next::Dead { cause } if waited => {
                (sent.state, sent.behind, sent.cause) = (DeliveryState::Dead, false, Some(cause));
            }
            _ => {}
        }
        if ordered && ends {
            self.ended(&key, follow);
        }
    }

    pub(super) fn give_up(&mut self, given_up: GivenUp, follow: &mut Follow) {
        let GivenUp { key, cause, ordered } = given_up;
        let found = self.find(key.event.row(), &key.destination);
        let Some(sent) = found.filter(|sent| sent.waits()) else { return };
        (sent.state, sent.behind, sent.cause) = (DeliveryState::Dead, false, Some(cause));
        if ordered {
            self.ended(&key, follow);
        }
    }

    /// A new round of one delivery. False where there is no such delivery.
    pub(super) fn replay_delivery(
        &mut self,
        row: i64,
        destination: &str,
        now_ms: u64,
        follow: &mut Follow,
    ) -> bool {
        let Some(sent) = self.find(row, destination) else { return false };
        let (head, key) = (sent.is_head(), sent.delivery.order_key.clone());
        let taken = key.is_some_and(|key| self.is_taken(destination, &key, row));
        let Some(sent) = self.find(row, destination) else { return false };
        sent.behind = taken && !head;
        (sent.state, sent.cause) = (DeliveryState::Waiting, None);
        let again = &mut sent.delivery;
        (again.due_ms, again.tries, again.replayed) = (now_ms, 0, true);
        if !sent.behind {
            follow.ready.push(sent.delivery.clone());
        }
        true
    }

    pub(super) fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<At>,
        limit: usize,
    ) -> DuePage {
        let due = |sent: &&Sent| sent.is_head() && *sent.delivery.destination == *destination;
        let at = |sent: &Sent| (sent.delivery.due_ms, sent.row());
        let mut all: Vec<(At, &Sent)> =
            self.sent().filter(due).map(|sent| (at(sent), sent)).collect();
        all.retain(|(at, _)| after.is_none_or(|after| *at > after));
        all.sort_by_key(|(at, _)| *at);
        let due = all.iter().take(limit).take_while(|((due_ms, _), _)| *due_ms <= now_ms).count();
        DuePage {
            deliveries: all[..due].iter().map(|(_, sent)| sent.delivery.clone()).collect(),
            next: all[..due].last().map(|(at, _)| cursor(*at)),
            next_due_ms: all.get(due).map(|((due_ms, _), _)| *due_ms),
        }
    }

    pub(super) fn rein_in_deliveries(
        &mut self,
        destination: &str,
        now_ms: u64,
        longest_ms: u64,
    ) -> u64 {
        let limit_ms = now_ms.saturating_add(longest_ms);
        let mut count = 0;
        let own = |sent: &&mut Sent| *sent.delivery.destination == *destination;
        for sent in self.sent_mut().filter(own).filter(|sent| sent.is_head()) {
            let Delivery { due_ms, tries, event, .. } = &mut sent.delivery;
            let received_ms = event.received_ms;
            let ahead = (now_ms + 1..=*due_ms).contains(&received_ms);
            let far = *due_ms > limit_ms.saturating_add(LONGEST_DELAY_MS);
            if *due_ms <= limit_ms || !(*tries > 0 || far || ahead) {
                continue;
            }
            // One that a plugin put off, of an event that came while the clock
            // was ahead, waits for as long from now on.
            let put_off = match *tries == 0 && received_ms > now_ms {
                true => due_ms.saturating_sub(received_ms),
                false => 0,
            };
            *due_ms = now_ms.saturating_add(put_off);
            count += 1;
        }
        count
    }

    /// Those behind another one go first, so that none is left behind nothing.
    pub(super) fn discard(&mut self, destination: &str, cause: &str, most: usize) -> u64 {
        let mut ended = 0;
        for behind in [true, false] {
            let own = |sent: &&mut Sent| {
                sent.waits() && sent.behind == behind && *sent.delivery.destination == *destination
            };
            for sent in self.sent_mut().filter(own).take(most.saturating_sub(ended)) {
                sent.state = DeliveryState::Dead;
                (sent.behind, sent.cause) = (false, Some(cause.to_owned()));
                ended += 1;
            }
        }
        ended as u64
    }

    /// What of a delivery differs from its event.
    pub(super) fn payload(sent: &Sent) -> Option<hookwright_model::Payload> {
        sent.delivery.payload.as_ref().map(|payload| Arc::unwrap_or_clone(Arc::clone(payload)))
    }
}
