//! One transaction of the index: statements prepared once, and what each unit of work does with them.
use std::sync::Arc;

use rusqlite::{Connection, Statement, params};

use super::order;
use crate::index::counts::Delta;
use crate::journal::codec;

use super::names::Names;
use super::settle::is_whole;
use crate::index::ops::{Accepted, Request, RoutedOp};
use crate::index::schema::BEHIND;
use crate::index::work::{Fresh, PendingEvent, Work};
use crate::journal::record::row_ms;
use crate::journal::segment::{Locator, Position, Segments};
use hookwright_model::DeliveryState;
use hookwright_store::{Routed, Settled};

/// Expired keys dropped after a batch, at least.
const KEYS_A_STEP: usize = 64;
/// And looked for so often, in milliseconds, where no new ones come.
const KEYS_EVERY_MS: u64 = 10_000;

pub(crate) struct Applier<'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) segments: Arc<Segments>,
    pub(crate) names: Names<'c>,
    pub(crate) destinations: Names<'c>,
    pub(crate) statements: Statements<'c>,
    pub(crate) order_queues: order::Statements<'c>,
    /// Scratch for what is encoded.
    pub(crate) buffer: Vec<u8>,
    /// Dedupe keys of the present transaction, and when old ones were last dropped.
    keys: usize,
    dropped_ms: u64,
}

pub(crate) struct Statements<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    insert_event: Statement<'c>,
    route_event: Statement<'c>,
    pub(crate) insert_delivery: Statement<'c>,
    pub(crate) revive_delivery: Statement<'c>,
    insert_key: Statement<'c>,
    drop_keys: Statement<'c>,
    checkpoint: Statement<'c>,
    pub(crate) put_state: Statement<'c>,
    pub(crate) drop_state: Statement<'c>,
    pub(crate) drop_over: Statement<'c>,
    pub(crate) find_delivery: Statement<'c>,
    pub(crate) settle_last: Statement<'c>,
    pub(crate) settle_retry: Statement<'c>,
    pub(crate) insert_attempt: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            insert_event: conn.prepare(
                "INSERT INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13)
                 ON CONFLICT(id) DO NOTHING",
            )?,
            route_event: conn.prepare(
                "UPDATE event SET state = ?2, reason = ?3, rulings = ?4, due = ?5, tries = ?6
                 WHERE id = ?1",
            )?,
            insert_delivery: conn.prepare(
                "INSERT INTO delivery VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT(event, dest) DO NOTHING",
            )?,
            revive_delivery: conn.prepare(
                "UPDATE delivery SET state = ?9, due = ?3, tries = ?4, cause = NULL, order_key = ?5, replayed = 1,
                 pay_segment = ?6, pay_offset = ?7, pay_length = ?8 WHERE event = ?1 AND dest = ?2",
            )?,
            insert_key: conn.prepare(
                "INSERT INTO dedupe VALUES(?1, ?2, ?3, ?4) ON CONFLICT(source, key)
                 DO UPDATE SET event = excluded.event, expires = excluded.expires
                 WHERE excluded.event > event",
            )?,
            drop_keys: conn.prepare(
                "DELETE FROM dedupe WHERE (source, key) IN
                 (SELECT source, key FROM dedupe WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )?,
            checkpoint: conn.prepare("UPDATE standing SET segment = ?1, offset = ?2, events = ?3")?,
            put_state: conn.prepare("INSERT OR REPLACE INTO state VALUES(?1, ?2, ?3, ?4, ?5)")?,
            drop_state: conn.prepare("DELETE FROM state WHERE plugin = ?1 AND key = ?2")?,
            drop_over: conn.prepare(
                "DELETE FROM state WHERE (plugin, key) IN
                 (SELECT plugin, key FROM state WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )?,
            find_delivery: conn
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
        })
    }
}

