//! Which deduplicated keys were seen: those in the index, and those not there yet.
use std::collections::{HashMap, VecDeque};

use super::queue::Known;
use crate::journal::record::Key;
use hookwright_model::Name;

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

/// Owned by the journal thread, so that check and entry are one step. What the
/// index has was looked up before, on another thread.
#[derive(Default)]
pub(crate) struct Dedupe {
    recent: Recent,
}

impl Dedupe {
    /// The row of the first event with this key, where its window is still
    /// open; else none, and the key now belongs to `row`.
    ///
    /// A window that ends later than any can was opened while the clock was
    /// ahead: it is over, or no event with the key would be taken for years.
    ///
    /// What was looked up saw the keys of all rows up to `known.indexed`, so those
    /// of later ones are here. Looked up in order, it never goes back.
    pub(crate) fn claim(
        &mut self,
        source: &Name,
        key: Key,
        row: i64,
        now_ms: u64,
        known: Known,
    ) -> Option<i64> {
        let owner = (source.clone(), key.key);
        self.recent.drop_to(known.indexed);
        let found = self.recent.keys.get(&owner).copied().or(known.first);
        if let Some((first, expires_ms)) = found
            && expires_ms > now_ms
            && expires_ms <= now_ms.saturating_add(LONGEST_MS)
        {
            return Some(first);
        }
        self.recent.add(owner, row, key.expires_ms);
        None
    }

    /// Events after this row were not written.
    pub(crate) fn undo(&mut self, durable: i64) {
        self.recent.drop_after(durable);
    }
}
