//! What is kept beside events: plugins' state, destinations' conditions, bulk replays.
use tokio_postgres::Row;

use hookwright_model::{ReplayJob, ReplayState, StateRow, StateValue};
use hookwright_store::{Condition, StoreError};

use super::batch::number;
use super::codec::{self, Unreadable};
use super::columns::signed;
use super::connection::Step;
use super::engine::Engine;
use super::error;

pub(crate) async fn state(engine: &Engine) -> Result<Vec<StateRow>, StoreError> {
    let on = engine.reader().await?;
    let now = signed(engine.clock.now_ms());
    let rows = on.query(STATE, &[&now]).await.map_err(|error| error::failed(&error))?;
    let row = |row: &Row| {
        let (number, bytes): (Option<i64>, Option<Vec<u8>>) = (row.get(2), row.get(3));
        let bytes = bytes.map(|bytes| StateValue::Bytes(bytes.into()));
        Ok(StateRow {
            plugin: row.get::<_, &str>(0).parse().map_err(|_| Unreadable)?,
            key: String::from_utf8_lossy(row.get(1)).into(),
            value: number.map(StateValue::Number).or(bytes),
            expires_ms: row.get::<_, Option<i64>>(4).map(i64::cast_unsigned),
        })
    };
    rows.iter().map(row).collect::<Result<_, _>>().map_err(error::damaged)
}

pub(crate) async fn conditions(engine: &Engine) -> Result<Vec<(String, Condition)>, StoreError> {
    let on = engine.reader().await?;
    let rows = on.query(CONDITIONS, &[]).await.map_err(|error| error::failed(&error))?;
    let row = |row: &Row| {
        let time = |place| row.get::<_, Option<i64>>(place).map(i64::cast_unsigned);
        let (paused_until_ms, failing_since_ms) = (time(2), time(3));
        (row.get(0), Condition { disabled: row.get(1), paused_until_ms, failing_since_ms })
    };
    Ok(rows.iter().map(row).collect())
}

/// One statement under the own epoch, durable once it answers.
async fn write(engine: &Engine, step: Step<'_>) -> Result<(), StoreError> {
    let failed = |error| {
        engine.look_at(&error);
        error::failed(&error)
    };
    let on = engine.side.get().await.map_err(failed)?;
    let steps = [Step::new(FENCE).with(engine.epoch), step];
    on.transaction("BEGIN", &steps).await.map(drop).map_err(failed)
}

pub(crate) async fn set_condition(
    engine: &Engine,
    destination: &str,
    condition: &Condition,
) -> Result<(), StoreError> {
    let step = Step::new(SET_CONDITION)
        .with(destination)
        .with(condition.disabled.as_deref().map(codec::text))
        .with(condition.paused_until_ms.map(signed))
        .with(condition.failing_since_ms.map(signed));
    write(engine, step).await
}

pub(crate) async fn put_replay(engine: &Engine, job: &ReplayJob) -> Result<(), StoreError> {
    let step = Step::new(PUT_REPLAY)
        .with(signed(job.id))
        .with(signed(job.created_ms))
        .with(codec::text(&job.wanted))
        .with(number(&ReplayState::ALL, job.state))
        .with(job.after.map(|id| id.row()))
        .with(job.after.map(|id| id.node().cast_signed()))
        .with(signed(job.looked))
        .with(signed(job.replayed));
    write(engine, step).await
}

pub(crate) async fn replays(engine: &Engine) -> Result<Vec<ReplayJob>, StoreError> {
    let on = engine.reader().await?;
    let rows = on.query(REPLAYS, &[]).await.map_err(|error| error::failed(&error))?;
    let row = |row: &Row| {
        let count = |place| row.get::<_, i64>(place).cast_unsigned();
        let state = usize::try_from(row.get::<_, i16>(3)).unwrap_or_default();
        let after: Option<i64> = row.get(4);
        let node: Option<i64> = row.get(5);
        let after = after.zip(node);
        ReplayJob {
            id: count(0),
            created_ms: count(1),
            wanted: row.get(2),
            state: ReplayState::ALL.get(state).copied().unwrap_or(ReplayState::Stopped),
            after: after
                .map(|(row, node)| hookwright_model::EventId::new(row, node.cast_unsigned())),
            looked: count(6),
            replayed: count(7),
        }
    };
    Ok(rows.iter().map(row).collect())
}

const FENCE: &str = "SELECT hw_fence($1)";
const STATE: &str = "SELECT plugin, key, number, bytes, expires FROM plugin_state \
    WHERE expires IS NULL OR expires > $1";
const CONDITIONS: &str = "SELECT name, disabled, paused, failing FROM destination \
    WHERE disabled IS NOT NULL OR paused IS NOT NULL OR failing IS NOT NULL";
const SET_CONDITION: &str = "INSERT INTO destination(name, disabled, paused, failing) VALUES($1, $2, $3, $4) \
    ON CONFLICT (name) DO UPDATE SET disabled = excluded.disabled, paused = excluded.paused, failing = excluded.failing";
/// Done ones are kept to a thousand.
const PUT_REPLAY: &str = "WITH old AS (DELETE FROM replay WHERE state = 2 AND id <= $1::bigint - 1000 AND id <> $1::bigint) \
    INSERT INTO replay VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET \
    created = excluded.created, wanted = excluded.wanted, state = excluded.state, after_id = excluded.after_id, \
    after_number = excluded.after_number, looked = excluded.looked, replayed = excluded.replayed";
const REPLAYS: &str = "SELECT id, created, wanted, state, after_id, after_number, looked, replayed FROM replay \
    ORDER BY id DESC";
