//! Names as small numbers: a table of them, and a bounded cache before it.
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Statement};

/// Kinds come from outside, so the cache is bounded; the table is not.
const CACHE: usize = 8_192;

pub(crate) struct Names<'c> {
    find: Statement<'c>,
    add: Statement<'c>,
    cache: HashMap<Box<str>, i64>,
}

impl<'c> Names<'c> {
    /// `table` is `name` or `destination`.
    pub(crate) fn new(conn: &'c Connection, table: &str) -> rusqlite::Result<Self> {
        Ok(Self {
            find: conn.prepare(&format!("SELECT id FROM {table} WHERE text = ?1"))?,
            add: conn.prepare(&format!("INSERT INTO {table}(text) VALUES(?1) RETURNING id"))?,
            cache: HashMap::new(),
        })
    }

    /// The number of a name, given now where it has none.
    pub(crate) fn number(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.cache.get(text) {
            return Ok(*id);
        }
        let id = match self.find(text)? {
            Some(id) => id,
            None => self.add.query_row([text], |row| row.get(0))?,
        };
        if self.cache.len() >= CACHE {
            self.cache.clear();
        }
        self.cache.insert(text.into(), id);
        Ok(id)
    }

    pub(crate) fn find(&mut self, text: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.cache.get(text) {
            return Ok(Some(*id));
        }
        self.find.query_row([text], |row| row.get(0)).optional()
    }

    /// After a rollback: numbers given in it are void.
    pub(crate) fn forget(&mut self) {
        self.cache.clear();
    }
}
