//! The table of deduplication keys: a row for each key, and small steps that drop the expired ones.
use rusqlite::{Connection, Statement, params};

use crate::journal::record::Key;

/// Expired keys dropped after a batch, at least.
const KEYS_A_STEP: usize = 64;
/// And looked for so often, in milliseconds, where no new ones come.
const KEYS_EVERY_MS: u64 = 10_000;

/// Writes deduplication keys. The lookup thread reads them over a connection of its own.
pub(super) struct DedupeKeys<'c> {
    insert: Statement<'c>,
    drop: Statement<'c>,
    /// Keys inserted by the present transaction.
    inserted: usize,
    /// When expired keys were last dropped, milliseconds since 1970.
    dropped_ms: u64,
}

impl<'c> DedupeKeys<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            insert: conn.prepare(
                "INSERT INTO dedupe VALUES(?1, ?2, ?3, ?4) ON CONFLICT(source, key)
                 DO UPDATE SET event = excluded.event, expires = excluded.expires
                 WHERE excluded.event > event",
            )?,
            drop: conn.prepare(
                "DELETE FROM dedupe WHERE (source, key) IN
                 (SELECT source, key FROM dedupe WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )?,
            inserted: 0,
            dropped_ms: 0,
        })
    }

    /// The key of the event with this row. A later event keeps a key that it has taken over.
    pub(super) fn insert(&mut self, source: i64, key: &Key, row: i64) -> rusqlite::Result<()> {
        let expires = key.expires_ms.min(i64::MAX as u64) as i64;
        self.insert.execute(params![source, &key.key[..], row, expires])?;
        self.inserted += 1;
        Ok(())
    }

    /// Drops expired keys: small steps, in proportion to what came, so that none is ever long. True where a step was
    /// due.
    pub(super) fn drop_expired(&mut self, now_ms: u64) -> rusqlite::Result<bool> {
        if self.inserted == 0 && now_ms.abs_diff(self.dropped_ms) <= KEYS_EVERY_MS {
            return Ok(false);
        }
        self.dropped_ms = now_ms;
        let step = (self.inserted * 2 + KEYS_A_STEP) as i64;
        self.drop.execute(params![now_ms as i64, step])?;
        Ok(true)
    }

    /// The transaction has ended, either way.
    pub(super) fn end_transaction(&mut self) {
        self.inserted = 0;
    }
}
