//! The applier: what each unit of the index thread's work does to the tables, all of a batch in one transaction.
use std::sync::Arc;

use rusqlite::Connection;

use super::dedupe_keys::DedupeKeys;
use super::deliveries::{Deliveries, Replayed, is_whole};
use super::events::Events;
use super::names::Names;
use super::state::StateRows;
use super::sweep::Sweep;
use super::transaction::Transaction;
use super::{aside, conditions, discard, locations, replays};
use crate::error::ReadError;
use crate::index::counts::Delta;
use crate::index::ops::{Accepted, Request, RoutedOp};
use crate::index::work::{Fresh, PendingEvent, Work};
use crate::journal::locator::Position;
use crate::journal::segments::Segments;
use hookwright_store::{Routed, Settled};

/// Writes the index. Owned by the index thread, and before that by the recovery at opening.
///
/// It keeps the statements of each table prepared, and hands each unit of work to the part that owns those tables.
pub(crate) struct Applier<'c> {
    conn: &'c Connection,
    segments: Arc<Segments>,
    transaction: Transaction<'c>,
    /// Sources, kinds of events and plugins as numbers.
    names: Names<'c>,
    events: Events<'c>,
    deliveries: Deliveries<'c>,
    keys: DedupeKeys<'c>,
    state: StateRows<'c>,
}

/// How far the index is once a transaction has committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Up to where the journal is indexed then.
    pub(crate) position: Position,
    /// Events in the index before the transaction.
    pub(crate) events: i64,
    /// Milliseconds since 1970.
    pub(crate) now_ms: u64,
}

