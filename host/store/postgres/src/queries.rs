//! Lists, search, feed and counts, each from one statement or a few.
use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use hookwright_model::{DeliveryState, EventId, EventState};
use hookwright_store::{
    Backlog, DeliveryDetail, DeliveryRow, EventDetail, EventQuery, EventRow, FeedPage, Found,
    StoreError,
};

use super::batch::number;
use super::claims;
use super::codec;
use super::columns::signed;
use super::connection::{Connection, Value};
use super::engine::Engine;
use super::error;

/// Rows of a page, at the most.
const MOST: usize = 1_000;
/// Bodies that a search looks at between two looks at the clock.
const STEP: usize = 256;
/// Bodies that one search looks at.
const SEARCHED: u64 = 50_000;
/// Bytes that one search looks at.
const SEARCHED_BYTES: u64 = 512 << 20;
/// How long one search takes.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// A list's text with its parameters.
struct Filter {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Filter {
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> usize {
        self.values.push(Box::new(value));
        self.values.len()
    }

    fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        let place = self.value(value);
        self.sql.push_str(" AND ");
        self.sql.push_str(&condition.replace('?', &format!("${place}")));
    }

    fn new(query: &EventQuery) -> Self {
        let mut filter = Self { sql: "true".into(), values: Vec::new() };
        if let Some(source) = &query.source {
            filter.and("e.source = ?", source.clone());
        }
        if let Some(kind) = &query.kind {
            filter.and("e.kind = ?", kind.as_bytes().to_vec());
        }
        if let Some(state) = query.state {
            let condition = match state {
                EventState::Accepted => "coalesce(o.state, 0::smallint) = ?",
                _ => "o.state = ?",
            };
            filter.and(condition, number(&EventState::ALL, state));
        }
        if let Some(since_ms) = query.since_ms {
            // An id is never earlier than the time of its event.
            filter.and("e.id >= ?", EventId::first_row_at(since_ms));
            filter.and("e.received >= ?", signed(since_ms));
        }
        if let Some(until_ms) = query.until_ms {
            filter.and("e.received < ?", signed(until_ms));
        }
        if let Some(before) = query.before {
            filter.and("e.id < ?", before.row());
        }
        if let Some(after) = query.after {
            filter.and("e.id > ?", after.row());
        }
        filter.deliveries(query);
        filter
    }

    fn deliveries(&mut self, query: &EventQuery) {
        if query.destination.is_none() && query.delivery.is_none() {
            return;
        }
        let (mut waiting, mut ended) = (String::new(), String::new());
        if let Some(name) = &query.destination {
            let place = self.value(name.clone());
            waiting = format!(" AND w.destination = ${place}");
            ended = format!(" AND d.destination = ${place}");
        }
        if let Some(state) = query.delivery.filter(|state| *state != DeliveryState::Waiting) {
            let place = self.value(number(&DeliveryState::ALL, state));
            ended.push_str(&format!(" AND d.state = ${place}"));
        }
        let of = |table: &str, name: &str, more: &str| {
            format!(
                "EXISTS(SELECT FROM {table} {name} WHERE {name}.id = e.id AND {name}.epoch = e.epoch{more})"
            )
        };
        let (waiting, ended) = (of("waiting", "w", &waiting), of("delivery", "d", &ended));
        let either = match query.delivery {
            None => format!(" AND ({waiting} OR {ended})"),
            Some(DeliveryState::Waiting) => format!(" AND {waiting}"),
            Some(_) => format!(" AND {ended}"),
        };
        self.sql.push_str(&either);
    }

