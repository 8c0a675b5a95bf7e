//! Work that waits, read page by page in the order of (due, event).
use std::sync::Arc;

use tokio_postgres::Row;

use hookwright_model::{Delivery, Event};
use hookwright_store::{Cursor, DuePage, StoreError, Unrouted, UnroutedPage};

use super::codec::{self, Unreadable};
use super::columns::signed;
use super::connection::Connection;
use super::engine::Engine;
use super::error;

/// A claim of one's own.
pub(crate) struct Claimed {
    pub(crate) of: String,
    pub(crate) now_ms: u64,
    pub(crate) after: Option<At>,
    pub(crate) limit: usize,
}

/// A place in the order: due, row key, epoch.
pub(crate) type At = (i64, i64, i32);

/// Before everything.
const FRONT: At = (-1, 0, 0);

fn cursor((due, row, epoch): At) -> Cursor {
    let bytes = [&due.to_be_bytes()[..], &row.to_be_bytes(), &epoch.to_be_bytes()].concat();
    Cursor::new(bytes)
}

/// The place that a cursor stands for.
pub(crate) fn place(cursor: Option<&Cursor>) -> Result<Option<At>, StoreError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let foreign = || StoreError::Failed("a cursor that another store made".into());
    let bytes: [u8; 20] = cursor.as_bytes().try_into().map_err(|_| foreign())?;
    let long =
        |at: usize| bytes[at..at + 8].try_into().map(i64::from_be_bytes).map_err(|_| foreign());
    let epoch = bytes[16..].try_into().map(i32::from_be_bytes).map_err(|_| foreign())?;
    Ok(Some((long(0)?, long(8)?, epoch)))
}

/// An event from the columns that begin at `at`: id, epoch, received, source, kind, headers, body.
pub(crate) fn event(engine: &Engine, row: &Row, at: usize) -> Result<Arc<Event>, Unreadable> {
    let kind = String::from_utf8_lossy(row.get(at + 4)).into();
    Ok(Arc::new(Event {
        id: engine.id(row.get(at), row.get(at + 1)),
        received_ms: row.get::<_, i64>(at + 2).cast_unsigned(),
        source: row.get::<_, &str>(at + 3).parse().map_err(|_| Unreadable)?,
        kind,
        headers: codec::headers(row.get(at + 5))?,
        body: row.get::<_, Vec<u8>>(at + 6).into(),
    }))
}

/// A delivery from an event's columns and those behind it, from the tenth on.
fn delivery(engine: &Engine, row: &Row) -> Result<Delivery, Unreadable> {
    let payload: Option<Vec<u8>> = row.get(12);
    let key: Option<Vec<u8>> = row.get(11);
    Ok(Delivery {
        event: event(engine, row, 0)?,
        destination: row.get::<_, &str>(7).parse().map_err(|_| Unreadable)?,
        payload: payload.map(codec::payload).transpose()?.map(Arc::new),
        due_ms: row.get::<_, i64>(8).cast_unsigned(),
        order_key: key.map(|key| String::from_utf8_lossy(&key).into()),
        tries: row.get::<_, i32>(9).cast_unsigned(),
        attempts: row.get::<_, i32>(10).cast_unsigned(),
        replayed: row.get(13),
    })
}

pub(crate) async fn deliveries(engine: &Engine, claim: Claimed) -> Result<DuePage, StoreError> {
    let connection = engine.reader().await?;
    let (due, row, epoch) = claim.after.unwrap_or(FRONT);
    let most = i64::try_from(claim.limit).unwrap_or(i64::MAX - 1) + 1;
    let rows = connection.query(DUE, &[&claim.of, &due, &row, &epoch, &most]).await;
    let rows = rows.map_err(|error| error::failed(&error))?;
    let now = signed(claim.now_ms);
    let is_due = |row: &&Row| row.get::<_, i64>(8) <= now;
    let count = rows.iter().take(claim.limit).take_while(is_due).count();
    let at = |row: &Row| (row.get(8), row.get(0), row.get(1));
    let page = rows[..count].iter().map(|row| delivery(engine, row));
    Ok(DuePage {
        next: rows[..count].last().map(|row| cursor(at(row))),
        next_due_ms: rows.get(count).map(|row| row.get::<_, i64>(8).cast_unsigned()),
        deliveries: page.collect::<Result<_, _>>().map_err(error::damaged)?,
    })
}

