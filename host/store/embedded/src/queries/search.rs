//! Searching for a text in the bodies: a bounded walk over the newest events.
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use rusqlite::Connection;

use super::listing::{DELIVERIES, page, statement, whole_row};
use crate::error::Failure;
use crate::index::columns::locator;
use crate::index::counts::Counts;
use crate::journal::segments::Segments;
use hookwright_model::EventId;
use hookwright_store::{EventQuery, Found};

/// Events that one search looks at, at most.
const EVENTS: usize = 20_000;
/// Bytes of bodies that one search reads, at most but for the last one.
const BYTES: usize = 64 << 20;
/// How long one search takes, but for the last event.
const TIME: Duration = Duration::from_secs(2);

pub(crate) fn bodies(
    conn: &Connection,
    counts: &Counts,
    segments: &Segments,
    query: &EventQuery,
    text: &str,
) -> Result<Found, Failure> {
    let mut found = Found::default();
    let built = statement(conn, counts, query, EVENTS + 1)?;
    let Some((sql, parameters)) = built else { return Ok(found) };
    let finder = Finder::new(text);
    let begun = Instant::now();
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut deliveries = conn.prepare(DELIVERIES)?;
    let (mut looked_at, mut bytes, mut last) = (0, 0, None);
    while let Some(row) = rows.next()? {
        let full = found.rows.len() >= page(query);
        if full || looked_at == EVENTS || bytes >= BYTES || begun.elapsed() >= TIME {
            found.stopped_at = last;
            break;
        }
        looked_at += 1;
        let id: i64 = row.get(0)?;
        last = Some(EventId::new(id, segments.node));
        // One that can't be read now was purged or moved meanwhile, or is
        // damaged, which whoever handles it says.
        let Ok(event) = segments.event(id, locator(row, 7)?) else { continue };
        bytes += event.body.len();
        if finder.find(&event.body).is_some() {
            found.rows.push(whole_row(row, &mut deliveries, segments.node)?);
        }
    }
    found.looked_at = looked_at as u64;
    Ok(found)
}
