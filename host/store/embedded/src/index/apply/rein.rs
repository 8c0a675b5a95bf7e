//! Times that a clock which was ahead has given out, brought back: what waits is not to wait for years.
use std::time::Duration;

use rusqlite::params;

use super::applier::Applier;
use crate::Embedded;
use crate::index::ops::Request;
use crate::index::schema::TIME;
use hookwright_model::clock::millis;
use hookwright_store::StoreError;

/// What a plugin may put a delivery off by, and a day more, milliseconds.
const LONGEST_DELAY_MS: i64 = 367 * 24 * 3_600_000;

/// One of the destination's deliveries that wait for a time after `?2`: it was
/// tried before, or nothing that is right can have put it off so far, or its
/// event came while the clock was ahead and it is due after that.
const TOO_LATE: &str = "state = 0 AND dest = ?1 AND due > ?2 AND (tries > 0
    OR due > ?2 + ?4 OR (SELECT ifnull(e.received, e.id >> 16) FROM event e
        WHERE e.id = delivery.event) BETWEEN ?3 + 1 AND due)";

/// Times that are too late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLate {
    /// The destination's number; none: events to be routed.
    pub(crate) dest: Option<i64>,
    pub(crate) now_ms: i64,
    /// What is due after that.
    pub(crate) limit_ms: i64,
}

impl Embedded {
    pub(crate) fn rein_in(
        &self,
        destination: Option<&str>,
        now_ms: u64,
        longest: Duration,
    ) -> Result<u64, StoreError> {
        self.settle_claims(false)?;
        let small = |ms: u64| ms.min(i64::MAX as u64 / 2) as i64;
        let dest = match destination {
            None => None,
            Some(name) => match self.counts.destination(name) {
                None => return Ok(0),
                known => known,
            },
        };
        let now_ms = small(now_ms);
        let times =
            TooLate { dest, now_ms, limit_ms: now_ms.saturating_add(small(millis(longest))) };
        // Almost always there are none, and nothing is to be written.
        let any = self.readers.with(|conn| {
            let found = match dest {
                None => {
                    let any = "SELECT EXISTS(SELECT 1 FROM event WHERE state = 0 AND due > ?1)";
                    conn.query_row(any, [times.limit_ms], |row| row.get(0))
                }
                Some(dest) => {
                    let any = "SELECT EXISTS(SELECT 1 FROM delivery INDEXED BY delivery_due
                         WHERE dest = ?1 AND state = 0 AND due > ?2)";
                    conn.query_row(any, [dest, times.limit_ms], |row| row.get(0))
                }
            };
            Ok(found?)
        })?;
        if any { self.index.ask(|reply| Request::ReinIn { times, count: 0, reply }) } else { Ok(0) }
    }
}

impl Applier<'_> {
    pub(crate) fn rein_in(&mut self, times: TooLate) -> rusqlite::Result<u64> {
        let TooLate { dest, now_ms, limit_ms } = times;
        let changed = match dest {
            None => self.conn.execute(
                "UPDATE event SET due = ?1 WHERE state = 0 AND due > ?2",
                [now_ms, limit_ms],
            )?,
            // One that a plugin put off, of an event that came while the clock
            // was ahead, waits for as long from now on.
            Some(dest) => self.conn.execute(
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
