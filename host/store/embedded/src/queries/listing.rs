//! Listing events by filters, and everything about one event.
use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::aside;
use crate::error::Failure;
use crate::index::columns::{delivery_state, locator, payload_locator};
use crate::index::counts::Counts;
use crate::index::schema::{BEHIND, TIME};
use crate::journal::codec;
use crate::journal::locator::Locator;
use crate::journal::segments::Segments;
use hookwright_model::{Attempt, DeliveryState, EventId, EventState, VerdictRecord};
use hookwright_store::{
    DeliveryDetail, DeliveryRow, EventDetail, EventQuery, EventRow, StoreError,
};

const MOST: usize = 1_000;
pub(crate) const DELIVERIES: &str = "
SELECT t.text, d.state, d.due, d.attempts, d.cause FROM delivery d
CROSS JOIN destination t ON t.id = d.dest WHERE d.event = ?1 ORDER BY d.dest";
const COLUMNS: &str = "e.id, s.text, k.text, e.state, e.body, e.replays, e.reason, \
                       e.segment, e.offset, e.length, ifnull(e.received, e.id >> 16)";
const NAMES: &str = "CROSS JOIN name s ON s.id = e.source CROSS JOIN name k ON k.id = e.kind";

/// The newest event before `until` whose row key lies behind that time's: the
/// clock was ahead before it came.
fn newest_skewed(conn: &Connection, query: &EventQuery) -> rusqlite::Result<Option<i64>> {
    let Some(until) = query.until_ms else { return Ok(None) };
    let find = "SELECT max(id) FROM event INDEXED BY event_received
         WHERE received IS NOT NULL AND received < ?1 AND id >= ?2";
    let until_ms = until.min(i64::MAX as u64) as i64;
    conn.query_row(find, [until_ms, EventId::first_row_at(until)], |row| row.get(0))
}

/// How many rows a page has.
pub(crate) fn page(query: &EventQuery) -> usize {
    query.limit.min(MOST)
}

/// The statement for a query, with its parameters; none where a filter names
/// what the store never saw.
///
/// A filter for dead deliveries walks the dead ones, one for an ended state
/// the events in it; all others walk the events, from the end that was asked for.
pub(crate) fn statement(
    conn: &Connection,
    counts: &Counts,
    query: &EventQuery,
    limit: usize,
) -> rusqlite::Result<Option<(String, Vec<Value>)>> {
    let mut filters = Filters::default();
    for (column, text) in [("source", &query.source), ("kind", &query.kind)] {
        let Some(text) = text else { continue };
        let found = conn.query_row("SELECT id FROM name WHERE text = ?1", [text], |r| r.get(0));
        let Some(id) = found.optional()? else { return Ok(None) };
        filters.add(&format!("e.{column} ="), id);
    }
    if let Some(state) = query.state {
        filters.add("e.state =", state as i64);
    }
    let dest = match &query.destination {
        None => None,
        Some(name) => match counts.destination(name) {
            None => return Ok(None),
            found => found,
        },
    };
    let newest_skewed = newest_skewed(conn, query)?;
    let (from, group, row) = if query.delivery == Some(DeliveryState::Dead) {
        filters.range("x.event", query, newest_skewed);
        if let Some(dest) = dest {
            filters.add("x.dest =", dest);
        }
        let dead = "delivery x INDEXED BY delivery_dead CROSS JOIN event e ON e.id = x.event";
        filters.sql.push_str(" AND x.state = 2");
        (dead, "GROUP BY x.event", "x.event")
    } else {
        filters.range("e.id", query, newest_skewed);
        filters.delivery(dest, query.delivery);
        ("event e", "", "e.id")
    };
    let way = if query.oldest_first { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM {from} {NAMES} WHERE 1{} {group} ORDER BY {row} {way} LIMIT {limit}",
        filters.sql
    );
    Ok(Some((sql, filters.parameters)))
}

#[derive(Default)]
struct Filters {
    sql: String,
    parameters: Vec<Value>,
}

impl Filters {
    fn add(&mut self, condition: &str, value: i64) {
        self.parameters.push(Value::Integer(value));
        write!(self.sql, " AND {condition} ?{}", self.parameters.len())
            .expect("a string takes all");
    }

    /// A row key is never below that of the event's own time, so it bounds the
    /// walk; what was accepted while the clock was behind itself is told apart
    /// by its time.
    fn range(&mut self, row: &str, query: &EventQuery, newest_skewed: Option<i64>) {
        let small = |ms: u64| ms.min(i64::MAX as u64) as i64;
        if let Some(since) = query.since_ms {
            self.add(&format!("{row} >="), EventId::first_row_at(since));
            self.add(&format!("{TIME} >="), small(since));
        }
        if let Some(until) = query.until_ms {
            let end = EventId::first_row_at(until);
            self.add(&format!("{row} <"), newest_skewed.map_or(end, |row| end.max(row + 1)));
            self.add(&format!("{TIME} <"), small(until));
        }
        if let Some(before) = query.before {
            self.add(&format!("{row} <"), before.row());
        }
        if let Some(after) = query.after {
            self.add(&format!("{row} >"), after.row());
        }
    }

    fn delivery(&mut self, dest: Option<i64>, state: Option<DeliveryState>) {
        if dest.is_none() && state.is_none() {
            return;
        }
        self.sql.push_str(" AND EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.id");
        if let Some(dest) = dest {
            self.add("d.dest =", dest);
        }
        match state {
            Some(DeliveryState::Waiting) => self.sql.push_str(" AND +d.state IN (0, 3)"),
            Some(state) => self.add("+d.state =", state as i64),
            None => {}
        }
        self.sql.push(')');
    }
}