pub(crate) async fn events(engine: &Engine, claim: Claimed) -> Result<UnroutedPage, StoreError> {
    let connection = engine.reader().await?;
    let (due, after, epoch) = claim.after.unwrap_or(FRONT);
    let most = i64::try_from(claim.limit).unwrap_or(i64::MAX - 1) + 1;
    let from = engine.routed_to.load(std::sync::atomic::Ordering::SeqCst);
    let values: [super::connection::Value<'_>; 6] = [&claim.of, &due, &after, &epoch, &most, &from];
    let rows = connection.query(UNROUTED, &values).await.map_err(|error| error::failed(&error))?;
    let now = signed(claim.now_ms);
    let due = |row: &Row| row.get::<_, i64>(7);
    let count = rows.iter().take(claim.limit).take_while(|row| due(row) <= now).count();
    let unrouted = |row: &Row| {
        Ok(Unrouted {
            event: event(engine, row, 0)?,
            due_ms: due(row).cast_unsigned(),
            tries: row.get::<_, i32>(8).cast_unsigned(),
            replay: row.get::<_, i32>(9) > 0,
        })
    };
    let page: Result<_, _> = rows[..count].iter().map(unrouted).collect();
    Ok(UnroutedPage {
        next: rows[..count].last().map(|row| cursor((due(row), row.get(0), row.get(1)))),
        next_due_ms: rows.get(count).map(|row| due(row).cast_unsigned()),
        events: page.map_err(error::damaged)?,
    })
}

/// Those of the deliveries that wait and are not behind another one, in the order in which they are named.
pub(crate) async fn load(
    engine: &Engine,
    on: &Connection,
    rows: &[i64],
    epochs: &[i32],
    names: &[String],
) -> Result<Vec<Delivery>, StoreError> {
    let found = on.query(LOAD, &[&rows, &epochs, &names]).await;
    let found = found.map_err(|error| error::failed(&error))?;
    let all: Result<_, _> = found.iter().map(|row| delivery(engine, row)).collect();
    all.map_err(error::damaged)
}

const DUE: &str = "SELECT e.id, e.epoch, e.received, e.source, e.kind, e.headers, e.body, w.destination, w.due, \
    w.tries, w.attempts, w.order_key, w.payload, w.replayed \
    FROM (SELECT * FROM waiting WHERE destination = $1 AND NOT behind AND (due, id, epoch) > ($2::bigint, $3::bigint, $4::int) \
      ORDER BY due, id, epoch LIMIT $5::bigint) w \
    JOIN event e ON e.id = w.id AND e.epoch = w.epoch ORDER BY w.due, w.id, w.epoch";
/// Events without an outcome are due at 0; those of which routing was tried, or which are replayed, have one in state 0.
const UNROUTED: &str = "SELECT e.id, e.epoch, e.received, e.source, e.kind, e.headers, e.body, u.due, u.tries, u.replays \
    FROM (\
      (SELECT n.id, n.epoch, 0::bigint AS due, 0 AS tries, 0 AS replays FROM event n \
        WHERE n.source = $1 AND n.id > $6::bigint AND (0::bigint, n.id, n.epoch) > ($2::bigint, $3::bigint, $4::int) \
        AND NOT EXISTS(SELECT FROM outcome x WHERE x.id = n.id AND x.epoch = n.epoch) \
        ORDER BY n.id, n.epoch LIMIT $5::bigint) \
      UNION ALL \
      (SELECT o.id, o.epoch, o.due, o.tries, o.replays FROM outcome o \
        WHERE o.state = 0 AND o.source = $1 AND (o.due, o.id, o.epoch) > ($2::bigint, $3::bigint, $4::int) \
        ORDER BY o.due, o.id, o.epoch LIMIT $5::bigint)) u \
    JOIN event e ON e.id = u.id AND e.epoch = u.epoch ORDER BY u.due, u.id, u.epoch LIMIT $5::bigint";
const LOAD: &str = "SELECT e.id, e.epoch, e.received, e.source, e.kind, e.headers, e.body, w.destination, w.due, \
    w.tries, w.attempts, w.order_key, w.payload, w.replayed \
    FROM unnest($1::bigint[], $2::int[], $3::text[]) WITH ORDINALITY k(id, epoch, dest, place) \
    JOIN waiting w ON w.id = k.id AND w.epoch = k.epoch AND w.destination = k.dest AND NOT w.behind \
    JOIN event e ON e.id = w.id AND e.epoch = w.epoch ORDER BY k.place";