impl<'c> Applier<'c> {
    pub(crate) fn new(conn: &'c Connection, segments: Arc<Segments>) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            segments,
            names: Names::new(conn, "name")?,
            destinations: Names::new(conn, "destination")?,
            statements: Statements::new(conn)?,
            order_queues: order::Statements::new(conn)?,
            buffer: Vec::new(),
            keys: 0,
            dropped_ms: 0,
        })
    }

    /// Applies the work and records up to where the journal is indexed, all or
    /// nothing. After an error the caller calls [`Self::forget`].
    pub(crate) fn transaction(
        &mut self,
        work: &mut [Work],
        position: Position,
        events: i64,
        now_ms: u64,
    ) -> rusqlite::Result<Delta> {
        self.begin()?;
        let mut delta = Delta::default();
        for item in work {
            self.apply(item, &mut delta)?;
        }
        self.commit(&mut delta, position, events, now_ms)?;
        Ok(delta)
    }

    pub(crate) fn begin(&mut self) -> rusqlite::Result<()> {
        self.statements.begin.execute([]).map(drop)
    }

    pub(crate) fn commit(
        &mut self,
        delta: &mut Delta,
        position: Position,
        events: i64,
        now_ms: u64,
    ) -> rusqlite::Result<()> {
        self.drop_keys(now_ms)?;
        let events = events + delta.events;
        let Position { segment, offset } = position;
        self.statements.checkpoint.execute(params![segment, offset as i64, events])?;
        self.statements.commit.execute([])?;
        self.keys = 0;
        Ok(())
    }

    /// Takes back whatever a failed transaction left.
    pub(crate) fn forget(&mut self) {
        if !self.conn.is_autocommit() && self.conn.execute_batch("ROLLBACK").is_err() {
            tracing::warn!("SQLite had rolled back by itself");
        }
        self.forget_names();
        self.keys = 0;
    }

    /// Numbers that were given to names in what was taken back are void.
    pub(crate) fn forget_names(&mut self) {
        self.names.forget();
        self.destinations.forget();
    }

    /// No page more than there are, or as many as SQLite can have.
    #[cfg(test)]
    pub(crate) fn limit(&self, full: bool) {
        let pages = if full { 1 } else { 4_294_967_294u32 };
        let set = format!("PRAGMA max_page_count = {pages}");
        self.conn.query_row(&set, [], |_| Ok(())).unwrap();
    }

    pub(crate) fn checkpoint(&mut self) -> rusqlite::Result<i64> {
        crate::index::wal::passive(self.conn)
    }

    pub(crate) fn apply(&mut self, work: &mut Work, delta: &mut Delta) -> rusqlite::Result<()> {
        match work {
            Work::New(pending) => self.apply_new(pending, delta),
            Work::Found { accepted, fresh } => {
                match fresh {
                    Fresh::No => {}
                    Fresh::Accepted => drop(self.insert(accepted, None, delta)?),
                    Fresh::Parked(why) => {
                        let parked = Routed::parked(accepted.event.clone(), (*why).to_owned());
                        self.insert(accepted, Some(&parked), delta)?;
                    }
                }
                self.found_copy(accepted.event.id.row(), accepted.at)
            }
            Work::FoundPayload { row, from, to } => self.found_payload(*row, *from, *to),
            Work::Routed(op) => {
                self.keep(&op.routed.state_rows)?;
                self.route(op, &[], delta)
            }
            Work::Settled(settled) => self.settle(settled, delta),
            Work::GivenUp(given_up) => self.give_up(given_up, delta),
            Work::Unreadable { row, destination } => {
                self.unreadable(*row, destination.as_deref(), delta)
            }
            Work::Request(Request::Replay { row, destination, now_ms, found, ready, .. }) => {
                match destination {
                    None => *found = self.replay_event(*row, delta)?,
                    Some(name) => {
                        (*found, *ready) = self.replay_delivery(*row, name, *now_ms, delta)?;
                    }
                }
                Ok(())
            }
            Work::Request(Request::Condition { destination, condition, .. }) => {
                self.set_condition(destination, condition, delta)
            }
            Work::Request(Request::Discard { destination, cause, most, ended, .. }) => {
                *ended = self.discard(destination, cause, *most, delta)?;
                Ok(())
            }
            Work::Request(Request::KeepReplay { job, .. }) => self.put_replay(job),
            Work::Request(Request::ReinIn { times, count, .. }) => {
                *count = self.rein_in(*times)?;
                Ok(())
            }
            Work::Request(Request::Sweep { records, out, .. }) => {
                *out = self.sweep(records, delta)?;
                Ok(())
            }
            Work::Request(Request::SweepUnreadable { rows, segments, out, .. }) => {
                *out = self.sweep_unreadable(rows, segments, delta)?;
                Ok(())
            }
            Work::Request(Request::Repoint { moved, .. }) => self.repoint(moved),
            Work::Request(Request::Barrier { .. } | Request::Settle { .. }) => Ok(()),
        }
    }

    fn apply_new(&mut self, pending: &mut PendingEvent, delta: &mut Delta) -> rusqlite::Result<()> {
        let PendingEvent { accepted, routed, settled, .. } = pending;
        let inserted = self.insert(accepted, routed.as_ref().map(|op| &op.routed), delta)?;
        if let Some(op) = routed {
            self.keep(&op.routed.state_rows)?;
        }
        match routed {
            Some(op) if inserted => self.deliver(op, settled, delta)?,
            Some(op) => self.route(op, settled, delta)?,
            None => {}
        }
        let mut later = settled.iter().filter(|one| !is_whole(one));
        later.try_for_each(|one| self.settle(one, delta))
    }

    /// False where the event has a row already.
    pub(crate) fn insert(
        &mut self,
        accepted: &Accepted,
        routed: Option<&Routed>,
        delta: &mut Delta,
    ) -> rusqlite::Result<bool> {
        let event = &accepted.event;
        let row = event.id.row();
        let source = self.names.number(&event.source)?;
        let kind = self.names.number(&event.kind)?;
        let rulings = routed.map_or(Ok(None), |routed| rulings(routed, &mut self.buffer))?;
        let Locator { segment, offset, length } = accepted.at;
        let inserted = self.statements.insert_event.execute(params![
            row,
            source,
            kind,
            segment,
            offset as i64,
            length,
            event.body.len() as i64,
            routed.map_or(0, |routed| routed.state as i64),
            routed.and_then(|routed| routed.reason.as_deref()),
            rulings,
            routed.map_or(0, |routed| routed.retry_ms as i64),
            routed.map_or(0, |routed| routed.tries),
            (event.received_ms != row_ms(row)).then_some(event.received_ms as i64),
        ])?;
        delta.events += inserted as i64;
        if let Some(key) = &accepted.key {
            let expires = key.expires_ms.min(i64::MAX as u64) as i64;
            self.statements.insert_key.execute(params![source, &key.key[..], row, expires])?;
            self.keys += 1;
        }
        Ok(inserted == 1)
    }

    pub(crate) fn route(
        &mut self,
        op: &mut RoutedOp,
        settled: &[Settled],
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let routed = &op.routed;
        let rulings = rulings(routed, &mut self.buffer)?;
        let changed = self.statements.route_event.execute(params![
            routed.event.id.row(),
            routed.state as i64,
            routed.reason,
            rulings,
            routed.retry_ms.min(i64::MAX as u64) as i64,
            routed.tries,
        ])?;
        if changed == 0 {
            tracing::error!(event = %routed.event.id, "an outcome for an event that has no row");
            op.routed.deliveries.clear();
        }
        self.deliver(op, settled, delta)
    }

    /// Small steps, in proportion to what came, so that none is ever long.
    fn drop_keys(&mut self, now_ms: u64) -> rusqlite::Result<()> {
        if self.keys > 0 || now_ms.abs_diff(self.dropped_ms) > KEYS_EVERY_MS {
            self.dropped_ms = now_ms;
            let step = (self.keys * 2 + KEYS_A_STEP) as i64;
            self.statements.drop_keys.execute(params![now_ms as i64, step])?;
            self.drop_over(now_ms)?;
        }
        Ok(())
    }
}

