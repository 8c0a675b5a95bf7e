//! What plugins keep: rows written with the outcome of routing, and read once at the start.
use rusqlite::{Connection, params};

use super::applier::Applier;
use crate::error::Failure;
use hookwright_model::{Name, StateRow, StateValue};

/// Rows that are over and are deleted after a batch, at most.
const OVER_A_STEP: i64 = 256;

const ALL: &str = "SELECT name.text, key, number, bytes, expires FROM state
JOIN name ON name.id = state.plugin WHERE expires IS NULL OR expires > ?1";

impl Applier<'_> {
    pub(crate) fn keep(&mut self, rows: &[StateRow]) -> rusqlite::Result<()> {
        for StateRow { plugin, key, value, expires_ms } in rows {
            let plugin = self.names.number(plugin)?;
            let (number, bytes) = match value {
                None => {
                    self.statements.drop_state.execute(params![plugin, key])?;
                    continue;
                }
                Some(StateValue::Number(number)) => (Some(*number), None),
                Some(StateValue::Bytes(bytes)) => (None, Some(&bytes[..])),
            };
            let expires = expires_ms.map(|expires| expires.min(i64::MAX as u64) as i64);
            let row = params![plugin, key, number, bytes, expires];
            self.statements.put_state.execute(row)?;
        }
        Ok(())
    }

    /// A small step: reads leave out what is over anyway.
    pub(crate) fn drop_over(&mut self, now_ms: u64) -> rusqlite::Result<()> {
        self.statements.drop_over.execute(params![now_ms as i64, OVER_A_STEP]).map(drop)
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
