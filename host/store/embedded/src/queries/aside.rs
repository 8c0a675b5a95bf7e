//! Reads of events that have no row, since SQLite refused each that they could have: they are listed as parked.
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;
use crate::index::columns::locator;
use crate::journal::segments::Segments;
use hookwright_model::{Event, EventId, EventState};
use hookwright_store::{EventDetail, EventQuery, EventRow};

const FIND: &str = "SELECT segment, offset, length, reason FROM aside WHERE event = ?1";

fn row_of(event: &Event, reason: String) -> EventRow {
    EventRow {
        id: event.id,
        source: event.source.to_string(),
        kind: event.kind.to_string(),
        state: EventState::Parked,
        received_ms: event.received_ms,
        body_bytes: event.body.len() as u64,
        replays: 0,
        reason: Some(reason),
        deliveries: Vec::new(),
    }
}

pub(crate) fn detail(
    conn: &Connection,
    segments: &Segments,
    row: i64,
) -> Result<Option<EventDetail>, Failure> {
    let found = conn.query_row(FIND, [row], |found| Ok((locator(found, 0)?, found.get(3)?)));
    let Some((at, reason)) = found.optional()? else { return Ok(None) };
    let event = Arc::new(segments.event(row, at)?);
    let row = row_of(&event, reason);
    Ok(Some(EventDetail { row, event, verdicts: Vec::new(), deliveries: Vec::new() }))
}

/// Puts those that a query asks for in their places on its page, which has `limit` rows at most.
pub(crate) fn merge(
    conn: &Connection,
    segments: &Segments,
    (query, limit): (&EventQuery, usize),
    page: &mut Vec<EventRow>,
) -> Result<(), Failure> {
    let parked = query.state.is_none_or(|state| state == EventState::Parked);
    if !parked || query.destination.is_some() || query.delivery.is_some() {
        return Ok(());
    }
    let way = if query.oldest_first { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT event, segment, offset, length, reason FROM aside
         WHERE event < ?1 AND event > ?2 ORDER BY event {way}"
    );
    let mut find = conn.prepare(&sql)?;
    let mut rows = find.query(params![
        query.before.map_or(i64::MAX, EventId::row),
        query.after.map_or(i64::MIN, EventId::row),
    ])?;
    let before = page.len();
    while let Some(found) = rows.next()? {
        // One that can't be read is told by whoever drops its segment.
        let Ok(event) = segments.event(found.get(0)?, locator(found, 1)?) else { continue };
        let wanted =
            |filter: &Option<String>, own: &str| filter.as_ref().is_none_or(|is| is == own);
        let within = query.since_ms.is_none_or(|since| event.received_ms >= since)
            && query.until_ms.is_none_or(|until| event.received_ms < until);
        if within
            && wanted(&query.source, event.source.as_str())
            && wanted(&query.kind, &event.kind)
        {
            page.push(row_of(&event, found.get(4)?));
        }
        if page.len() - before == limit {
            break;
        }
    }
    if page.len() > before {
        page.sort_by(|one, other| match query.oldest_first {
            true => one.id.cmp(&other.id),
            false => other.id.cmp(&one.id),
        });
        page.dedup_by_key(|row| row.id);
        page.truncate(limit);
    }
    Ok(())
}
