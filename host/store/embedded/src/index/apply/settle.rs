//! What the index does with attempts, replays, disabled destinations and lost records.
use rusqlite::{OptionalExtension, params};

use super::applier::{Applier, attempt_bytes, state_of};
use super::order::OrderPosition;
use crate::error::ReadError;
use crate::index::counts::Delta;
use crate::index::schema::BEHIND;
use crate::queries::query::{Stored, locator};
use hookwright_model::{Delivery, DeliveryState, EventState};
use hookwright_store::{Condition, GivenUp, Next, Settled};

impl Applier<'_> {
    pub(crate) fn delivery(
        &mut self,
        row: i64,
        dest: i64,
    ) -> rusqlite::Result<Option<(DeliveryState, u32)>> {
        let found = self
            .statements
            .find_delivery
            .query_row([row, dest], |row| Ok((state_of(row.get(0)?)?, row.get(1)?)));
        found.optional()
    }

    pub(crate) fn settle(&mut self, settled: &Settled, delta: &mut Delta) -> rusqlite::Result<()> {
        let row = settled.key.event.row();
        let dest = self.destinations.number(&settled.key.destination)?;
        let number = settled.attempt.number;
        let data = attempt_bytes(&mut self.buffer, &settled.attempt);
        let first = (number == 1).then_some(data);
        let (next, cause) = after(&settled.next);
        let changed = if let Next::Retry { due_ms } = &settled.next {
            let due = (*due_ms).min(i64::MAX as u64) as i64;
            self.statements.settle_retry.execute(params![row, dest, due, number, first])?
        } else {
            let last = params![row, dest, next as i64, number, cause, first];
            self.statements.settle_last.execute(last)?
        };
        if changed == 1 {
            delta.moved(dest, Some(DeliveryState::Waiting), Some(next));
        } else if !self.settle_late(settled, (row, dest), next, delta)? {
            return Ok(());
        }
        if number != 1 {
            let data = attempt_bytes(&mut self.buffer, &settled.attempt);
            self.statements.insert_attempt.execute(params![row, dest, number, data])?;
        }
        if settled.ordered && next != DeliveryState::Waiting {
            self.ended((row, dest), &settled.key.destination, delta)?;
        }
        Ok(())
    }

    /// A delivery that waits ends as dead; one that has ended stays as it is.
    pub(crate) fn give_up(
        &mut self,
        given_up: &GivenUp,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let GivenUp { key, cause, ordered } = given_up;
        let place = (key.event.row(), self.destinations.number(&key.destination)?);
        let changed = self.conn.execute(
            "UPDATE delivery SET state = 2, cause = ?3
             WHERE event = ?1 AND dest = ?2 AND +state IN (0, 3)",
            params![place.0, place.1, cause],
        )?;
        if changed == 0 {
            return Ok(());
        }
        delta.moved(place.1, Some(DeliveryState::Waiting), Some(DeliveryState::Dead));
        if *ordered { self.ended(place, &key.destination, delta) } else { Ok(()) }
    }

    /// An attempt that ends after its delivery did (two rounds overlapped): it
    /// is kept, and success wins. False where there is no such delivery.
    fn settle_late(
        &mut self,
        settled: &Settled,
        (row, dest): (i64, i64),
        next: DeliveryState,
        delta: &mut Delta,
    ) -> rusqlite::Result<bool> {
        let Some((state, _)) = self.delivery(row, dest)? else {
            tracing::warn!(event = %settled.key.event, destination = %settled.key.destination,
                "an attempt of a delivery that has no row");
            return Ok(false);
        };
        let data = attempt_bytes(&mut self.buffer, &settled.attempt);
        let first = (settled.attempt.number == 1).then_some(data);
        let won = next == DeliveryState::Delivered && state == DeliveryState::Dead;
        let after = if won { next } else { state };
        self.conn.execute(
            "UPDATE delivery SET state = ?3, cause = iif(?4, NULL, cause),
             attempts = max(attempts, ?5), first = ifnull(?6, first) WHERE event = ?1 AND dest = ?2",
            params![row, dest, after as i64, won, settled.attempt.number, first],
        )?;
        delta.moved(dest, Some(state), Some(after));
        Ok(true)
    }

    pub(crate) fn replay_event(&mut self, row: i64, delta: &mut Delta) -> rusqlite::Result<bool> {
        let changed = self.conn.execute(
            "UPDATE event SET state = 0, reason = NULL, due = 0, tries = 0, replays = replays + 1
             WHERE id = ?1",
            [row],
        )?;
        Ok(changed == 1 || self.replay_aside(row, delta)?)
    }

    /// False where there is no such delivery; else it, where it can be read.
    pub(crate) fn replay_delivery(
        &mut self,
        row: i64,
        name: &str,
        now_ms: u64,
        delta: &mut Delta,
    ) -> rusqlite::Result<(bool, Option<Delivery>)> {
        let Some(dest) = self.destinations.find(name)? else { return Ok((false, None)) };
        let Some((state, _)) = self.delivery(row, dest)? else { return Ok((false, None)) };
        let behind = match self.order_position(row, dest)? {
            Some(OrderPosition { key: Some(key), head: false }) => {
                self.is_taken(dest, &key, row)?
            }
            _ => false,
        };
        self.conn.execute(
            "UPDATE delivery SET state = ?4, due = ?3, tries = 0, cause = NULL, replayed = 1
             WHERE event = ?1 AND dest = ?2",
            params![row, dest, now_ms as i64, if behind { BEHIND } else { 0 }],
        )?;
        delta.moved(dest, Some(state), Some(DeliveryState::Waiting));
        if behind {
            return Ok((true, None));
        }
        match self.read_back(row, dest, name)? {
            Ok(delivery) => return Ok((true, Some(delivery))),
            Err(error) if error.is_lasting() => {
                self.end_delivery((row, dest), name, &error, delta)?;
            }
            Err(error) => tracing::warn!(%error, "a delivery to be replayed can't be read yet"),
        }
        Ok((true, None))
    }

    /// The delivery with its contents. On this thread no record moves meanwhile.
    pub(crate) fn read_back(
        &mut self,
        row: i64,
        dest: i64,
        name: &str,
    ) -> rusqlite::Result<Result<Delivery, ReadError>> {
        let stored = self.conn.query_row(
            "SELECT d.event, e.segment, e.offset, e.length, d.pay_segment, d.pay_offset,
             d.pay_length, d.due, d.order_key, d.tries, d.attempts, d.replayed
             FROM delivery d JOIN event e ON e.id = d.event WHERE d.event = ?1 AND d.dest = ?2",
            [row, dest],
            Stored::read,
        )?;
        let destination =
            name.parse().map_err(|_| rusqlite::Error::InvalidParameterName(name.to_owned()))?;
        Ok(stored.delivery(&self.segments, &destination))
    }

    pub(crate) fn set_condition(
        &mut self,
        name: &str,
        condition: &Condition,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let dest = self.destinations.number(name)?;
        delta.set_name(dest, name);
        let Condition { disabled, paused_until_ms, failing_since_ms } = condition;
        let time = |ms: &Option<u64>| ms.map(|ms| ms.min(i64::MAX as u64) as i64);
        let update =
            "UPDATE destination SET disabled = ?2, paused = ?3, failing = ?4 WHERE id = ?1";
        let values = params![dest, disabled, time(paused_until_ms), time(failing_since_ms)];
        self.conn.execute(update, values).map(drop)
    }

    /// What can't be read can't be sent: it ends as dead, with the reason,
    /// instead of being tried for ever. It is read once more first, since a
    /// purge may have moved it while the reader looked.
    pub(crate) fn unreadable(
        &mut self,
        row: i64,
        destination: Option<&str>,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let Some(name) = destination else { return self.end_unreadable_event(row) };
        let Some(dest) = self.destinations.find(name)? else { return Ok(()) };
        let waiting =
            self.delivery(row, dest)?.is_some_and(|(state, _)| state == DeliveryState::Waiting);
        if !waiting {
            return Ok(());
        }
        match self.read_back(row, dest, name)? {
            Err(error) if error.is_lasting() => self.end_delivery((row, dest), name, &error, delta),
            _ => Ok(()),
        }
    }

    pub(crate) fn end_unreadable_event(&mut self, row: i64) -> rusqlite::Result<()> {
        let find = "SELECT segment, offset, length FROM event WHERE id = ?1 AND +state = 0";
        let found = self.conn.query_row(find, [row], |row| locator(row, 0)).optional()?;
        let Some(at) = found else { return Ok(()) };
        match self.segments.event(row, at) {
            Err(error) if error.is_lasting() => {
                tracing::error!(row, %error, "an event can't be read any more; it ends as dead");
                let end = "UPDATE event SET state = ?2, reason = ?3 WHERE id = ?1";
                let dead = EventState::Dead as i64;
                self.conn.execute(end, params![row, dead, error.to_string()]).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn end_delivery(
        &mut self,
        (row, dest): (i64, i64),
        name: &str,
        error: &ReadError,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        self.end_as_dead((row, dest), error, delta)?;
        self.ended((row, dest), name, delta)
    }

    /// The row goes, with its attempts, and those behind it come forward.
    pub(crate) fn drop_delivery(
        &mut self,
        row: i64,
        dest: i64,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let place = self.order_position(row, dest)?;
        let drop = "DELETE FROM delivery WHERE event = ?1 AND dest = ?2 RETURNING state";
        let state = self.conn.query_row(drop, [row, dest], |row| row.get(0)).optional()?;
        // One that is no state was not counted.
        let state = state.and_then(|state| state_of(state).ok());
        delta.moved(dest, state, None);
        let drop = "DELETE FROM attempt WHERE event = ?1 AND dest = ?2";
        self.conn.execute(drop, [row, dest])?;
        let find = "SELECT text FROM destination WHERE id = ?1";
        let name: String = self.conn.query_row(find, [dest], |row| row.get(0))?;
        match place {
            Some(OrderPosition { key: Some(key), .. }) => {
                self.let_next_go(dest, &key, &name, delta)
            }
            _ => Ok(()),
        }
    }

    /// Without regard to those behind it.
    pub(crate) fn end_as_dead(
        &mut self,
        (row, dest): (i64, i64),
        error: &ReadError,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        tracing::error!(row, %error, "a delivery can't be read any more; it ends as dead");
        self.conn.execute(
            "UPDATE delivery SET state = 2, cause = ?3 WHERE event = ?1 AND dest = ?2",
            params![row, dest, error.to_string()],
        )?;
        delta.moved(dest, Some(DeliveryState::Waiting), Some(DeliveryState::Dead));
        Ok(())
    }
}

/// Whether the delivery's first attempt was its last: its row is written once.
pub(crate) fn is_whole(settled: &Settled) -> bool {
    settled.attempt.number == 1 && !matches!(settled.next, Next::Retry { .. })
}

/// A delivery's state after an attempt, and why where it is dead.
pub(crate) fn after(next: &Next) -> (DeliveryState, Option<&str>) {
    match next {
        Next::Delivered => (DeliveryState::Delivered, None),
        Next::Retry { .. } => (DeliveryState::Waiting, None),
        Next::Dead { cause } => (DeliveryState::Dead, Some(cause)),
    }
}
