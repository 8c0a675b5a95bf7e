//! Deliveries in the index: handed over by routing, settled by attempts, replayed, given up, each in its order.
use std::sync::Arc;

use rusqlite::Connection;

use super::delivery_rows::{DeliveryId, DeliveryRows, after};
use super::names::Names;
use super::order_queues::{OrderPosition, OrderQueues};
use crate::error::ReadError;
use crate::index::counts::Delta;
use crate::index::ops::RoutedOp;
use crate::journal::locator::Locator;
use crate::journal::segments::Segments;
use hookwright_model::{Delivery, DeliveryState};
use hookwright_store::{GivenUp, Next, Settled};

/// What becomes of deliveries: their rows, their ordering-key queues and their counts, changed together.
///
/// The applier hands it every unit of work that concerns a delivery. What a change adds to the counts, and which
/// deliveries are due by it, goes into the transaction's [`Delta`].
pub(super) struct Deliveries<'c> {
    destinations: Names<'c>,
    rows: DeliveryRows<'c>,
    queues: OrderQueues<'c>,
    segments: Arc<Segments>,
}

/// What a replay of one delivery came to.
pub(super) enum Replayed {
    /// There is no such delivery.
    Absent,
    /// It waits again: now where its contents are here, else for its turn or for its record to be readable.
    Waiting(Option<Delivery>),
}

impl<'c> Deliveries<'c> {
    pub(super) fn new(conn: &'c Connection, segments: Arc<Segments>) -> rusqlite::Result<Self> {
        Ok(Self {
            destinations: Names::new(conn, "destination")?,
            rows: DeliveryRows::new(conn)?,
            queues: OrderQueues::new(conn)?,
            segments,
        })
    }

    /// The destination's number, given now where it has none.
    pub(super) fn destination(&mut self, name: &str, delta: &mut Delta) -> rusqlite::Result<i64> {
        let dest = self.destinations.number(name)?;
        delta.set_name(dest, name);
        Ok(dest)
    }

    /// The destination's number, where it has one.
    pub(super) fn known_destination(&mut self, name: &str) -> rusqlite::Result<Option<i64>> {
        self.destinations.find(name)
    }

    /// After a rollback: numbers that were given in it are void.
    pub(super) fn forget_names(&mut self) {
        self.destinations.forget();
    }

    /// The deliveries of an outcome of routing. `settled` are attempts that have ended already; those that were the
    /// first and the last of their delivery are written with its row.
    pub(super) fn deliver(
        &mut self,
        op: &mut RoutedOp,
        settled: &[Settled],
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        op.behind.clear();
        for (index, delivery) in op.routed.deliveries.iter_mut().enumerate() {
            let payload = op.payloads.get(index).copied().flatten();
            let own = |one: &&Settled| one.key.destination == delivery.destination;
            let whole = settled.iter().filter(|one| is_whole(one)).find(own);
            if self.deliver_one(delivery, payload, whole, delta)? {
                op.behind.push(index);
            }
        }
        Ok(())
    }

    /// True where it has to wait for an earlier one of its order key.
    fn deliver_one(
        &mut self,
        delivery: &mut Delivery,
        payload: Option<Locator>,
        whole: Option<&Settled>,
        delta: &mut Delta,
    ) -> rusqlite::Result<bool> {
        let dest = self.destination(&delivery.destination, delta)?;
        let id = DeliveryId { event: delivery.event.id.row(), dest };
        let key = delivery.order_key.as_deref();
        let behind = key.map_or(Ok(false), |key| self.queues.is_taken(id, key))?;
        if let Some(state) = self.rows.insert(id, delivery, (payload, behind), whole)? {
            delta.moved(dest, None, Some(state));
            return Ok(behind);
        }
        // A replay: the row starts a new round, its attempts continue to count.
        let (state, attempts) = self.rows.find(id)?.unwrap_or((DeliveryState::Waiting, 0));
        let former = self.queues.position(id)?;
        let is_head = former.as_ref().is_some_and(|former| former.is_head_of(key));
        let behind = behind && !is_head;
        self.rows.revive(id, delivery, (payload, behind))?;
        delivery.attempts = attempts;
        delta.moved(dest, Some(state), Some(DeliveryState::Waiting));
        if let Some(OrderPosition { key: Some(former), .. }) = former {
            self.advance_queue(dest, &former, &delivery.destination, delta)?;
        }
        whole.map_or(Ok(()), |one| self.settle(one, delta))?;
        Ok(behind)
    }

    /// An attempt has ended.
    pub(super) fn settle(&mut self, settled: &Settled, delta: &mut Delta) -> rusqlite::Result<()> {
        let dest = self.destinations.number(&settled.key.destination)?;
        let id = DeliveryId { event: settled.key.event.row(), dest };
        let (next, _) = after(&settled.next);
        if self.rows.settle(id, settled)? {
            delta.moved(dest, Some(DeliveryState::Waiting), Some(next));
        } else {
            let Some((before, _)) = self.rows.find(id)? else {
                tracing::warn!(event = %settled.key.event, destination = %settled.key.destination,
                    "an attempt of a delivery that has no row");
                return Ok(());
            };
            let now = self.rows.settle_late(id, settled, before)?;
            delta.moved(dest, Some(before), Some(now));
        }
        self.rows.add_later_attempt(id, &settled.attempt)?;
        if settled.ordered && next != DeliveryState::Waiting {
            self.leave_queue(id, &settled.key.destination, delta)?;
        }
        Ok(())
    }

