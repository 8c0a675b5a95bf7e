//! The table of events that have no row, since SQLite refused each that they could have.
//!
//! Isolation puts them there, and a replay takes them out again. Reads find them as parked events.
use rusqlite::{Connection, OptionalExtension, params};

use crate::index::columns::locator;
use crate::journal::locator::Locator;

pub(super) fn put(conn: &Connection, row: i64, at: Locator, why: &str) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO aside VALUES(?1, ?2, ?3, ?4, ?5)";
    let Locator { segment, offset, length } = at;
    conn.execute(put, params![row, segment, offset as i64, length, why]).map(drop)
}

/// Where the event's record is; none where it is not set aside.
pub(super) fn find(conn: &Connection, row: i64) -> rusqlite::Result<Option<Locator>> {
    let find = "SELECT segment, offset, length FROM aside WHERE event = ?1";
    conn.query_row(find, [row], |found| locator(found, 0)).optional()
}

pub(super) fn delete(conn: &Connection, row: i64) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM aside WHERE event = ?1", [row]).map(drop)
}
