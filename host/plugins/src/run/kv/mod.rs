//! The plugins' state: what calls read at once, and what they wrote once their event is routed.
//!
//! It lives in memory, bounded for each plugin, and in the store's rows. A
//! call's writes are its own until its event's routing ends well; then they
//! enter here and go to the store with the outcome, in one transaction. Counts
//! show to all calls at once and are taken back where the event ends otherwise.
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use self::table::{KeyEntry, KeyTable};
use crate::limits::{STATE_KEY, STATE_VALUE, STATE_WRITES};
use hookwright_model::clock::Clock;
use hookwright_model::{Name, StateRow, StateValue};

/// Why a write is refused. The guest is told, and its call continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Empty, or longer than a key may be.
    Key,
    /// Longer than a value may be.
    Value,
    /// The plugin keeps as much as it may.
    Full,
    /// To be counted up, and holds something else than a number, or one at its end.
    NoNumber,
}

/// The state of all plugins. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Keyspaces>);

struct Keyspaces {
    clock: Clock,
    spaces: Mutex<HashMap<Name, Arc<Keyspace>>>,
    /// Writes enter memory in the order in which the store gets them.
    order: Mutex<()>,
}

/// One plugin's keys.
pub(crate) struct Keyspace {
    plugin: Name,
    clock: Clock,
    table: Mutex<KeyTable>,
}

/// What a call changed. Taken back when it is dropped.
pub struct Changes {
    space: Arc<Keyspace>,
    own: BTreeMap<Box<str>, Change>,
    /// Bytes and keys that are held free for it.
    bytes: usize,
    keys: usize,
    used: bool,
    apart: bool,
    /// When the call began. It has one time, so that it can't tell how time goes by.
    now_ms: u64,
}

enum Change {
    /// A whole new value, or none.
    Put {
        value: Option<StateValue>,
        expires_ms: Option<u64>,
    },
    Count {
        by: i64,
        round: u64,
    },
}

impl State {
    /// Begins with what the store has kept.
    pub fn new(clock: Clock, rows: Vec<StateRow>) -> Self {
        let state =
            Self(Arc::new(Keyspaces { clock, spaces: Mutex::default(), order: Mutex::default() }));
        for StateRow { plugin, key, value, expires_ms } in rows {
            let space = state.space(&plugin);
            let mut table = space.table.lock();
            table.bytes += KeyEntry::weight(&key, value.as_ref());
            table.entries.insert(key, KeyEntry { value, expires_ms, ..KeyEntry::default() });
        }
        state
    }

    pub(crate) fn space(&self, plugin: &Name) -> Arc<Keyspace> {
        let mut spaces = self.0.spaces.lock();
        let space = spaces
            .entry(plugin.clone())
            .or_insert_with(|| Keyspace::new(plugin.clone(), self.0.clock.clone()));
        space.clone()
    }

    /// The changes take effect; `record` gets the rows that say so, in the same
    /// order for all events. It must not block.
    pub fn commit<T>(
        &self,
        changes: impl IntoIterator<Item = Changes>,
        record: impl FnOnce(Vec<StateRow>) -> T,
    ) -> T {
        let _order = self.0.order.lock();
        let mut rows = Vec::new();
        for change in changes {
            change.enter(&mut rows);
        }
        record(rows)
    }
}

impl Keyspace {
    pub(crate) fn new(plugin: Name, clock: Clock) -> Arc<Self> {
        Arc::new(Self { plugin, clock, table: Mutex::default() })
    }
}

impl Changes {
    /// Of a call that stands `apart` nothing shows to others, its counts neither.
    pub(crate) fn new(space: Arc<Keyspace>, apart: bool) -> Self {
        let now_ms = space.clock.sure_ms();
        Self { space, own: BTreeMap::new(), bytes: 0, keys: 0, used: false, apart, now_ms }
    }

    /// Whether the call asked for anything.
    pub fn used(&self) -> bool {
        self.used
    }

