//! What people and retention change: each a transaction of its own, in its turn between the batches of outcomes.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_postgres::{Error, Row};

use hookwright_model::EventId;
use hookwright_model::clock::millis;
use hookwright_store::{Purged, StoreError};

use super::apply::{self, Op};
use super::claims;
use super::codec;
use super::columns::signed;
use super::connection::{Connection, Step};
use super::engine::{DAY_MS, Engine, day_of};
use super::error;

/// What a plugin may put a delivery off by, and a day more, in milliseconds.
const LONGEST_DELAY_MS: i64 = 367 * DAY_MS;
/// Events that one transaction of a purge deletes, so that outcomes are not held up for long.
const PURGED: i32 = 2_000;

impl Engine {
    /// Hands something in to be done in its turn.
    pub(crate) fn hand_in(&self, op: Op) -> Result<(), StoreError> {
        let ops = self.ops.read();
        let ops = ops.as_ref().ok_or(StoreError::Closed)?;
        self.unrecorded.fetch_add(apply::size(&op), std::sync::atomic::Ordering::Relaxed);
        ops.send(op).map_err(|_| StoreError::Closed)
    }

    /// Resolves once all that was handed in is recorded.
    pub(crate) async fn barrier(&self) -> Result<(), StoreError> {
        let (told, done) = oneshot::channel();
        self.hand_in(Op::Barrier(told))?;
        done.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Runs the work on the connection of the batches, after what was handed in before.
async fn in_turn<T, W, F>(engine: &Arc<Engine>, work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: FnOnce(Arc<Engine>, Arc<Connection>) -> F + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let (told, done) = oneshot::channel();
    let own = Arc::clone(engine);
    let job = move |on| -> apply::Running {
        Box::pin(async move {
            let done = work(Arc::clone(&own), on).await;
            let _ = told.send(done.map_err(|error| {
                own.look_at(&error);
                error::failed(&error)
            }));
        })
    };
    engine.hand_in(Op::Job(Box::new(job)))?;
    let away = || StoreError::Failed("the database can't be had".into());
    done.await.unwrap_or_else(|_| Err(away()))
}

/// One statement under the own epoch. Answers its rows.
async fn one(engine: &Engine, on: &Connection, step: Step<'_>) -> Result<Vec<Row>, Error> {
    let steps = [Step::new(FENCE).with(engine.epoch), step];
    Ok(on.transaction("BEGIN", &steps).await?.pop().unwrap_or_default())
}

fn count(rows: &[Row]) -> u64 {
    rows.first().map_or(0, |row| row.get::<_, i64>(0).cast_unsigned())
}

pub(crate) async fn replay_event(engine: Arc<Engine>, id: EventId) -> Result<bool, StoreError> {
    let Some((row, epoch)) = engine.place(id) else { return Ok(false) };
    let replayed = in_turn(&engine, move |engine, on| async move {
        let step = Step::new(REPLAY_EVENT).with(row).with(epoch);
        Ok(!one(&engine, &on, step).await?.is_empty())
    });
    let replayed = replayed.await?;
    if replayed {
        engine.handoff.wake();
    }
    Ok(replayed)
}

pub(crate) async fn replay_delivery(
    engine: Arc<Engine>,
    id: EventId,
    destination: String,
) -> Result<bool, StoreError> {
    let Some((row, epoch)) = engine.place(id) else { return Ok(false) };
    in_turn(&engine, move |engine, on| async move {
        let now = signed(engine.clock.now_ms());
        let step = Step::new(REPLAY).with(row).with(epoch).with(&*destination).with(now);
        let answer = one(&engine, &on, step).await?;
        let Some(answer) = answer.first().filter(|answer| answer.get::<_, bool>(0)) else {
            return Ok(false);
        };
        if answer.get::<_, Option<bool>>(1) == Some(true)
            && let Ok(ready) = claims::load(&engine, &on, &[row], &[epoch], &[destination]).await
            && !ready.is_empty()
        {
            engine.handoff.ready(ready);
        }
        Ok(true)
    })
    .await
}

pub(crate) async fn discard(
    engine: Arc<Engine>,
    destination: String,
    cause: String,
    most: usize,
) -> Result<u64, StoreError> {
    in_turn(&engine, move |engine, on| async move {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let step = Step::new(DISCARD).with(&*destination).with(codec::text(&cause)).with(most);
        Ok(count(&one(&engine, &on, step).await?))
    })
    .await
}

pub(crate) async fn rein_in(
    engine: Arc<Engine>,
    destination: Option<String>,
    now_ms: u64,
    longest: Duration,
) -> Result<u64, StoreError> {
    in_turn(&engine, move |engine, on| async move {
        let limit = signed(now_ms.saturating_add(millis(longest)));
        let now = signed(now_ms);
        let step = match &destination {
            None => Step::new(REIN_IN_EVENTS).with(now).with(limit),
            Some(name) => {
                let far = limit.saturating_add(LONGEST_DELAY_MS);
                Step::new(REIN_IN).with(name.as_str()).with(now).with(limit).with(far)
            }
        };
        Ok(count(&one(&engine, &on, step).await?))
    })
    .await
}

/// Whole days of the past as partitions, what is left of the last day row by row.
pub(crate) async fn purge(engine: Arc<Engine>, before_ms: u64) -> Result<Purged, StoreError> {
    engine.barrier().await?;
    let bound = EventId::first_row_at(before_ms);
    // The day of today's events stays: some may be on their way.
    let present = day_of(engine.given.load(std::sync::atomic::Ordering::SeqCst));
    let whole = day_of(bound).min(present);
    let days =
        engine.reader().await?.query(DAYS, &[]).await.map_err(|error| error::failed(&error))?;
    let mut purged = Purged::default();
    for day in days.iter().map(|row| row.get::<_, i64>(0)).filter(|day| *day < whole) {
        let (gone, kept, bytes) = in_turn(&engine, move |engine, on| async move {
            let rows = one(&engine, &on, Step::new(PURGE_DAY).with(day)).await?;
            let answer = rows.first().map(|row| (row.get(0), row.get(1), row.get(2)));
            let (gone, kept, bytes): (i64, i64, i64) = answer.unwrap_or_default();
            if kept == 0 {
                engine.days.lock().remove(&day);
            }
            Ok((gone, kept, bytes))
        })
        .await?;
        purged.events += gone.cast_unsigned();
        purged.kept += kept.cast_unsigned();
        purged.bytes += bytes.cast_unsigned();
    }
    let low = (whole * DAY_MS) << 16;
    loop {
        let (gone, bytes) = in_turn(&engine, move |engine, on| async move {
            let step = Step::new(PURGE_ROWS).with(low).with(bound).with(PURGED);
            let rows = one(&engine, &on, step).await?;
            let answer: (i64, i64) =
                rows.first().map(|row| (row.get(0), row.get(1))).unwrap_or_default();
            Ok(answer)
        })
        .await?;
        purged.events += gone.cast_unsigned();
        purged.bytes += bytes.cast_unsigned();
        if gone < i64::from(PURGED) {
            return Ok(purged);
        }
    }
}

const FENCE: &str = "SELECT hw_fence($1)";
const REPLAY_EVENT: &str = "INSERT INTO outcome AS o \
    SELECT e.id, e.epoch, 0::smallint, NULL, NULL, e.source, 0::bigint, 0, 1 FROM event e WHERE e.id = $1 AND e.epoch = $2 \
    ON CONFLICT (id, epoch) DO UPDATE SET state = 0, reason = NULL, source = excluded.source, due = 0, tries = 0, \
    replays = o.replays + 1 RETURNING id";
const REPLAY: &str = "SELECT is_there, is_head FROM hw_replay($1, $2, $3, $4)";
/// Those behind another one first, so that none is left behind nothing.
const DISCARD: &str = "WITH chosen AS (SELECT id, epoch FROM waiting WHERE destination = $1 \
      ORDER BY behind DESC, id, epoch LIMIT $3::bigint), \
    gone AS (DELETE FROM waiting w USING chosen c \
      WHERE w.id = c.id AND w.epoch = c.epoch AND w.destination = $1 RETURNING w.*), \
    ended AS (INSERT INTO delivery SELECT id, epoch, destination, 2, due, tries, attempts, $2::text, order_key, \
      replayed, payload, NULL FROM gone RETURNING 1) SELECT count(*) FROM ended";
const REIN_IN_EVENTS: &str = "WITH late AS (UPDATE outcome SET due = $1::bigint WHERE state = 0 AND due > $2::bigint RETURNING 1) \
    SELECT count(*) FROM late";
/// One that a plugin put off, of an event that came while the clock was ahead, waits for as long from now on.
const REIN_IN: &str = "WITH late AS (UPDATE waiting w SET due = $2::bigint + \
      CASE WHEN w.tries = 0 AND e.received > $2::bigint THEN greatest(w.due - e.received, 0) ELSE 0 END \
    FROM event e WHERE e.id = w.id AND e.epoch = w.epoch AND w.destination = $1 AND NOT w.behind AND w.due > $3::bigint \
      AND (w.tries > 0 OR w.due > $4::bigint OR (e.received > $2 AND e.received <= w.due)) RETURNING 1) \
    SELECT count(*) FROM late";
const DAYS: &str = "SELECT substr(c.relname, 8)::bigint AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
    WHERE i.inhparent = 'event'::regclass ORDER BY 1";
const PURGE_DAY: &str = "SELECT gone, kept, bytes FROM hw_purge_day($1)";
const PURGE_ROWS: &str = "SELECT gone, bytes FROM hw_purge_rows($1, $2, $3)";
