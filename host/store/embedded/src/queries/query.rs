//! Reading what waits: due deliveries and events to be routed, over a few connections of their own.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OptionalExtension, params};

use crate::cursor::DueCursor;
use crate::error::Failure;
use crate::index::columns::locator;
use crate::index::schema;
use crate::index::stored::StoredDelivery;
use crate::journal::segments::Segments;
use hookwright_model::Name;
use hookwright_store::{DuePage, StoreError, Unrouted, UnroutedPage};

const CONNECTIONS: usize = 4;
/// A page ends early once its bodies take this much memory.
const PAGE_BYTES: usize = 16 << 20;

pub(crate) const DUE: &str = "
SELECT d.event, e.segment, e.offset, e.length, d.pay_segment, d.pay_offset, d.pay_length,
       d.due, d.order_key, d.tries, d.attempts, d.replayed
FROM delivery d INDEXED BY delivery_due CROSS JOIN event e ON e.id = d.event
WHERE d.dest = ?1 AND d.state = 0 AND (d.due, d.event) > (?2, ?3)
ORDER BY d.due, d.event LIMIT ?4";

pub(crate) const UNROUTED: &str = "
SELECT id, segment, offset, length, due, tries, replays
FROM event INDEXED BY event_accepted
WHERE state = 0 AND source = ?1 AND (due, id) > (?2, ?3) ORDER BY due, id LIMIT ?4";

/// The read connections; who finds none free waits.
pub(crate) struct Readers {
    dir: PathBuf,
    pool: Mutex<(Vec<Connection>, usize)>,
    freed: Condvar,
}

impl Readers {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), pool: Mutex::default(), freed: Condvar::new() }
    }

    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let conn = self.get()?;
        let out = read(&conn);
        self.pool.lock().0.push(conn);
        self.freed.notify_one();
        out.map_err(StoreError::from)
    }

    fn get(&self) -> Result<Connection, Failure> {
        let mut pool = self.pool.lock();
        loop {
            if let Some(conn) = pool.0.pop() {
                return Ok(conn);
            }
            if pool.1 < CONNECTIONS {
                pool.1 += 1;
                break;
            }
            self.freed.wait(&mut pool);
        }
        drop(pool);
        schema::open_reader(&self.dir).map_err(|error| {
            self.pool.lock().1 -= 1;
            self.freed.notify_one();
            error.into()
        })
    }

    /// Closes the idle ones, so that the last checkpoint finds no reader.
    pub(crate) fn close(&self) {
        let mut pool = self.pool.lock();
        pool.1 -= pool.0.len();
        pool.0.clear();
    }
}

/// Rows whose contents a reader could not find.
pub(crate) type UnreadableRows = Vec<i64>;

/// A page of the destination's waiting deliveries that are due.
pub(crate) fn due(
    conn: &Connection,
    segments: &Segments,
    (destination, dest): (&Name, i64),
    now_ms: u64,
    after: Option<DueCursor>,
    limit: usize,
    unreadable: &mut UnreadableRows,
) -> Result<DuePage, Failure> {
    let (due, row) = after.map_or((-1, 0), |cursor| (cursor.due_ms as i64, cursor.row));
    let mut statement = conn.prepare(DUE)?;
    let one_more = limit.saturating_add(1).min(i64::MAX as usize) as i64;
    let mut rows = statement.query(params![dest, due, row, one_more])?;
    let mut page = DuePage::default();
    let (mut seen, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let stored = StoredDelivery::read(row)?;
        if stored.due_ms > now_ms || seen == limit || bytes >= PAGE_BYTES {
            page.next_due_ms = Some(stored.due_ms);
            break;
        }
        seen += 1;
        match stored.delivery(segments, destination) {
            Ok(delivery) => {
                bytes += delivery.body().len() + delivery.event.body.len();
                page.deliveries.push(delivery);
            }
            Err(error) if error.is_lasting() => unreadable.push(stored.row),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(page)
}

/// A page of the source's events that are to be routed and due.
pub(crate) fn unrouted(
    conn: &Connection,
    segments: &Segments,
    source: &str,
    now_ms: u64,
    after: Option<DueCursor>,
    limit: usize,
    unreadable: &mut UnreadableRows,
) -> Result<UnroutedPage, Failure> {
    let mut page = UnroutedPage::default();
    let find = "SELECT id FROM name WHERE text = ?1";
    let found = conn.query_row(find, [source], |row| row.get(0)).optional()?;
    let Some(source): Option<i64> = found else { return Ok(page) };
    let (due, row) = after.map_or((-1, 0), |cursor| (cursor.due_ms as i64, cursor.row));
    let mut statement = conn.prepare(UNROUTED)?;
    let one_more = limit.saturating_add(1).min(i64::MAX as usize) as i64;
    let mut rows = statement.query(params![source, due, row, one_more])?;
    let (mut seen, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let (id, due_ms) = (row.get(0)?, row.get::<_, i64>(4)? as u64);
        if due_ms > now_ms || seen == limit || bytes >= PAGE_BYTES {
            page.next_due_ms = Some(due_ms);
            break;
        }
        seen += 1;
        match segments.event(id, locator(row, 1)?) {
            Ok(event) => {
                bytes += event.body.len();
                page.events.push(Unrouted {
                    event: Arc::new(event),
                    due_ms,
                    tries: row.get(5)?,
                    replay: row.get::<_, i64>(6)? > 0,
                });
            }
            Err(error) if error.is_lasting() => unreadable.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(page)
}
