//! Reads: each sees all that was handed in before it, unless the index can't be written.
use std::time::Instant;

use super::engine::Embedded;
use crate::cursor::DueCursor;
use crate::index::apply::replays;
use crate::index::apply::state;
use crate::index::ops::{Op, Request};
use crate::index::queue::WriteHealth;
use crate::index::schema;
use crate::queries::query::{self, UnreadableRows};
use crate::queries::search;
use crate::queries::{aside, listing};
use hookwright_model::metrics::STORE_BYTES;
use hookwright_model::{EventId, Name, ReplayJob, StateRow};
use hookwright_store::{
    Backlog, Condition, DuePage, EventDetail, EventQuery, EventRow, FeedPage, Found, StoreError,
    UnroutedPage, Usage,
};

/// So many waiting rows are looked at for the oldest event.
const OLDEST_AMONG: i64 = 20_000;

const OLDEST: &str = "SELECT ifnull((SELECT received FROM event WHERE id = oldest), oldest >> 16)
     FROM (SELECT min(event) AS oldest FROM (SELECT event FROM delivery INDEXED BY delivery_due
      WHERE dest = ?1 AND state = 0 ORDER BY due, event LIMIT ?2))";

impl Embedded {
    /// Waits until what was handed in is committed; `all` counts events that
    /// wait to be routed. People's reads go on with
    /// what is committed while the index can't be written.
    ///
    /// Rows are committed early for one reader every now and then: each time
    /// costs the events under way a second write of their rows. The others wait
    /// until their time has come, which is some 50 ms at most.
    fn settle_reads(&self, all: bool) -> Result<(), StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        if self.is_behind(all) && self.index.write_health() == WriteHealth::Healthy {
            let settled = match self.may_force() {
                true => self.index.ask(|reply| Request::Barrier { all, reply }),
                false => self.index.ask(|reply| Request::Settle { reply }),
            };
            // Where the index failed just now, what it has is still readable.
            if matches!(settled, Err(StoreError::Closed)) {
                return settled;
            }
        }
        Ok(())
    }

    fn may_force(&self) -> bool {
        let now = Instant::now();
        let mut forced = self.forced.lock();
        let may = forced.is_none_or(|last| now - last >= self.read_spacing);
        if may {
            *forced = Some(now);
        }
        may
    }

    /// Whether work may be claimed: without the latest outcomes it would be given out again and again while the index
    /// can't be written. That what concerns the claim is recorded is for the caller to see to.
    pub(super) fn check_claims(&self) -> Result<(), StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        match self.index.write_health() {
            WriteHealth::Full => Err(StoreError::Full),
            WriteHealth::Failed => Err(StoreError::Failed("the index can't be written".into())),
            WriteHealth::Healthy => Ok(()),
        }
    }

    fn is_behind(&self, all: bool) -> bool {
        if all { self.index.weight() > 0 } else { self.index.is_behind() }
    }

    /// True where the page is whole. Else the index has looked at what could not be
    /// read, and the page is to be read again: a purge may just have moved it.
    fn is_whole(
        &self,
        unreadable: UnreadableRows,
        destination: Option<&str>,
    ) -> Result<bool, StoreError> {
        if unreadable.is_empty() {
            return Ok(true);
        }
        for row in unreadable {
            self.index.push(Op::Unreadable { row, destination: destination.map(Into::into) });
        }
        self.index.ask(|reply| Request::Barrier { all: false, reply })?;
        Ok(false)
    }

    pub(super) fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<UnroutedPage, StoreError> {
        loop {
            self.check_claims()?;
            let mut unreadable = UnreadableRows::new();
            let page = self.readers.with(|conn| {
                query::unrouted(conn, &self.segments, source, now_ms, after, limit, &mut unreadable)
            })?;
            if self.is_whole(unreadable, None)? {
                return Ok(page);
            }
        }
    }

    pub(super) fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        loop {
            self.check_claims()?;
            let (Some(dest), Ok(name)) =
                (self.counts.destination(destination), destination.parse::<Name>())
            else {
                return Ok(DuePage::default());
            };
            let mut unreadable = UnreadableRows::new();
            let page = self.readers.with(|conn| {
                query::due(
                    conn,
                    &self.segments,
                    (&name, dest),
                    now_ms,
                    after,
                    limit,
                    &mut unreadable,
                )
            })?;
            if self.is_whole(unreadable, Some(destination))? {
                return Ok(page);
            }
        }
    }

    pub(super) fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
        self.settle_reads(true)?;
        self.readers.with(|conn| listing::events(conn, &self.counts, &self.segments, query))
    }

    pub(super) fn search(&self, query: &EventQuery, text: &str) -> Result<Found, StoreError> {
        self.settle_reads(true)?;
        self.readers.with(|conn| search::bodies(conn, &self.counts, &self.segments, query, text))
    }

    /// Rows may be committed out of their order, so only those are told before
    /// which nothing is missing.
    pub(super) fn feed(
        &self,
        query: &EventQuery,
        after: Option<EventId>,
    ) -> Result<Option<FeedPage>, StoreError> {
        self.settle_reads(true)?;
        let node = self.segments.node;
        let up_to = EventId::new(self.index.indexed_row(), node);
        let Some(after) = after else {
            return Ok(Some(FeedPage { rows: Vec::new(), position: up_to }));
        };
        if after.node() != node {
            return Ok(None);
        }
        let up_to = up_to.max(after);
        let query = EventQuery {
            after: Some(after),
            before: Some(EventId::new(up_to.row().saturating_add(1), node)),
            oldest_first: true,
            ..query.clone()
        };
        let list = |conn: &_| listing::events(conn, &self.counts, &self.segments, &query);
        let rows = self.readers.with(list)?;
        let full = rows.len() >= listing::page(&query);
        let last = rows.last().filter(|_| full).map(|row| row.id);
        Ok(Some(FeedPage { position: last.unwrap_or(up_to), rows }))
    }

    pub(super) fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.settle_reads(true)?;
        if id.node() != self.segments.node {
            return Ok(None);
        }
        let read = || {
            self.readers.with(|conn| match listing::detail(conn, &self.segments, id.row())? {
                None => aside::detail(conn, &self.segments, id.row()),
                found => Ok(found),
            })
        };
        // A purge may have moved a record between the row and the look at it.
        read().or_else(|_| read())
    }

    /// The oldest event is exact up to 20,000 waiting ones; beyond, it is the
    /// oldest of the 20,000 that are due first.
    pub(super) fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.settle_reads(false)?;
        let counts = self.counts.all();
        self.readers.with(|conn| {
            let mut oldest = conn.prepare(OLDEST)?;
            let mut all = Vec::with_capacity(counts.len());
            for (id, count) in counts {
                let oldest: Option<i64> = match count.waiting {
                    0 => None,
                    _ => oldest.query_row([id, OLDEST_AMONG], |row| row.get(0))?,
                };
                all.push(Backlog {
                    destination: count.name.into(),
                    waiting: count.waiting.max(0) as u64,
                    dead: count.dead.max(0) as u64,
                    oldest_ms: oldest.map(i64::cast_unsigned),
                });
            }
            Ok(all)
        })
    }

    pub(super) fn state(&self) -> Result<Vec<StateRow>, StoreError> {
        self.settle_reads(false)?;
        self.readers.with(|conn| state::all(conn, self.clock.sure_ms()))
    }

    pub(super) fn replays(&self) -> Result<Vec<ReplayJob>, StoreError> {
        self.settle_reads(false)?;
        self.readers.with(|conn| Ok(replays::all(conn, self.segments.node)?))
    }

    pub(super) fn usage(&self) -> Result<Usage, StoreError> {
        self.settle_reads(true)?;
        let bytes = self.usage_gauge();
        self.readers.with(|conn| {
            let read = "SELECT events,
                 (SELECT ifnull(received, id >> 16) FROM event ORDER BY id LIMIT 1),
                 (SELECT count(*) FROM event INDEXED BY event_accepted WHERE state = 0)
                 FROM standing";
            let (events, oldest, accepted): (i64, Option<i64>, i64) =
                conn.query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let oldest_ms = oldest.map(i64::cast_unsigned);
            let (events, accepted) = (events.max(0) as u64, accepted.max(0) as u64);
            Ok(Usage { bytes, events, accepted, oldest_ms })
        })
    }

    pub(super) fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError> {
        self.settle_reads(false)?;
        self.readers.with(|conn| {
            let mut statement = conn.prepare(
                "SELECT text, disabled, paused, failing FROM destination
                 WHERE coalesce(disabled, paused, failing) IS NOT NULL ORDER BY text",
            )?;
            let rows = statement.query_map([], |row| {
                let time =
                    |place| row.get::<_, Option<i64>>(place).map(|ms| ms.map(|ms| ms as u64));
                let condition = Condition {
                    disabled: row.get(1)?,
                    paused_until_ms: time(2)?,
                    failing_since_ms: time(3)?,
                };
                Ok((row.get(0)?, condition))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Bytes on the disk, told to the metrics too.
    pub(super) fn usage_gauge(&self) -> u64 {
        let length = |path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let index = length(schema::file(&self.dir)) + length(schema::wal_file(&self.dir));
        let bytes = self.segments.bytes() + index;
        metrics::gauge!(STORE_BYTES).set(bytes as f64);
        bytes
    }
}
