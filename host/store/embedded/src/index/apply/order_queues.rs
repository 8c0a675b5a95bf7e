//! Ordering-key queues: of one destination's deliveries with one order key, one is due and the others are behind it.
//!
//! The states in the rows are all there is, so a queue survives a crash as its rows do: a delivery that joins a queue
//! that is not empty joins behind, and where none is due any more, that of the earliest event comes forward. Each step
//! is a lookup in a partial index.
use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::delivery_rows::DeliveryId;

pub(crate) const IS_TAKEN: &str = "
SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_head
    WHERE dest = ?1 AND order_key = ?2 AND state = 0 AND event <> ?3)
  OR EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_behind
    WHERE dest = ?1 AND order_key = ?2 AND state = 3 AND event <> ?3)";
pub(crate) const HAS_HEAD: &str = "SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_head
    WHERE dest = ?1 AND order_key = ?2 AND state = 0)";
pub(crate) const NEXT: &str = "SELECT event FROM delivery INDEXED BY delivery_behind
    WHERE dest = ?1 AND order_key = ?2 AND state = 3 ORDER BY event LIMIT 1";

/// Looks into the queues and moves them on. The deliveries' part of the applier asks it before a row is written, and
/// after one has ended.
pub(super) struct OrderQueues<'c> {
    is_taken: Statement<'c>,
    has_head: Statement<'c>,
    next: Statement<'c>,
    forward: Statement<'c>,
    position: Statement<'c>,
}

/// A delivery's position in its queue.
pub(super) struct OrderPosition {
    /// None for a delivery without an order key, which is in no queue.
    pub(super) key: Option<String>,
    /// It is due, so no other delivery with its key is.
    pub(super) is_head: bool,
}

impl OrderPosition {
    pub(super) fn is_head_of(&self, key: Option<&str>) -> bool {
        self.is_head && self.key.as_deref() == key
    }
}

impl<'c> OrderQueues<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            is_taken: conn.prepare(IS_TAKEN)?,
            has_head: conn.prepare(HAS_HEAD)?,
            next: conn.prepare(NEXT)?,
            forward: conn
                .prepare("UPDATE delivery SET state = 0 WHERE event = ?1 AND dest = ?2")?,
            position: conn
                .prepare("SELECT order_key, state FROM delivery WHERE event = ?1 AND dest = ?2")?,
        })
    }

    /// Whether another delivery of the key waits.
    pub(super) fn is_taken(&mut self, id: DeliveryId, key: &str) -> rusqlite::Result<bool> {
        self.is_taken.query_row(params![id.dest, key, id.event], |row| row.get(0))
    }

    /// None where there is no such delivery.
    pub(super) fn position(&mut self, id: DeliveryId) -> rusqlite::Result<Option<OrderPosition>> {
        let found = self.position.query_row([id.event, id.dest], |row| {
            Ok(OrderPosition { key: row.get(0)?, is_head: row.get::<_, i64>(1)? == 0 })
        });
        found.optional()
    }

    /// Makes the delivery of the earliest event due where none of the key is, and answers which one that is.
    pub(super) fn advance(&mut self, dest: i64, key: &str) -> rusqlite::Result<Option<DeliveryId>> {
        let queue = params![dest, key];
        if self.has_head.query_row(queue, |row| row.get(0))? {
            return Ok(None);
        }
        let next = self.next.query_row(queue, |row| row.get(0)).optional()?;
        let Some(event) = next else { return Ok(None) };
        self.forward.execute([event, dest])?;
        Ok(Some(DeliveryId { event, dest }))
    }
}