impl<'c> Applier<'c> {
    pub(crate) fn new(conn: &'c Connection, segments: Arc<Segments>) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            transaction: Transaction::new(conn)?,
            names: Names::new(conn, "name")?,
            events: Events::new(conn, Arc::clone(&segments))?,
            deliveries: Deliveries::new(conn, Arc::clone(&segments))?,
            keys: DedupeKeys::new(conn)?,
            state: StateRows::new(conn)?,
            segments,
        })
    }

    /// Applies the work and records up to where the journal is indexed, all or nothing.
    ///
    /// # Errors
    /// What SQLite says. The caller calls [`Self::roll_back`] then, and may try the same work again.
    pub(crate) fn apply_all(
        &mut self,
        work: &mut [Work],
        progress: Progress,
    ) -> rusqlite::Result<Delta> {
        self.begin()?;
        let mut delta = Delta::default();
        for item in work {
            self.apply(item, &mut delta)?;
        }
        self.commit(&delta, progress)?;
        Ok(delta)
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.transaction.begin()
    }

    /// Commits the transaction, with up to where the journal is indexed.
    pub(super) fn commit(&mut self, delta: &Delta, progress: Progress) -> rusqlite::Result<()> {
        if self.keys.drop_expired(progress.now_ms)? {
            self.state.drop_expired(progress.now_ms)?;
        }
        self.transaction.commit(progress.position, progress.events + delta.events)?;
        self.keys.end_transaction();
        Ok(())
    }

    /// Takes back what a failed transaction left.
    pub(crate) fn roll_back(&mut self) {
        self.transaction.roll_back();
        self.forget_names();
        self.keys.end_transaction();
    }

    /// Numbers that were given to names in what was taken back are void.
    fn forget_names(&mut self) {
        self.names.forget();
        self.deliveries.forget_names();
    }

    /// No page more than there are, or as many as SQLite can have.
    #[cfg(test)]
    pub(crate) fn limit(&self, full: bool) {
        let pages = if full { 1 } else { 4_294_967_294u32 };
        let set = format!("PRAGMA max_page_count = {pages}");
        self.conn.query_row(&set, [], |_| Ok(())).unwrap();
    }

    pub(super) fn apply(&mut self, work: &mut Work, delta: &mut Delta) -> rusqlite::Result<()> {
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
                locations::found_event(self.conn, accepted.event.id.row(), accepted.at)
            }
            Work::FoundPayload { row, from, to } => {
                locations::found_payload(self.conn, *row, *from, *to)
            }
            Work::Routed(op) => {
                self.state.put(&mut self.names, &op.routed.state_rows)?;
                self.route(op, &[], delta)
            }
            Work::Settled(settled) => self.deliveries.settle(settled, delta),
            Work::GivenUp(given_up) => self.deliveries.give_up(given_up, delta),
            Work::Unreadable { row, destination: None } => self.events.end_unreadable(*row),
            Work::Unreadable { row, destination: Some(name) } => {
                self.deliveries.check_unreadable(*row, name, delta)
            }
            Work::Request(request) => self.answer(request, delta),
        }
    }

    /// Leaves the answer in the request; it is given once the transaction has committed.
    fn answer(&mut self, request: &mut Request, delta: &mut Delta) -> rusqlite::Result<()> {
        match request {
            Request::Replay { row, destination: None, found, .. } => {
                *found = self.events.replay(*row)? || self.replay_aside(*row, delta)?;
            }
            Request::Replay { row, destination: Some(name), now_ms, found, ready, .. } => {
                (*found, *ready) = match self.deliveries.replay(*row, name, *now_ms, delta)? {
                    Replayed::Absent => (false, None),
                    Replayed::Waiting(delivery) => (true, delivery),
                };
            }
            Request::Condition { destination, condition, .. } => {
                let dest = self.deliveries.destination(destination, delta)?;
                conditions::set(self.conn, dest, condition)?;
            }
            Request::Discard { destination, cause, most, ended, .. } => {
                if let Some(dest) = self.deliveries.known_destination(destination)? {
                    *ended = discard::waiting(self.conn, dest, cause, *most, delta)?;
                }
            }
            Request::KeepReplay { job, .. } => replays::put(self.conn, job)?,
            Request::ReinIn { times, count, .. } => *count = times.rein_in(self.conn)?,
            Request::Sweep { records, out, .. } => {
                *out = self.sweep(delta).records(records)?;
            }
            Request::SweepUnreadable { rows, segments, out, .. } => {
                *out = self.sweep(delta).unreadable(rows, segments)?;
            }
            Request::Repoint { moved, .. } => locations::repoint(self.conn, moved)?,
            Request::Barrier { .. } | Request::Settle { .. } => {}
        }
        Ok(())
    }

    fn sweep<'a>(&'a mut self, delta: &'a mut Delta) -> Sweep<'a, 'c> {
        Sweep {
            conn: self.conn,
            segments: &self.segments,
            events: &self.events,
            deliveries: &mut self.deliveries,
            delta,
        }
    }

    /// An event that waited for its row, with all that became of it meanwhile.
    fn apply_new(&mut self, pending: &mut PendingEvent, delta: &mut Delta) -> rusqlite::Result<()> {
        let PendingEvent { accepted, routed, settled, .. } = pending;
        let inserted = self.insert(accepted, routed.as_ref().map(|op| &op.routed), delta)?;
        if let Some(op) = routed {
            self.state.put(&mut self.names, &op.routed.state_rows)?;
        }
        match routed {
            Some(op) if inserted => self.deliveries.deliver(op, settled, delta)?,
            Some(op) => self.route(op, settled, delta)?,
            None => {}
        }
        let mut later = settled.iter().filter(|one| !is_whole(one));
        later.try_for_each(|one| self.deliveries.settle(one, delta))
    }

    /// The event's row, and that of its deduplication key. False where the event has a row already.
    pub(super) fn insert(
        &mut self,
        accepted: &Accepted,
        routed: Option<&Routed>,
        delta: &mut Delta,
    ) -> rusqlite::Result<bool> {
        let event = &accepted.event;
        let source = self.names.number(&event.source)?;
        let kind = self.names.number(&event.kind)?;
        let inserted = self.events.insert(accepted, (source, kind), routed)?;
        delta.events += i64::from(inserted);
        if let Some(key) = &accepted.key {
            self.keys.insert(source, key, event.id.row())?;
        }
        Ok(inserted)
    }

    /// An outcome of routing for an event that has its row.
    pub(super) fn route(
        &mut self,
        op: &mut RoutedOp,
        settled: &[Settled],
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        if !self.events.route(&op.routed)? {
            op.routed.deliveries.clear();
        }
        self.deliveries.deliver(op, settled, delta)
    }

    /// Gives an event that was set aside a row again, to be routed. False where it is not one of them.
    fn replay_aside(&mut self, row: i64, delta: &mut Delta) -> rusqlite::Result<bool> {
        let Some(at) = aside::find(self.conn, row)? else { return Ok(false) };
        let unread = |error: ReadError| rusqlite::Error::ToSqlConversionFailure(error.into());
        let event = Arc::new(self.segments.event(row, at).map_err(unread)?);
        self.insert(&Accepted { event, at, key: None }, None, delta)?;
        aside::delete(self.conn, row)?;
        Ok(true)
    }

    /// Does one piece of work all or not at all; the inner error is what it was refused for.
    pub(super) fn piece(
        &mut self,
        delta: &mut Delta,
        work: impl FnOnce(&mut Self, &mut Delta) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<rusqlite::Result<()>> {
        self.transaction.set_savepoint()?;
        let mut own = Delta::default();
        let done = work(self, &mut own);
        let ended = self.transaction.end_savepoint(done)?;
        match &ended {
            Ok(()) => delta.add(own),
            Err(_) => self.forget_names(),
        }
        Ok(ended)
    }

    pub(super) fn settle(&mut self, settled: &Settled, delta: &mut Delta) -> rusqlite::Result<()> {
        self.deliveries.settle(settled, delta)
    }

    /// Whether the destination has ever had a delivery.
    pub(super) fn knows_destination(&mut self, name: &str) -> rusqlite::Result<bool> {
        Ok(self.deliveries.known_destination(name)?.is_some())
    }

    pub(super) fn delete_delivery(
        &mut self,
        row: i64,
        name: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        self.deliveries.delete(row, name, delta)
    }

    /// Gives an event that has a row, but can't have the one it should have, a place among those set aside.
    pub(super) fn set_aside_found(&mut self, row: i64, why: &str) -> rusqlite::Result<()> {
        match self.events.locator(row)? {
            Some(at) => aside::put(self.conn, row, at, why),
            None => Ok(()),
        }
    }

    /// Gives an event without a row a place among those set aside.
    pub(super) fn set_aside_new(&mut self, accepted: &Accepted, why: &str) -> rusqlite::Result<()> {
        aside::put(self.conn, accepted.event.id.row(), accepted.at, why)
    }

    pub(super) fn node(&self) -> u64 {
        self.segments.node
    }
}