    /// The rows, in the query's order; `more` are further columns.
    async fn rows(
        mut self,
        on: &Connection,
        oldest_first: bool,
        limit: usize,
        more: &str,
    ) -> Result<Vec<Row>, StoreError> {
        let order = if oldest_first { "ASC" } else { "DESC" };
        let limit = self.value(i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT {ROW}{more} FROM event e LEFT JOIN outcome o ON o.id = e.id AND o.epoch = e.epoch \
             WHERE {} ORDER BY e.id {order}, e.epoch {order} LIMIT ${limit}",
            self.sql
        );
        let values: Vec<Value<'_>> =
            self.values.iter().map(|value| &**value as Value<'_>).collect();
        on.query_text(&sql, &values).await.map_err(|error| error::failed(&error))
    }
}

const ROW: &str = "e.id, e.epoch, e.source, e.kind, coalesce(o.state, 0::smallint), e.received, \
    octet_length(e.body), coalesce(o.replays, 0), o.reason";

fn row(engine: &Engine, row: &Row) -> EventRow {
    let state: i16 = row.get(4);
    let known = usize::try_from(state).ok().and_then(|state| EventState::ALL.get(state));
    EventRow {
        id: engine.id(row.get(0), row.get(1)),
        source: row.get(2),
        kind: String::from_utf8_lossy(row.get(3)).into_owned(),
        state: known.copied().unwrap_or(EventState::Accepted),
        received_ms: row.get::<_, i64>(5).cast_unsigned(),
        body_bytes: u64::from(row.get::<_, i32>(6).cast_unsigned()),
        replays: row.get::<_, i32>(7).cast_unsigned(),
        reason: row.get(8),
        deliveries: Vec::new(),
    }
}

fn delivery_row(row: &Row) -> DeliveryRow {
    let state = usize::try_from(row.get::<_, i16>(3)).unwrap_or_default();
    DeliveryRow {
        destination: row.get(2),
        state: DeliveryState::ALL.get(state).copied().unwrap_or(DeliveryState::Waiting),
        due_ms: row.get::<_, i64>(4).cast_unsigned(),
        attempts: row.get::<_, i32>(5).cast_unsigned(),
        cause: row.get(6),
        behind: row.get(7),
    }
}

/// Reads the deliveries of these rows.
async fn whole(
    engine: &Engine,
    on: &Connection,
    rows: &[Row],
) -> Result<Vec<EventRow>, StoreError> {
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let epochs: Vec<i32> = rows.iter().map(|row| row.get(1)).collect();
    let mut events: Vec<EventRow> = rows.iter().map(|one| row(engine, one)).collect();
    if events.is_empty() {
        return Ok(events);
    }
    let places: HashMap<EventId, usize> =
        events.iter().enumerate().map(|(place, event)| (event.id, place)).collect();
    let sent = on.query(DELIVERIES, &[&ids, &epochs]).await;
    for row in sent.map_err(|error| error::failed(&error))? {
        if let Some(place) = places.get(&engine.id(row.get(0), row.get(1))) {
            events[*place].deliveries.push(delivery_row(&row));
        }
    }
    Ok(events)
}

pub(crate) async fn list(engine: &Engine, query: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
    let on = engine.reader().await?;
    let limit = query.limit.min(MOST);
    let rows = Filter::new(query).rows(&on, query.oldest_first, limit, "").await?;
    whole(engine, &on, &rows).await
}

pub(crate) async fn search(
    engine: &Engine,
    query: &EventQuery,
    text: &str,
) -> Result<Found, StoreError> {
    let on = engine.reader().await?;
    let (limit, since) = (query.limit.min(MOST), Instant::now());
    let (mut found, mut hits, mut last, mut bytes) = (Found::default(), Vec::new(), None, 0u64);
    let mut query = query.clone();
    'search: loop {
        let mut filter = Filter::new(&query);
        let place = filter.value(text.as_bytes().to_vec());
        let more = format!(", position(${place}::bytea IN e.body) > 0");
        let rows = filter.rows(&on, query.oldest_first, STEP, &more).await?;
        let full = rows.len() == STEP;
        for row in rows {
            let spent = found.looked_at >= SEARCHED || bytes >= SEARCHED_BYTES;
            if hits.len() >= limit || spent || since.elapsed() >= SEARCH_TIME {
                found.stopped_at = last;
                break 'search;
            }
            found.looked_at += 1;
            bytes += u64::from(row.get::<_, i32>(6).cast_unsigned());
            last = Some(engine.id(row.get(0), row.get(1)));
            if row.get(9) {
                hits.push(row);
            }
        }
        match query.oldest_first {
            _ if !full => break,
            true => query.after = last,
            false => query.before = last,
        }
    }
    found.rows = whole(engine, &on, &hits).await?;
    Ok(found)
}

pub(crate) async fn feed(
    engine: &Engine,
    query: EventQuery,
    after: Option<EventId>,
) -> Result<Option<FeedPage>, StoreError> {
    let up_to = *engine.last.lock();
    let Some(after) = after else {
        return Ok(Some(FeedPage { rows: Vec::new(), position: up_to }));
    };
    if engine.place(after).is_none() {
        return Ok(None);
    }
    let on = engine.reader().await?;
    let query = EventQuery { after: Some(after), before: None, oldest_first: true, ..query };
    let limit = query.limit.min(MOST);
    let mut filter = Filter::new(&query);
    filter.and("e.id <= ?", up_to.row());
    let rows = filter.rows(&on, true, limit, "").await?;
    let rows = whole(engine, &on, &rows).await?;
    let full = rows.len() >= limit;
    let last = rows.last().filter(|_| full).map(|row| row.id);
    Ok(Some(FeedPage { position: last.unwrap_or(up_to.max(after)), rows }))
}