    /// A delivery that waits ends as dead; one that has ended stays as it is.
    pub(super) fn give_up(
        &mut self,
        given_up: &GivenUp,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let GivenUp { key, cause, ordered } = given_up;
        let dest = self.destinations.number(&key.destination)?;
        let id = DeliveryId { event: key.event.row(), dest };
        if !self.rows.give_up(id, cause)? {
            return Ok(());
        }
        delta.moved(dest, Some(DeliveryState::Waiting), Some(DeliveryState::Dead));
        if *ordered { self.leave_queue(id, &key.destination, delta) } else { Ok(()) }
    }

    /// A person wants a delivery sent again.
    pub(super) fn replay(
        &mut self,
        event: i64,
        name: &str,
        now_ms: u64,
        delta: &mut Delta,
    ) -> rusqlite::Result<Replayed> {
        let Some(dest) = self.destinations.find(name)? else { return Ok(Replayed::Absent) };
        let id = DeliveryId { event, dest };
        let Some((state, _)) = self.rows.find(id)? else { return Ok(Replayed::Absent) };
        let behind = match self.queues.position(id)? {
            Some(OrderPosition { key: Some(key), is_head: false }) => {
                self.queues.is_taken(id, &key)?
            }
            _ => false,
        };
        self.rows.replay(id, now_ms, behind)?;
        delta.moved(dest, Some(state), Some(DeliveryState::Waiting));
        if behind {
            return Ok(Replayed::Waiting(None));
        }
        match self.read_back(id, name)? {
            Ok(delivery) => return Ok(Replayed::Waiting(Some(delivery))),
            Err(error) if error.is_lasting() => self.end_unreadable(id, name, &error, delta)?,
            Err(error) => tracing::warn!(%error, "a delivery to be replayed can't be read yet"),
        }
        Ok(Replayed::Waiting(None))
    }

    /// A reader could not read a waiting delivery, which can't be sent then: it ends as dead, with the reason, instead
    /// of being tried for ever. It is read again first, since a purge may have moved it while the reader looked.
    pub(super) fn check_unreadable(
        &mut self,
        event: i64,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let Some(dest) = self.destinations.find(name)? else { return Ok(()) };
        let id = DeliveryId { event, dest };
        let found = self.rows.find(id)?;
        if !found.is_some_and(|(state, _)| state == DeliveryState::Waiting) {
            return Ok(());
        }
        match self.read_back(id, name)? {
            Err(error) if error.is_lasting() => self.end_unreadable(id, name, &error, delta),
            _ => Ok(()),
        }
    }

    /// Ends a delivery whose record is gone or damaged; the next one of its order key comes forward.
    pub(super) fn end_unreadable(
        &mut self,
        id: DeliveryId,
        name: &str,
        error: &ReadError,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        self.end_as_dead(id, error, delta)?;
        self.leave_queue(id, name, delta)
    }

    /// Deletes a delivery's row with its attempts; the next one of its order key comes forward.
    pub(super) fn delete(
        &mut self,
        event: i64,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let Some(dest) = self.destinations.find(name)? else { return Ok(()) };
        let id = DeliveryId { event, dest };
        let position = self.queues.position(id)?;
        // One whose state is not a known one was not counted.
        delta.moved(dest, self.rows.delete(id)?, None);
        match position {
            Some(OrderPosition { key: Some(key), .. }) => {
                self.advance_queue(dest, &key, name, delta)
            }
            _ => Ok(()),
        }
    }

    /// A delivery is no longer due: the next one of its key comes forward.
    fn leave_queue(
        &mut self,
        id: DeliveryId,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        match self.queues.position(id)? {
            Some(OrderPosition { key: Some(key), .. }) => {
                self.advance_queue(id.dest, &key, name, delta)
            }
            _ => Ok(()),
        }
    }

    /// Where none of the key is due, the one of the earliest event comes forward, to be handed on after the commit.
    fn advance_queue(
        &mut self,
        dest: i64,
        key: &str,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        while let Some(next) = self.queues.advance(dest, key)? {
            match self.read_back(next, name)? {
                Ok(delivery) => {
                    delta.ready.push(delivery);
                    return Ok(());
                }
                Err(error) if error.is_lasting() => self.end_as_dead(next, &error, delta)?,
                Err(error) => {
                    tracing::warn!(%error, "a delivery whose turn has come can't be read yet");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The delivery with its contents. On this thread no record moves meanwhile.
    fn read_back(
        &self,
        id: DeliveryId,
        name: &str,
    ) -> rusqlite::Result<Result<Delivery, ReadError>> {
        let stored = self.rows.stored(id)?;
        let destination =
            name.parse().map_err(|_| rusqlite::Error::InvalidParameterName(name.to_owned()))?;
        Ok(stored.delivery(&self.segments, &destination))
    }

    /// Without regard to those behind it.
    fn end_as_dead(
        &self,
        id: DeliveryId,
        error: &ReadError,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let row = id.event;
        tracing::error!(row, %error, "a delivery can't be read any more; it ends as dead");
        self.rows.end_as_dead(id, &error.to_string())?;
        delta.moved(id.dest, Some(DeliveryState::Waiting), Some(DeliveryState::Dead));
        Ok(())
    }
}

/// Whether the delivery's first attempt was its last: its row is written once.
pub(super) fn is_whole(settled: &Settled) -> bool {
    settled.attempt.number == 1 && !matches!(settled.next, Next::Retry { .. })
}