    /// What is kept of each key that the call wrote to, if it is committed: none where it is deleted.
    pub fn writes(&self) -> Vec<(String, Option<StateValue>)> {
        let mut table = self.space.table.lock();
        let now_ms = self.now_ms;
        let writes = self.own.iter().map(|(key, change)| {
            let value = match change {
                Change::Put { value, .. } => value.clone(),
                Change::Count { .. } => table.entry(key, now_ms).map(|entry| {
                    let before = match entry.value {
                        Some(StateValue::Number(number)) => number,
                        _ => 0,
                    };
                    StateValue::Number(before.saturating_add(entry.pending))
                }),
            };
            (key.to_string(), value)
        });
        writes.collect()
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<Bytes> {
        self.used = true;
        if let Some(Change::Put { value, .. }) = self.own.get(key) {
            return value.as_ref().map(text);
        }
        let mut table = self.space.table.lock();
        let entry = table.entry(key, self.now_ms)?;
        match &entry.value {
            Some(StateValue::Bytes(bytes)) => Some(bytes.clone()),
            Some(StateValue::Number(number)) => {
                Some(text(&StateValue::Number(number.saturating_add(entry.pending))))
            }
            None if entry.holders > 0 => Some(text(&StateValue::Number(entry.pending))),
            None => None,
        }
    }

    pub(crate) fn set(
        &mut self,
        key: &str,
        value: Bytes,
        ttl_ms: Option<u64>,
    ) -> Result<(), Refused> {
        self.used = true;
        self.check_key(key)?;
        if value.len() > STATE_VALUE {
            return Err(Refused::Value);
        }
        let now_ms = self.now_ms;
        self.reserve(key, value.len(), now_ms)?;
        let expires_ms = ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
        self.put(key, Some(StateValue::Bytes(value)), expires_ms);
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), Refused> {
        self.used = true;
        self.check_key(key)?;
        self.put(key, None, None);
        Ok(())
    }

    /// Counts up; the answer includes what calls in flight have counted.
    pub(crate) fn increment(
        &mut self,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, Refused> {
        self.used = true;
        self.check_key(key)?;
        let now_ms = self.now_ms;
        if let Some(Change::Put { value, expires_ms }) = self.own.get_mut(key) {
            let number = match value {
                None => 0,
                Some(StateValue::Number(number)) => *number,
                Some(StateValue::Bytes(_)) => return Err(Refused::NoNumber),
            };
            if value.is_none() {
                *expires_ms = ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
            }
            let number = number.checked_add(by).ok_or(Refused::NoNumber)?;
            *value = Some(StateValue::Number(number));
            return Ok(number);
        }
        if !self.own.contains_key(key) {
            self.reserve(key, 8, now_ms)?;
        }
        if self.apart {
            return self.count_apart(key, by, ttl_ms.map(|ttl| now_ms.saturating_add(ttl)));
        }
        let mut table = self.space.table.lock();
        table.rounds += 1;
        let round = table.rounds;
        if table.entry(key, now_ms).is_none() {
            table.bytes += key.len();
            table.entries.insert(key.into(), KeyEntry { round, ..KeyEntry::default() });
        }
        let entry = table.entries.get_mut(key).ok_or(Refused::Full)?;
        let number = match entry.value {
            Some(StateValue::Bytes(_)) => return Err(Refused::NoNumber),
            Some(StateValue::Number(number)) => number,
            None => 0,
        };
        let pending = entry.pending.checked_add(by).ok_or(Refused::NoNumber)?;
        let total = number.checked_add(pending).ok_or(Refused::NoNumber)?;
        if entry.value.is_none() && entry.holders == 0 {
            entry.expires_ms = ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
        }
        entry.pending = pending;
        match self.own.get_mut(key) {
            Some(Change::Count { by: all, round }) if *round == entry.round => *all += by,
            _ => {
                entry.holders += 1;
                self.own.insert(key.into(), Change::Count { by, round: entry.round });
            }
        }
        Ok(total)
    }

    /// As if it had read the number and put the next one.
    fn count_apart(&mut self, key: &str, by: i64, expires_ms: Option<u64>) -> Result<i64, Refused> {
        let now_ms = self.now_ms;
        let before = match self.space.table.lock().entry(key, now_ms) {
            Some(KeyEntry { value: Some(StateValue::Bytes(_)), .. }) => {
                return Err(Refused::NoNumber);
            }
            Some(KeyEntry { value: Some(StateValue::Number(number)), pending, .. }) => {
                number.checked_add(*pending)
            }
            Some(KeyEntry { value: None, pending, .. }) => Some(*pending),
            None => Some(0),
        };
        let total = before.and_then(|before| before.checked_add(by)).ok_or(Refused::NoNumber)?;
        self.put(key, Some(StateValue::Number(total)), expires_ms);
        Ok(total)
    }

    fn check_key(&self, key: &str) -> Result<(), Refused> {
        if key.is_empty() || key.len() > STATE_KEY {
            return Err(Refused::Key);
        }
        let one_more = self.own.len() < STATE_WRITES || self.own.contains_key(key);
        if one_more { Ok(()) } else { Err(Refused::Full) }
    }

    /// Holds room for a value free, and for its key where that is a new one.
    fn reserve(&mut self, key: &str, value: usize, now_ms: u64) -> Result<(), Refused> {
        let mut table = self.space.table.lock();
        let new = table.entry(key, now_ms).is_none() && !self.own.contains_key(key);
        let (keys, bytes) = (usize::from(new), value + if new { key.len() } else { 0 });
        if !table.fits(keys, bytes, now_ms) {
            return Err(Refused::Full);
        }
        table.bytes += bytes;
        table.reserved += keys;
        (self.bytes, self.keys) = (self.bytes + bytes, self.keys + keys);
        Ok(())
    }

    fn put(&mut self, key: &str, value: Option<StateValue>, expires_ms: Option<u64>) {
        let put = Change::Put { value, expires_ms };
        if let Some(Change::Count { by, round }) = self.own.insert(key.into(), put) {
            self.space.table.lock().take_back(key, by, round);
        }
    }

    /// Into the table, and as rows.
    pub(crate) fn enter(mut self, rows: &mut Vec<StateRow>) {
        let own = std::mem::take(&mut self.own);
        let space = self.space.clone();
        let mut table = space.table.lock();
        table.bytes -= self.bytes.min(table.bytes);
        table.reserved -= self.keys.min(table.reserved);
        (self.bytes, self.keys) = (0, 0);
        for (key, change) in own {
            let row = match change {
                Change::Put { value, expires_ms } => table.put(&key, value, expires_ms),
                Change::Count { by, round } => match table.count(&key, by, round) {
                    Some(row) => row,
                    None => continue,
                },
            };
            let (value, expires_ms) = row;
            rows.push(StateRow { plugin: space.plugin.clone(), key, value, expires_ms });
        }
        drop(table);
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if self.own.is_empty() && self.bytes == 0 && self.keys == 0 {
            return;
        }
        let mut table = self.space.table.lock();
        table.bytes -= self.bytes.min(table.bytes);
        table.reserved -= self.keys.min(table.reserved);
        for (key, change) in std::mem::take(&mut self.own) {
            if let Change::Count { by, round } = change {
                table.take_back(&key, by, round);
            }
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What a plugin keeps is nobody else's.
        f.debug_struct("Changes").field("keys", &self.own.len()).finish_non_exhaustive()
    }
}

/// A number reads as its digits.
fn text(value: &StateValue) -> Bytes {
    match value {
        StateValue::Bytes(bytes) => bytes.clone(),
        StateValue::Number(number) => number.to_string().into(),
    }
}

#[cfg(test)]
mod tests;
