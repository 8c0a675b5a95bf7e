//! Names as small numbers: a table of them, and a bounded cache before it.
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Statement};

/// Names in the cache. Kinds come from outside, so the cache is bounded; the table is not.
const CACHED: usize = 8_192;

/// Gives names their numbers. Events have one for sources, kinds and plugins; deliveries have one for destinations.
pub(super) struct Names<'c> {
    find: Statement<'c>,
    add: Statement<'c>,
    /// Hashed with a secret of this process: a sender chooses the kinds of its events.
    cache: HashMap<Box<str>, i64>,
}

impl<'c> Names<'c> {
    /// `table` is `name` or `destination`.
    pub(super) fn new(conn: &'c Connection, table: &str) -> rusqlite::Result<Self> {
        Ok(Self {
            find: conn.prepare(&format!("SELECT id FROM {table} WHERE text = ?1"))?,
            add: conn.prepare(&format!("INSERT INTO {table}(text) VALUES(?1) RETURNING id"))?,
            cache: HashMap::new(),
        })
    }

    /// The number of a name, given now where it has none.
    pub(super) fn number(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.cache.get(text) {
            return Ok(*id);
        }
        let id = match self.find(text)? {
            Some(id) => id,
            None => self.add.query_row([text], |row| row.get(0))?,
        };
        if self.cache.len() >= CACHED {
            self.cache.clear();
        }
        self.cache.insert(text.into(), id);
        Ok(id)
    }

    /// The number of a name, where it has one.
    pub(super) fn find(&mut self, text: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.cache.get(text) {
            return Ok(Some(*id));
        }
        self.find.query_row([text], |row| row.get(0)).optional()
    }

    /// After a rollback: numbers given in it are void.
    pub(super) fn forget(&mut self) {
        self.cache.clear();
    }
}
