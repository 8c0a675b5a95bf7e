//! Which deduplicated keys were seen: those in the index, and those not there yet.
use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::record::Key;
use crate::model::Name;

/// Of all windows that the settings allow, and a day more, milliseconds.
const LONGEST_MS: u64 = 31 * 24 * 3_600_000;

type Owner = (Name, [u8; 16]);

/// Keys of events that the index has not committed. Bounded by what may wait
/// for the index.
#[derive(Default)]
struct Recent {
    keys: HashMap<Owner, (i64, u64)>,
    /// In the order of the rows.
    order: VecDeque<(i64, Owner)>,
}

impl Recent {
    fn add(&mut self, owner: Owner, row: i64, expires_ms: u64) {
        self.keys.insert(owner.clone(), (row, expires_ms));
        self.order.push_back((row, owner));
    }

    fn forget(&mut self, row: i64, owner: &Owner) {
        if self.keys.get(owner).is_some_and(|(last, _)| *last == row) {
            self.keys.remove(owner);
        }
    }

    fn drop_to(&mut self, indexed: i64) {
        while self.order.front().is_some_and(|(row, _)| *row <= indexed) {
            let Some((row, owner)) = self.order.pop_front() else { return };
            self.forget(row, &owner);
        }
    }

    fn drop_after(&mut self, durable: i64) {
        while self.order.back().is_some_and(|(row, _)| *row > durable) {
            let Some((row, owner)) = self.order.pop_back() else { return };
            self.forget(row, &owner);
        }
    }
}

/// Owned by the journal thread, so that check and entry are one step.
pub(super) struct Dedupe<'c> {
    recent: Recent,
    conn: &'c Connection,
    find: Statement<'c>,
    reading: bool,
}

impl<'c> Dedupe<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        let find = conn.prepare(
            "SELECT event, expires FROM dedupe
             WHERE source = (SELECT id FROM name WHERE text = ?1) AND key = ?2",
        )?;
        Ok(Self { recent: Recent::default(), conn, find, reading: false })
    }

    /// The row of the first event with this key, where its window is still
    /// open; else none, and the key now belongs to `row`.
    ///
    /// A window that ends later than any can was opened while the clock was
    /// ahead: it is over, or no event with the key would be taken for years.
    ///
    /// `indexed` is read before the look-up, so a key that left `recent` is
    /// always in what the look-up sees.
    pub(super) fn claim(
        &mut self,
        source: &Name,
        key: Key,
        row: i64,
        now_ms: u64,
        indexed: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let owner = (source.clone(), key.key);
        if !self.reading {
            self.recent.drop_to(indexed);
            // One view of the index for the whole batch; look-ups in it are cheap.
            self.conn.execute_batch("BEGIN")?;
            self.reading = true;
        }
        let found = match self.recent.keys.get(&owner) {
            Some(found) => Some(*found),
            None => {
                let look_up = params![source.as_str(), &key.key[..]];
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64));
                self.find.query_row(look_up, row).optional()?
            }
        };
        if let Some((first, expires_ms)) = found
            && expires_ms > now_ms
            && expires_ms <= now_ms.saturating_add(LONGEST_MS)
        {
            return Ok(Some(first));
        }
        self.recent.add(owner, row, key.expires_ms);
        Ok(None)
    }

    /// Ends the batch's view.
    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.reading)
            && let Err(error) = self.conn.execute_batch("COMMIT")
        {
            tracing::warn!(%error, "the look-up of keys did not end; taking it back");
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }

    /// Events after this row were not written.
    pub(super) fn undo(&mut self, durable: i64) {
        self.recent.drop_after(durable);
    }
}