/// Compact JSON; none where no plugin ruled.
fn rulings<'b>(routed: &Routed, buffer: &'b mut Vec<u8>) -> rusqlite::Result<Option<&'b [u8]>> {
    if routed.rulings.is_empty() {
        return Ok(None);
    }
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &routed.rulings)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(Some(buffer))
}

pub(crate) fn state_of(number: i64) -> rusqlite::Result<DeliveryState> {
    if number == BEHIND {
        return Ok(DeliveryState::Waiting);
    }
    usize::try_from(number)
        .ok()
        .and_then(|number| DeliveryState::ALL.get(number).copied())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))
}

/// Columns of a payload's place, from `first` on.
pub(crate) fn payload_at(
    row: &rusqlite::Row<'_>,
    first: usize,
) -> rusqlite::Result<Option<Locator>> {
    let Some(segment) = row.get(first)? else { return Ok(None) };
    let offset = row.get::<_, i64>(first + 1)? as u64;
    Ok(Some(Locator { segment, offset, length: row.get(first + 2)? }))
}

/// An attempt as it is stored.
pub(crate) fn attempt_bytes<'b>(
    buffer: &'b mut Vec<u8>,
    attempt: &hookwright_model::Attempt,
) -> &'b [u8] {
    buffer.clear();
    codec::put_attempt(buffer, attempt);
    buffer
}