pub(crate) fn events(
    conn: &Connection,
    counts: &Counts,
    segments: &Segments,
    query: &EventQuery,
) -> Result<Vec<EventRow>, Failure> {
    let mut page = with_rows(conn, counts, segments.node, query)?;
    aside::merge(conn, segments, (query, self::page(query)), &mut page)?;
    Ok(page)
}

fn with_rows(
    conn: &Connection,
    counts: &Counts,
    node: u64,
    query: &EventQuery,
) -> Result<Vec<EventRow>, Failure> {
    let built = statement(conn, counts, query, page(query))?;
    let Some((sql, parameters)) = built else { return Ok(Vec::new()) };
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut deliveries = conn.prepare(DELIVERIES)?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(whole_row(row, &mut deliveries, node)?);
    }
    Ok(page)
}

/// An event's row with those of its deliveries.
pub(crate) fn whole_row(
    row: &Row<'_>,
    deliveries: &mut rusqlite::Statement<'_>,
    node: u64,
) -> rusqlite::Result<EventRow> {
    let mut event = event_row(row, node)?;
    let found = deliveries.query_map([event.id.row()], |row| delivery_row(row, 0))?;
    event.deliveries = found.collect::<rusqlite::Result<_>>()?;
    Ok(event)
}

fn event_row(row: &Row<'_>, node: u64) -> rusqlite::Result<EventRow> {
    let id = EventId::new(row.get(0)?, node);
    let state: u8 = row.get(3)?;
    Ok(EventRow {
        id,
        source: row.get(1)?,
        kind: row.get(2)?,
        state: *EventState::ALL
            .get(usize::from(state))
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, i64::from(state)))?,
        received_ms: row.get::<_, i64>(10)? as u64,
        body_bytes: row.get::<_, i64>(4)? as u64,
        replays: row.get(5)?,
        reason: row.get(6)?,
        deliveries: Vec::new(),
    })
}

fn delivery_row(row: &Row<'_>, first: usize) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        destination: row.get(first)?,
        state: delivery_state(row.get(first + 1)?)?,
        due_ms: row.get::<_, i64>(first + 2)? as u64,
        attempts: row.get(first + 3)?,
        cause: row.get(first + 4)?,
        behind: row.get::<_, i64>(first + 1)? == BEHIND,
    })
}

/// Everything about one event.
pub(crate) fn detail(
    conn: &Connection,
    segments: &Segments,
    row: i64,
) -> Result<Option<EventDetail>, Failure> {
    let sql = format!("SELECT {COLUMNS}, e.rulings FROM event e {NAMES} WHERE e.id = ?1");
    let found = conn.query_row(&sql, [row], |found| {
        let verdicts: Option<Vec<u8>> = found.get(11)?;
        Ok((event_row(found, segments.node)?, locator(found, 7)?, verdicts))
    });
    let Some((mut event, at, verdicts)) = found.optional()? else { return Ok(None) };
    let verdicts: Vec<VerdictRecord> = match verdicts {
        None => Vec::new(),
        Some(json) => serde_json::from_slice(&json).map_err(|error| garbled("rulings", &error))?,
    };
    let mut deliveries = Vec::new();
    let mut statement = conn.prepare(
        "SELECT t.text, d.state, d.due, d.attempts, d.cause, d.dest, d.first,
         d.pay_segment, d.pay_offset, d.pay_length
         FROM delivery d CROSS JOIN destination t ON t.id = d.dest
         WHERE d.event = ?1 ORDER BY d.dest",
    )?;
    let mut rows = statement.query([row])?;
    while let Some(found) = rows.next()? {
        let own = delivery_row(found, 0)?;
        event.deliveries.push(own.clone());
        let attempts = attempts(conn, row, found.get(5)?, found.get(6)?)?;
        deliveries.push(delivery_detail(segments, row, own, payload_locator(found, 7)?, attempts)?);
    }
    let event_itself = Arc::new(segments.event(row, at)?);
    Ok(Some(EventDetail { row: event, event: event_itself, verdicts, deliveries }))
}

fn delivery_detail(
    segments: &Segments,
    row: i64,
    own: DeliveryRow,
    payload: Option<Locator>,
    attempts: Vec<Attempt>,
) -> Result<DeliveryDetail, Failure> {
    let payload = payload.map(|at| segments.payload(row, at)).transpose()?;
    Ok(DeliveryDetail { row: own, payload, attempts })
}

/// The first attempt is in the delivery's row, the others have their own.
fn attempts(
    conn: &Connection,
    row: i64,
    dest: i64,
    first: Option<Vec<u8>>,
) -> Result<Vec<Attempt>, Failure> {
    let mut statement =
        conn.prepare("SELECT data FROM attempt WHERE event = ?1 AND dest = ?2 ORDER BY n")?;
    let later = statement.query_map(params![row, dest], |row| row.get::<_, Vec<u8>>(0))?;
    let mut attempts = Vec::new();
    for data in first.into_iter().map(Ok).chain(later) {
        attempts.push(codec::attempt(&data?).map_err(|error| garbled("an attempt", &error))?);
    }
    Ok(attempts)
}

fn garbled(what: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("{what} in the index can't be read: {error}").into())
}
