//! What plugins keep: rows written with the outcome of routing, and read once at the start.
use rusqlite::{Connection, Statement, params};

use super::names::Names;
use crate::error::Failure;
use hookwright_model::{Name, StateRow, StateValue};

/// Rows that are over and are deleted after a batch, at most.
const OVER_A_STEP: i64 = 256;

const ALL: &str = "SELECT name.text, key, number, bytes, expires FROM state
JOIN name ON name.id = state.plugin WHERE expires IS NULL OR expires > ?1";

/// Writes what plugins keep. The applier calls it with each outcome of routing.
pub(super) struct StateRows<'c> {
    put: Statement<'c>,
    delete: Statement<'c>,
    drop: Statement<'c>,
}

impl<'c> StateRows<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            put: conn.prepare("INSERT OR REPLACE INTO state VALUES(?1, ?2, ?3, ?4, ?5)")?,
            delete: conn.prepare("DELETE FROM state WHERE plugin = ?1 AND key = ?2")?,
            drop: conn.prepare(
                "DELETE FROM state WHERE (plugin, key) IN
                 (SELECT plugin, key FROM state WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )?,
        })
    }

    /// `names` gives the plugins their numbers.
    pub(super) fn put(&mut self, names: &mut Names<'_>, rows: &[StateRow]) -> rusqlite::Result<()> {
        for StateRow { plugin, key, value, expires_ms } in rows {
            let plugin = names.number(plugin)?;
            let (number, bytes) = match value {
                None => {
                    self.delete.execute(params![plugin, key])?;
                    continue;
                }
                Some(StateValue::Number(number)) => (Some(*number), None),
                Some(StateValue::Bytes(bytes)) => (None, Some(&bytes[..])),
            };
            let expires = expires_ms.map(|expires| expires.min(i64::MAX as u64) as i64);
            self.put.execute(params![plugin, key, number, bytes, expires])?;
        }
        Ok(())
    }

    /// Drops rows that are over: a small step, since reads leave them out anyway.
    pub(super) fn drop_expired(&mut self, now_ms: u64) -> rusqlite::Result<()> {
        self.drop.execute(params![now_ms as i64, OVER_A_STEP]).map(drop)
    }
}

pub(crate) fn all(conn: &Connection, now_ms: u64) -> Result<Vec<StateRow>, Failure> {
    let mut statement = conn.prepare(ALL)?;
    let mut rows = statement.query([now_ms as i64])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        // One that is no name has no plugin any more.
        let Ok(plugin) = row.get::<_, String>(0)?.parse::<Name>() else { continue };
        let value = match row.get::<_, Option<i64>>(2)? {
            Some(number) => StateValue::Number(number),
            None => StateValue::Bytes(row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default().into()),
        };
        let expires_ms = row.get::<_, Option<i64>>(4)?.map(|expires| expires.max(0) as u64);
        let key = row.get::<_, String>(1)?.into();
        all.push(StateRow { plugin, key, value: Some(value), expires_ms });
    }
    Ok(all)
}
