//! Where rows say that their records are: changed when a record was copied to the journal's end.
use rusqlite::{Connection, params};

use crate::index::ops::Moved;
use crate::journal::locator::Locator;
use crate::journal::record::Origin;

/// Points rows to the copies that a purge made, unless they point elsewhere meanwhile.
pub(super) fn repoint(conn: &Connection, moved: &[Moved]) -> rusqlite::Result<()> {
    let mut event = conn.prepare(
        "UPDATE event SET segment = ?4, offset = ?5, length = ?6
         WHERE id = ?1 AND segment = ?2 AND offset = ?3",
    )?;
    for Moved { row, tag, from, to } in moved {
        if tag.is_event() {
            event.execute(params![
                row,
                from.segment,
                from.offset as i64,
                to.segment,
                to.offset as i64,
                to.length
            ])?;
        } else {
            found_payload(conn, *row, (from.segment, from.offset), *to)?;
        }
    }
    Ok(())
}

/// The newest copy of an event counts. Called for each record of an event when the journal is read again.
pub(super) fn found_event(conn: &Connection, row: i64, at: Locator) -> rusqlite::Result<()> {
    let update = "UPDATE event SET segment = ?2, offset = ?3, length = ?4
         WHERE id = ?1 AND (segment, offset) < (?2, ?3)";
    let to = params![row, at.segment, at.offset as i64, at.length];
    conn.execute(update, to).map(drop)
}

/// The payload that was at `from` is at `to` now.
pub(super) fn found_payload(
    conn: &Connection,
    row: i64,
    from: Origin,
    to: Locator,
) -> rusqlite::Result<()> {
    let update = "UPDATE delivery SET pay_segment = ?4, pay_offset = ?5, pay_length = ?6
         WHERE event = ?1 AND pay_segment = ?2 AND pay_offset = ?3";
    let places = params![row, from.0, from.1 as i64, to.segment, to.offset as i64, to.length];
    conn.execute(update, places).map(drop)
}
