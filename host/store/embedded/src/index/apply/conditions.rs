//! Conditions of destinations: disabled, paused, failing.
use rusqlite::{Connection, params};

use hookwright_store::Condition;

/// Replaces what is recorded of the destination with this number.
pub(super) fn set(conn: &Connection, dest: i64, condition: &Condition) -> rusqlite::Result<()> {
    let Condition { disabled, paused_until_ms, failing_since_ms } = condition;
    let time = |ms: &Option<u64>| ms.map(|ms| ms.min(i64::MAX as u64) as i64);
    let update = "UPDATE destination SET disabled = ?2, paused = ?3, failing = ?4 WHERE id = ?1";
    let values = params![dest, disabled, time(paused_until_ms), time(failing_since_ms)];
    conn.execute(update, values).map(drop)
}
