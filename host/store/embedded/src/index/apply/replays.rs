//! Bulk replays as rows: what was asked for, and how far each has come.
use rusqlite::{Connection, Row, params};

use hookwright_model::{EventId, ReplayJob, ReplayState};

/// So many are kept; of older ones those that are done go.
const KEPT: u64 = 1_000;

/// Records how far a bulk replay has come.
pub(super) fn put(conn: &Connection, job: &ReplayJob) -> rusqlite::Result<()> {
    let small = |number: u64| number.min(i64::MAX as u64) as i64;
    let place = ReplayState::ALL.iter().position(|state| *state == job.state);
    conn.execute(
        "INSERT OR REPLACE INTO replay VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            small(job.id),
            small(job.created_ms),
            job.wanted,
            place.unwrap_or_default() as i64,
            job.after.map(EventId::row),
            small(job.looked),
            small(job.replayed),
        ],
    )?;
    let old = small(job.id) - KEPT as i64;
    let drop_old = "DELETE FROM replay WHERE id <= ?1 AND state = ?2";
    conn.execute(drop_old, [old, ReplayState::Done as i64]).map(drop)
}

/// The latest first.
pub(crate) fn all(conn: &Connection, node: u64) -> rusqlite::Result<Vec<ReplayJob>> {
    let mut statement = conn.prepare(
        "SELECT id, created, wanted, state, after, looked, replayed FROM replay ORDER BY id DESC",
    )?;
    let rows = statement.query_map([], |row| job(row, node))?;
    rows.collect()
}

fn job(row: &Row<'_>, node: u64) -> rusqlite::Result<ReplayJob> {
    let number = |place| Ok::<_, rusqlite::Error>(row.get::<_, i64>(place)? as u64);
    let state = number(3)?;
    Ok(ReplayJob {
        id: number(0)?,
        created_ms: number(1)?,
        wanted: row.get(2)?,
        state: *usize::try_from(state)
            .ok()
            .and_then(|place| ReplayState::ALL.get(place))
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, state as i64))?,
        after: row.get::<_, Option<i64>>(4)?.map(|row| EventId::new(row, node)),
        looked: number(5)?,
        replayed: number(6)?,
    })
}
