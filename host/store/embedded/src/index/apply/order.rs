//! Deliveries with an order key: of those to one destination one is due, the others are behind it.
//!
//! The states say it all, so it survives a crash as the rows do: whoever enters
//! a chain that is not empty enters behind, and where none is due any more, that
//! of the earliest event comes forward. Each step is a look-up in an index.
use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::applier::Applier;
use crate::index::counts::Delta;

pub(crate) const IS_TAKEN: &str = "
SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_head
    WHERE dest = ?1 AND order_key = ?2 AND state = 0 AND event <> ?3)
  OR EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_behind
    WHERE dest = ?1 AND order_key = ?2 AND state = 3 AND event <> ?3)";
pub(crate) const HAS_HEAD: &str = "SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_head
    WHERE dest = ?1 AND order_key = ?2 AND state = 0)";
pub(crate) const NEXT: &str = "SELECT event FROM delivery INDEXED BY delivery_behind
    WHERE dest = ?1 AND order_key = ?2 AND state = 3 ORDER BY event LIMIT 1";

pub(crate) struct Statements<'c> {
    is_taken: Statement<'c>,
    has_head: Statement<'c>,
    next: Statement<'c>,
    forward: Statement<'c>,
    place: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(crate) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            is_taken: conn.prepare(IS_TAKEN)?,
            has_head: conn.prepare(HAS_HEAD)?,
            next: conn.prepare(NEXT)?,
            forward: conn
                .prepare("UPDATE delivery SET state = 0 WHERE event = ?1 AND dest = ?2")?,
            place: conn
                .prepare("SELECT order_key, state FROM delivery WHERE event = ?1 AND dest = ?2")?,
        })
    }
}

/// A delivery's place in the order.
pub(crate) struct OrderPosition {
    pub(crate) key: Option<String>,
    /// It is due, so nobody else with its key is.
    pub(crate) head: bool,
}

impl OrderPosition {
    pub(crate) fn is_head_of(&self, key: Option<&str>) -> bool {
        self.head && self.key.as_deref() == key
    }
}

impl Applier<'_> {
    /// Whether another delivery of the key waits.
    pub(crate) fn is_taken(&mut self, dest: i64, key: &str, row: i64) -> rusqlite::Result<bool> {
        self.order_queues.is_taken.query_row(params![dest, key, row], |row| row.get(0))
    }

    /// None where there is no such delivery.
    pub(crate) fn order_position(
        &mut self,
        row: i64,
        dest: i64,
    ) -> rusqlite::Result<Option<OrderPosition>> {
        let found = self.order_queues.place.query_row([row, dest], |row| {
            Ok(OrderPosition { key: row.get(0)?, head: row.get::<_, i64>(1)? == 0 })
        });
        found.optional()
    }

    /// A delivery is due no more: the next one of its key comes forward.
    pub(crate) fn ended(
        &mut self,
        (row, dest): (i64, i64),
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        match self.order_position(row, dest)? {
            Some(OrderPosition { key: Some(key), .. }) => self.let_next_go(dest, &key, name, delta),
            _ => Ok(()),
        }
    }

    /// Where none of the key is due, the one of the earliest event comes
    /// forward, to be handed on after the commit.
    pub(crate) fn let_next_go(
        &mut self,
        dest: i64,
        key: &str,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let chain = params![dest, key];
        if self.order_queues.has_head.query_row(chain, |row| row.get(0))? {
            return Ok(());
        }
        loop {
            let next = self.order_queues.next.query_row(chain, |row| row.get(0));
            let Some(row): Option<i64> = next.optional()? else { return Ok(()) };
            self.order_queues.forward.execute([row, dest])?;
            match self.read_back(row, dest, name)? {
                Ok(delivery) => {
                    delta.ready.push(delivery);
                    return Ok(());
                }
                Err(error) if error.is_lasting() => self.end_as_dead((row, dest), &error, delta)?,
                Err(error) => {
                    tracing::warn!(%error, "a delivery whose turn has come can't be read yet");
                    return Ok(());
                }
            }
        }
    }
}
