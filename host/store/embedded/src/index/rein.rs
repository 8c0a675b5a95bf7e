//! Times that a clock which was ahead has given out, brought back: what waits is not to wait for years.
use rusqlite::{Connection, params};

use super::schema::TIME;

/// What a plugin may put a delivery off by, and a day more, milliseconds.
const LONGEST_DELAY_MS: i64 = 367 * 24 * 3_600_000;

/// One of the destination's deliveries that wait for a time after `?2`: it was
/// tried before, or nothing that is right can have put it off so far, or its
/// event came while the clock was ahead and it is due after that.
const TOO_LATE: &str = "state = 0 AND dest = ?1 AND due > ?2 AND (tries > 0
    OR due > ?2 + ?4 OR (SELECT ifnull(e.received, e.id >> 16) FROM event e
        WHERE e.id = delivery.event) BETWEEN ?3 + 1 AND due)";

/// Due times that are too late: of events to be routed, or of one destination's deliveries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLate {
    /// The destination's number; none: events to be routed.
    pub(crate) dest: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// What is due after that is too late.
    pub(crate) limit_ms: i64,
}

impl TooLate {
    /// Whether anything is due so late. Almost always nothing is, and nothing is to be written.
    pub(crate) fn is_any(&self, conn: &Connection) -> rusqlite::Result<bool> {
        match self.dest {
            None => {
                let any = "SELECT EXISTS(SELECT 1 FROM event WHERE state = 0 AND due > ?1)";
                conn.query_row(any, [self.limit_ms], |row| row.get(0))
            }
            Some(dest) => {
                let any = "SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_due
                     WHERE dest = ?1 AND state = 0 AND due > ?2)";
                conn.query_row(any, [dest, self.limit_ms], |row| row.get(0))
            }
        }
    }

    /// Brings the times back; answers how many.
    pub(crate) fn rein_in(&self, conn: &Connection) -> rusqlite::Result<u64> {
        let Self { dest, now_ms, limit_ms } = *self;
        let changed = match dest {
            None => conn.execute(
                "UPDATE event SET due = ?1 WHERE state = 0 AND due > ?2",
                [now_ms, limit_ms],
            )?,
            // One that a plugin put off, of an event that came while the clock
            // was ahead, waits for as long from now on.
            Some(dest) => conn.execute(
                &format!(
                    "UPDATE delivery SET due = ?3 + iif(tries > 0, 0, (
                        SELECT iif({TIME} > ?3, max(0, delivery.due - {TIME}), 0) FROM event e
                        WHERE e.id = delivery.event)) WHERE {TOO_LATE}"
                ),
                params![dest, limit_ms, now_ms, LONGEST_DELAY_MS],
            )?,
        };
        Ok(changed as u64)
    }
}
