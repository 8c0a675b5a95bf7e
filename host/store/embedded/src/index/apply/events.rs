//! The table of events: rows inserted, routed, replayed and ended.
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::index::columns::locator;
use crate::index::ops::Accepted;
use crate::journal::locator::Locator;
use crate::journal::record::row_ms;
use crate::journal::segments::Segments;
use hookwright_model::EventState;
use hookwright_store::Routed;

/// Writes the rows of events. The applier has one, beside the rows of deliveries.
pub(super) struct Events<'c> {
    conn: &'c Connection,
    segments: Arc<Segments>,
    insert: Statement<'c>,
    route: Statement<'c>,
    /// Scratch for verdicts as JSON.
    buffer: Vec<u8>,
}

impl<'c> Events<'c> {
    pub(super) fn new(conn: &'c Connection, segments: Arc<Segments>) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            segments,
            insert: conn.prepare(
                "INSERT INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13)
                 ON CONFLICT(id) DO NOTHING",
            )?,
            route: conn.prepare(
                "UPDATE event SET state = ?2, reason = ?3, rulings = ?4, due = ?5, tries = ?6
                 WHERE id = ?1",
            )?,
            buffer: Vec::new(),
        })
    }

    /// Inserts an event's row, routed already where its outcome is known. `source` and `kind` are numbers of names.
    /// False where the event has a row.
    pub(super) fn insert(
        &mut self,
        accepted: &Accepted,
        (source, kind): (i64, i64),
        routed: Option<&Routed>,
    ) -> rusqlite::Result<bool> {
        let event = &accepted.event;
        let row = event.id.row();
        let verdicts = routed.map_or(Ok(None), |routed| verdicts(routed, &mut self.buffer))?;
        let Locator { segment, offset, length } = accepted.at;
        let inserted = self.insert.execute(params![
            row,
            source,
            kind,
            segment,
            offset as i64,
            length,
            event.body.len() as i64,
            routed.map_or(0, |routed| routed.state as i64),
            routed.and_then(|routed| routed.reason.as_deref()),
            verdicts,
            routed.map_or(0, |routed| routed.retry_ms as i64),
            routed.map_or(0, |routed| routed.tries),
            (event.received_ms != row_ms(row)).then_some(event.received_ms as i64),
        ])?;
        Ok(inserted == 1)
    }

    /// Records an outcome of routing. False, and logged, where the event has no row.
    pub(super) fn route(&mut self, routed: &Routed) -> rusqlite::Result<bool> {
        let verdicts = verdicts(routed, &mut self.buffer)?;
        let changed = self.route.execute(params![
            routed.event.id.row(),
            routed.state as i64,
            routed.reason,
            verdicts,
            routed.retry_ms.min(i64::MAX as u64) as i64,
            routed.tries,
        ])?;
        if changed == 0 {
            tracing::error!(event = %routed.event.id, "an outcome for an event that has no row");
        }
        Ok(changed > 0)
    }

    /// Has the event routed again. False where it has no row.
    pub(super) fn replay(&self, row: i64) -> rusqlite::Result<bool> {
        let changed = self.conn.execute(
            "UPDATE event SET state = 0, reason = NULL, due = 0, tries = 0, replays = replays + 1
             WHERE id = ?1",
            [row],
        )?;
        Ok(changed == 1)
    }

    /// Ends an event that is to be routed and can't be read any more, with the reason. The record is read again
    /// first, since a purge may have moved it while the reader looked.
    pub(super) fn end_unreadable(&self, row: i64) -> rusqlite::Result<()> {
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

    /// Where the event's record is; none where it has no row.
    pub(super) fn locator(&self, row: i64) -> rusqlite::Result<Option<Locator>> {
        let find = "SELECT segment, offset, length FROM event WHERE id = ?1";
        self.conn.query_row(find, [row], |found| locator(found, 0)).optional()
    }
}

/// Compact JSON; none where no plugin gave a verdict.
fn verdicts<'b>(routed: &Routed, buffer: &'b mut Vec<u8>) -> rusqlite::Result<Option<&'b [u8]>> {
    if routed.verdicts.is_empty() {
        return Ok(None);
    }
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &routed.verdicts)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(Some(buffer))
}