pub(crate) async fn detail(
    engine: &Engine,
    id: EventId,
) -> Result<Option<EventDetail>, StoreError> {
    let Some((key, epoch)) = engine.place(id) else { return Ok(None) };
    let failed = |error| error::failed(&error);
    let on = engine.reader().await?;
    let found = on.query(EVENT, &[&key, &epoch]).await.map_err(failed)?;
    let Some(found) = found.first() else { return Ok(None) };
    let deliveries = on.query(DETAILS, &[&key, &epoch]).await.map_err(failed)?;
    let attempts = on.query(ATTEMPTS, &[&key, &epoch]).await.map_err(failed)?;
    let mut event_row = row(engine, found);
    let mut details = Vec::new();
    for row in deliveries {
        let delivery = delivery_row(&row);
        let payload: Option<Vec<u8>> = row.get(8);
        let own = attempts.iter().filter(|one| one.get::<_, &str>(0) == delivery.destination);
        let attempts: Result<_, _> = own
            .map(|one| {
                let number = u32::try_from(one.get::<_, i64>(1)).unwrap_or(u32::MAX);
                codec::attempt(number, one.get(2))
            })
            .collect();
        event_row.deliveries.push(delivery.clone());
        details.push(DeliveryDetail {
            row: delivery,
            payload: payload.map(codec::payload).transpose().map_err(error::damaged)?,
            attempts: attempts.map_err(error::damaged)?,
        });
    }
    Ok(Some(EventDetail {
        row: event_row,
        event: claims::event(engine, found, 10).map_err(error::damaged)?,
        verdicts: codec::verdicts(found.get(9)).map_err(error::damaged)?,
        deliveries: details,
    }))
}

pub(crate) async fn backlog(engine: &Engine) -> Result<Vec<Backlog>, StoreError> {
    let on = engine.reader().await?;
    let rows = on.query(BACKLOG, &[]).await.map_err(|error| error::failed(&error))?;
    let backlog = |row: &Row| Backlog {
        destination: row.get(0),
        waiting: row.get::<_, i64>(1).cast_unsigned(),
        dead: row.get::<_, i64>(2).cast_unsigned(),
        oldest_ms: row.get::<_, Option<i64>>(3).map(i64::cast_unsigned),
    };
    Ok(rows.iter().map(backlog).collect())
}

/// Of all kinds in one statement, so that one that ends meanwhile is seen once.
const DELIVERIES: &str = "WITH k AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::int[]) u(id, epoch)) \
    SELECT w.id, w.epoch, w.destination, 0::smallint, w.due, w.attempts, NULL::text, w.behind \
      FROM k JOIN waiting w ON w.id = k.id AND w.epoch = k.epoch \
    UNION ALL SELECT d.id, d.epoch, d.destination, d.state, d.due, d.attempts, d.cause, false \
      FROM k JOIN delivery d ON d.id = k.id AND d.epoch = k.epoch ORDER BY 1, 2, 3";
const EVENT: &str = "SELECT e.id, e.epoch, e.source, e.kind, coalesce(o.state, 0::smallint), e.received, \
    octet_length(e.body), coalesce(o.replays, 0), o.reason, o.rulings, \
    e.id, e.epoch, e.received, e.source, e.kind, e.headers, e.body \
    FROM event e LEFT JOIN outcome o ON o.id = e.id AND o.epoch = e.epoch WHERE e.id = $1 AND e.epoch = $2";
const DETAILS: &str = "SELECT id, epoch, destination, 0::smallint, due, attempts, NULL::text, behind, payload \
      FROM waiting WHERE id = $1 AND epoch = $2 \
    UNION ALL SELECT id, epoch, destination, state, due, attempts, cause, false, payload \
      FROM delivery WHERE id = $1 AND epoch = $2 ORDER BY 3";
const ATTEMPTS: &str = "SELECT destination, number, data FROM attempt WHERE id = $1 AND epoch = $2 \
    UNION ALL SELECT destination, 1::bigint, first FROM delivery WHERE id = $1 AND epoch = $2 AND first IS NOT NULL \
    ORDER BY 1, 2";
const BACKLOG: &str = "SELECT n.name, coalesce(w.waiting, 0), coalesce(d.dead, 0), \
      (SELECT min(e.received) FROM event e WHERE e.id = w.oldest) \
    FROM destination n \
    LEFT JOIN (SELECT destination, count(*) AS waiting, min(id) FILTER (WHERE NOT behind) AS oldest \
      FROM waiting GROUP BY 1) w ON w.destination = n.name \
    LEFT JOIN (SELECT destination, count(*) AS dead FROM delivery WHERE state = 2 GROUP BY 1) d \
      ON d.destination = n.name ORDER BY 1";
