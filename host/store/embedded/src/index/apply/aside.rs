//! Events that have no row, since SQLite refused each that they could have: found and replayed all the same.
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::applier::Applier;
use crate::error::Failure;
use crate::error::ReadError;
use crate::index::counts::Delta;
use crate::index::ops::Accepted;
use crate::journal::segment::Segments;
use crate::queries::listing;
use crate::queries::query::locator;
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
    Ok(Some(EventDetail { row, event, rulings: Vec::new(), deliveries: Vec::new() }))
}

/// Puts those that a query asks for in their places on its page.
pub(crate) fn merge(
    conn: &Connection,
    segments: &Segments,
    query: &EventQuery,
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
    let limit = listing::page(query);
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

impl Applier<'_> {
    /// Gives it a row again, to be routed. False where it is not one of them.
    pub(crate) fn replay_aside(&mut self, row: i64, delta: &mut Delta) -> rusqlite::Result<bool> {
        let found = self.conn.query_row(FIND, [row], |found| locator(found, 0));
        let Some(at) = found.optional()? else { return Ok(false) };
        let unread = |error: ReadError| rusqlite::Error::ToSqlConversionFailure(error.into());
        let event = Arc::new(self.segments.event(row, at).map_err(unread)?);
        self.insert(&Accepted { event, at, key: None }, None, delta)?;
        self.conn.execute("DELETE FROM aside WHERE event = ?1", [row])?;
        Ok(true)
    }

    pub(crate) fn drop_aside(&mut self, row: i64) -> rusqlite::Result<()> {
        self.conn.execute("DELETE FROM aside WHERE event = ?1", [row]).map(drop)
    }
}
