//! The table of deliveries and that of their attempts, row by row.
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::index::columns::delivery_state;
use crate::index::schema::BEHIND;
use crate::index::stored::StoredDelivery;
use crate::journal::codec;
use crate::journal::locator::Locator;
use hookwright_model::{Attempt, Delivery, DeliveryState};
use hookwright_store::{Next, Settled};

/// The key of a delivery's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeliveryId {
    /// The event's row.
    pub(super) event: i64,
    /// The destination's number.
    pub(super) dest: i64,
}

/// Writes the rows of deliveries and attempts, without regard to ordering-key queues and counts: those are the concern
/// of [`super::deliveries::Deliveries`], its one user.
pub(super) struct DeliveryRows<'c> {
    conn: &'c Connection,
    insert: Statement<'c>,
    revive: Statement<'c>,
    find: Statement<'c>,
    settle_last: Statement<'c>,
    settle_retry: Statement<'c>,
    insert_attempt: Statement<'c>,
    /// Scratch for an attempt as it is stored.
    buffer: Vec<u8>,
}

impl<'c> DeliveryRows<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            insert: conn.prepare(
                "INSERT INTO delivery VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT(event, dest) DO NOTHING",
            )?,
            revive: conn.prepare(
                "UPDATE delivery SET state = ?9, due = ?3, tries = ?4, cause = NULL, order_key = ?5, replayed = 1,
                 pay_segment = ?6, pay_offset = ?7, pay_length = ?8 WHERE event = ?1 AND dest = ?2",
            )?,
            find: conn
                .prepare("SELECT state, attempts FROM delivery WHERE event = ?1 AND dest = ?2")?,
            settle_last: conn.prepare(
                "UPDATE delivery SET state = ?3, tries = tries + 1, attempts = max(attempts, ?4),
                 cause = ?5, first = ifnull(?6, first)
                 WHERE event = ?1 AND dest = ?2 AND +state IN (0, 3)",
            )?,
            settle_retry: conn.prepare(
                "UPDATE delivery SET due = ?3, tries = tries + 1, attempts = max(attempts, ?4),
                 first = ifnull(?5, first)
                 WHERE event = ?1 AND dest = ?2 AND +state IN (0, 3)",
            )?,
            insert_attempt: conn
                .prepare("INSERT OR REPLACE INTO attempt VALUES(?1, ?2, ?3, ?4)")?,
            buffer: Vec::new(),
        })
    }

    /// Inserts a delivery, ended already where its one attempt is known. Answers the state that it has then; none
    /// where it had a row before.
    pub(super) fn insert(
        &mut self,
        id: DeliveryId,
        delivery: &Delivery,
        (payload, behind): (Option<Locator>, bool),
        whole: Option<&Settled>,
    ) -> rusqlite::Result<Option<DeliveryState>> {
        let (next, cause) = whole.map_or((DeliveryState::Waiting, None), |one| after(&one.next));
        let first = whole.map(|one| encoded(&mut self.buffer, &one.attempt));
        let made = u32::from(whole.is_some());
        let inserted = self.insert.execute(params![
            id.event,
            id.dest,
            if behind { BEHIND } else { next as i64 },
            delivery.due_ms.min(i64::MAX as u64) as i64,
            delivery.tries + made,
            delivery.attempts + made,
            cause,
            delivery.order_key.as_deref(),
            payload.map(|at| at.segment),
            payload.map(|at| at.offset as i64),
            payload.map(|at| at.length),
            first,
            delivery.replayed
        ])?;
        Ok((inserted == 1).then_some(next))
    }

    /// Starts a new round in a row that is there; its attempts continue to count.
    pub(super) fn revive(
        &mut self,
        id: DeliveryId,
        delivery: &Delivery,
        (payload, behind): (Option<Locator>, bool),
    ) -> rusqlite::Result<()> {
        let revived = self.revive.execute(params![
            id.event,
            id.dest,
            delivery.due_ms.min(i64::MAX as u64) as i64,
            delivery.tries,
            delivery.order_key.as_deref(),
            payload.map(|at| at.segment),
            payload.map(|at| at.offset as i64),
            payload.map(|at| at.length),
            if behind { BEHIND } else { 0 },
        ]);
        revived.map(drop)
    }

    /// The state, and how many attempts were made.
    pub(super) fn find(
        &mut self,
        id: DeliveryId,
    ) -> rusqlite::Result<Option<(DeliveryState, u32)>> {
        let found = self
            .find
            .query_row([id.event, id.dest], |row| Ok((delivery_state(row.get(0)?)?, row.get(1)?)));
        found.optional()
    }

    /// Records what follows from an attempt of a delivery that waits. False where there is none that waits.
    pub(super) fn settle(&mut self, id: DeliveryId, settled: &Settled) -> rusqlite::Result<bool> {
        let number = settled.attempt.number;
        let data = encoded(&mut self.buffer, &settled.attempt);
        let first = (number == 1).then_some(data);
        let changed = if let Next::Retry { due_ms } = &settled.next {
            let due = (*due_ms).min(i64::MAX as u64) as i64;
            self.settle_retry.execute(params![id.event, id.dest, due, number, first])?
        } else {
            let (next, cause) = after(&settled.next);
            let last = params![id.event, id.dest, next as i64, number, cause, first];
            self.settle_last.execute(last)?
        };
        Ok(changed == 1)
    }

    /// Records an attempt that ended after its delivery did, which had come to `state`: two rounds overlapped. The
    /// attempt is kept, and success wins. Answers the state that the delivery has then.
    pub(super) fn settle_late(
        &mut self,
        id: DeliveryId,
        settled: &Settled,
        state: DeliveryState,
    ) -> rusqlite::Result<DeliveryState> {
        let (next, _) = after(&settled.next);
        let data = encoded(&mut self.buffer, &settled.attempt);
        let first = (settled.attempt.number == 1).then_some(data);
        let won = next == DeliveryState::Delivered && state == DeliveryState::Dead;
        let after = if won { next } else { state };
        self.conn.execute(
            "UPDATE delivery SET state = ?3, cause = iif(?4, NULL, cause),
             attempts = max(attempts, ?5), first = ifnull(?6, first) WHERE event = ?1 AND dest = ?2",
            params![id.event, id.dest, after as i64, won, settled.attempt.number, first],
        )?;
        Ok(after)
    }

    /// Keeps an attempt in a row of its own, where it is not the first, which the delivery's row has.
    pub(super) fn add_later_attempt(
        &mut self,
        id: DeliveryId,
        attempt: &Attempt,
    ) -> rusqlite::Result<()> {
        if attempt.number != 1 {
            let data = encoded(&mut self.buffer, attempt);
            self.insert_attempt.execute(params![id.event, id.dest, attempt.number, data])?;
        }
        Ok(())
    }

    /// Ends a delivery that waits as dead. False where none waits.
    pub(super) fn give_up(&self, id: DeliveryId, cause: &str) -> rusqlite::Result<bool> {
        let changed = self.conn.execute(
            "UPDATE delivery SET state = 2, cause = ?3
             WHERE event = ?1 AND dest = ?2 AND +state IN (0, 3)",
            params![id.event, id.dest, cause],
        )?;
        Ok(changed > 0)
    }

    /// Ends a delivery as dead, whatever its state.
    pub(super) fn end_as_dead(&self, id: DeliveryId, cause: &str) -> rusqlite::Result<()> {
        let end = "UPDATE delivery SET state = 2, cause = ?3 WHERE event = ?1 AND dest = ?2";
        self.conn.execute(end, params![id.event, id.dest, cause]).map(drop)
    }

    /// Starts a new round that a person asked for.
    pub(super) fn replay(&self, id: DeliveryId, now_ms: u64, behind: bool) -> rusqlite::Result<()> {
        let state = if behind { BEHIND } else { 0 };
        let replay =
            "UPDATE delivery SET state = ?4, due = ?3, tries = 0, cause = NULL, replayed = 1
             WHERE event = ?1 AND dest = ?2";
        self.conn.execute(replay, params![id.event, id.dest, now_ms as i64, state]).map(drop)
    }

    /// Deletes the row with its attempts; answers the state that it had, where that is a known one.
    pub(super) fn delete(&self, id: DeliveryId) -> rusqlite::Result<Option<DeliveryState>> {
        let delete = "DELETE FROM delivery WHERE event = ?1 AND dest = ?2 RETURNING state";
        let key = [id.event, id.dest];
        let state = self.conn.query_row(delete, key, |row| row.get(0)).optional()?;
        let delete = "DELETE FROM attempt WHERE event = ?1 AND dest = ?2";
        self.conn.execute(delete, key)?;
        Ok(state.and_then(|state| delivery_state(state).ok()))
    }

    /// The row as the reads that claim deliveries see it.
    pub(super) fn stored(&self, id: DeliveryId) -> rusqlite::Result<StoredDelivery> {
        self.conn.query_row(
            "SELECT d.event, e.segment, e.offset, e.length, d.pay_segment, d.pay_offset,
             d.pay_length, d.due, d.order_key, d.tries, d.attempts, d.replayed
             FROM delivery d JOIN event e ON e.id = d.event WHERE d.event = ?1 AND d.dest = ?2",
            [id.event, id.dest],
            StoredDelivery::read,
        )
    }
}

/// An attempt as it is stored.
fn encoded<'b>(buffer: &'b mut Vec<u8>, attempt: &Attempt) -> &'b [u8] {
    buffer.clear();
    codec::put_attempt(buffer, attempt);
    buffer
}

/// A delivery's state after an attempt, and why where it is dead.
pub(super) fn after(next: &Next) -> (DeliveryState, Option<&str>) {
    match next {
        Next::Delivered => (DeliveryState::Delivered, None),
        Next::Retry { .. } => (DeliveryState::Waiting, None),
        Next::Dead { cause } => (DeliveryState::Dead, Some(cause)),
    }
}
