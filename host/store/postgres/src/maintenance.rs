//! The lease, what expires, and what the store holds.
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::time::MissedTickBehavior;
use tokio_postgres::Error;

use hookwright_store::{StoreError, Usage};

use super::columns::signed;
use super::connection::Step;
use super::engine::Engine;
use super::error;
use super::lease;

/// Renewals of the lease between two looks for what has expired.
const EXPIRY: u32 = 15;
/// Rows that go at a time.
const EXPIRED: i64 = 10_000;

/// Renews the lease, and moves the mark up to which all is routed, until the store is closed.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(lease::RENEW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0u32;
    let mut renewed = Instant::now();
    while !engine.is_dead() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = engine.room.until(|| engine.is_closed()) => return,
        }
        match renew(&engine).await {
            Ok(()) => renewed = Instant::now(),
            Err(error) => {
                let (why, since_s) = (error::text(&error), renewed.elapsed().as_secs());
                tracing::warn!(why, since_s, "the lease on the database can't be renewed");
                continue;
            }
        }
        if engine.unseen.swap(false, Ordering::SeqCst) {
            engine.handoff.wake();
        }
        // Looks whether a crash of the server has taken outcomes back, also where nothing else is handed in.
        let _ = engine.barrier().await;
        count = count.wrapping_add(1);
        if count.is_multiple_of(EXPIRY)
            && let Err(error) = expire(&engine).await
        {
            let why = error::text(&error);
            tracing::warn!(why, "what has expired could not be deleted");
        }
    }
}

async fn renew(engine: &Engine) -> Result<(), Error> {
    let routed_to = engine.routed_to.load(Ordering::SeqCst);
    if !lease::renew(&engine.side, engine.epoch, routed_to).await? {
        engine.die(error::FENCED_TEXT);
        return Ok(());
    }
    // What is committed so far; a later event is looked at the next time.
    let up_to = engine.last.lock().row();
    let rows = engine.side.get().await?.query(FIRST_UNROUTED, &[&routed_to, &up_to]).await?;
    let first: Option<i64> = rows.first().and_then(|row| row.get(0));
    engine.routed_to.fetch_max(first.map_or(up_to, |first| first - 1), Ordering::SeqCst);
    Ok(())
}

async fn expire(engine: &Engine) -> Result<(), Error> {
    // A clock that has jumped ahead takes nothing away.
    let now = signed(engine.clock.sure_ms());
    let on = engine.side.get().await?;
    let steps = [
        Step::new(FENCE).with(engine.epoch),
        Step::new(EXPIRE_KEYS).with(now).with(EXPIRED),
        Step::new(EXPIRE_STATE).with(now).with(EXPIRED),
    ];
    on.transaction("BEGIN", &steps).await.map(drop)
}

pub(crate) async fn usage(engine: &Engine) -> Result<Usage, StoreError> {
    let on = engine.reader().await?;
    let from = engine.routed_to.load(Ordering::SeqCst);
    let row = on.query_one(USAGE, &[&from]).await.map_err(|error| error::failed(&error))?;
    let count = |place| row.get::<_, i64>(place).cast_unsigned();
    Ok(Usage {
        bytes: count(0),
        events: count(1),
        accepted: count(2) + count(3),
        oldest_ms: row.get::<_, Option<i64>>(4).map(i64::cast_unsigned),
    })
}

const FENCE: &str = "SELECT hw_fence($1)";
const FIRST_UNROUTED: &str = "SELECT min(e.id) FROM event e WHERE e.id > $1 AND e.id <= $2 \
    AND NOT EXISTS(SELECT FROM outcome o WHERE o.id = e.id AND o.epoch = e.epoch)";
const EXPIRE_KEYS: &str = "DELETE FROM dedupe WHERE (source, key) IN \
    (SELECT source, key FROM dedupe WHERE expires <= $1 LIMIT $2)";
const EXPIRE_STATE: &str = "DELETE FROM plugin_state WHERE (plugin, key) IN \
    (SELECT plugin, key FROM plugin_state WHERE expires <= $1 LIMIT $2)";
const USAGE: &str = "SELECT \
    (SELECT coalesce(sum(pg_relation_size(oid)), 0)::bigint FROM pg_class \
      WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')), \
    (SELECT count(*) FROM event), \
    (SELECT count(*) FROM event e WHERE e.id > $1 \
      AND NOT EXISTS(SELECT FROM outcome o WHERE o.id = e.id AND o.epoch = e.epoch)), \
    (SELECT count(*) FROM outcome WHERE state = 0), \
    (SELECT received FROM event ORDER BY id LIMIT 1)";
