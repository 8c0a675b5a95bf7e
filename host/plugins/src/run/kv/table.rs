//! A plugin's keys in memory: what is certain, what calls in flight count, and what is held free for them.
use std::collections::HashMap;

use crate::limits::{STATE_BYTES, STATE_KEYS};
use hookwright_model::StateValue;

#[derive(Default)]
pub(super) struct KeyTable {
    pub(super) entries: HashMap<Box<str>, KeyEntry>,
    /// Of keys and values, with what calls in flight have reserved.
    pub(super) bytes: usize,
    /// Keys that calls in flight have reserved and that are not there yet.
    pub(super) reserved: usize,
    pub(super) rounds: u64,
    swept_ms: u64,
}

#[derive(Default)]
pub(super) struct KeyEntry {
    pub(super) value: Option<StateValue>,
    pub(super) expires_ms: Option<u64>,
    /// What calls in flight have counted.
    pub(super) pending: i64,
    /// Such calls.
    pub(super) holders: u32,
    /// Which life of the key this is: counts of an earlier one do not enter.
    pub(super) round: u64,
}

impl KeyEntry {
    fn is_over(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= now_ms)
    }

    pub(super) fn weight(key: &str, value: Option<&StateValue>) -> usize {
        key.len() + value.map_or(0, StateValue::size)
    }
}

impl KeyTable {
    /// The key's entry, in a new round where its time is over.
    pub(super) fn entry(&mut self, key: &str, now_ms: u64) -> Option<&mut KeyEntry> {
        let entry = self.entries.get_mut(key)?;
        if entry.is_over(now_ms) {
            self.bytes -= KeyEntry::weight(key, entry.value.as_ref()).min(self.bytes);
            self.bytes += key.len();
            self.rounds += 1;
            *entry = KeyEntry { round: self.rounds, ..KeyEntry::default() };
        }
        Some(entry)
    }

    pub(super) fn fits(&mut self, keys: usize, bytes: usize, now_ms: u64) -> bool {
        let fits = |table: &Self| {
            table.entries.len() + table.reserved + keys <= STATE_KEYS
                && table.bytes + bytes <= STATE_BYTES
        };
        if !fits(self) && self.swept_ms.saturating_add(1_000) <= now_ms {
            self.sweep(now_ms);
        }
        fits(self)
    }

    /// Lets go of keys whose time is over. Costs a look at each.
    fn sweep(&mut self, now_ms: u64) {
        self.swept_ms = now_ms;
        let mut freed = 0;
        self.entries.retain(|key, entry| {
            let goes = entry.holders == 0 && (entry.value.is_none() || entry.is_over(now_ms));
            if goes {
                freed += KeyEntry::weight(key, entry.value.as_ref());
            }
            !goes
        });
        self.bytes -= freed.min(self.bytes);
    }

    pub(super) fn put(
        &mut self,
        key: &str,
        value: Option<StateValue>,
        expires_ms: Option<u64>,
    ) -> (Option<StateValue>, Option<u64>) {
        if let Some(old) = self.entries.remove(key) {
            self.bytes -= KeyEntry::weight(key, old.value.as_ref()).min(self.bytes);
        }
        if value.is_some() {
            self.rounds += 1;
            self.bytes += KeyEntry::weight(key, value.as_ref());
            let (value, round) = (value.clone(), self.rounds);
            self.entries
                .insert(key.into(), KeyEntry { value, expires_ms, round, ..KeyEntry::default() });
        }
        (value, expires_ms)
    }

    /// None where the key's life is over that was counted in.
    pub(super) fn count(
        &mut self,
        key: &str,
        by: i64,
        round: u64,
    ) -> Option<(Option<StateValue>, Option<u64>)> {
        let entry = self.entries.get_mut(key).filter(|entry| entry.round == round)?;
        let before = entry.value.as_ref().map_or(0, StateValue::size);
        let number = match entry.value {
            Some(StateValue::Number(number)) => number.saturating_add(by),
            _ => by,
        };
        entry.pending -= by;
        entry.holders -= 1;
        entry.value = Some(StateValue::Number(number));
        self.bytes += 8 - before.min(8);
        Some((entry.value.clone(), entry.expires_ms))
    }

    pub(super) fn take_back(&mut self, key: &str, by: i64, round: u64) {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.round == round) else {
            return;
        };
        entry.pending -= by;
        entry.holders -= 1;
        if entry.holders == 0 && entry.value.is_none() {
            self.entries.remove(key);
            self.bytes -= key.len().min(self.bytes);
        }
    }
}
