//! A plugin's keys in memory: what is certain, what calls under way count, and what is held free for them.
use std::collections::HashMap;

use crate::limits::{STATE_BYTES, STATE_KEYS};
use hookwright_model::StateValue;

#[derive(Default)]
pub(super) struct Shelf {
    pub(super) slots: HashMap<Box<str>, Slot>,
    /// Of keys and values, with what calls under way have reserved.
    pub(super) bytes: usize,
    /// Keys that calls under way have reserved and that are not there yet.
    pub(super) reserved: usize,
    pub(super) rounds: u64,
    swept_ms: u64,
}

#[derive(Default)]
pub(super) struct Slot {
    pub(super) value: Option<StateValue>,
    pub(super) expires_ms: Option<u64>,
    /// What calls under way have counted.
    pub(super) pending: i64,
    /// Such calls.
    pub(super) holders: u32,
    /// Which life of the key this is: counts of an earlier one do not enter.
    pub(super) round: u64,
}

impl Slot {
    fn is_over(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= now_ms)
    }

    pub(super) fn weight(key: &str, value: Option<&StateValue>) -> usize {
        key.len() + value.map_or(0, StateValue::size)
    }
}

impl Shelf {
    /// The key's slot, in a new round where its time is over.
    pub(super) fn slot(&mut self, key: &str, now_ms: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key)?;
        if slot.is_over(now_ms) {
            self.bytes -= Slot::weight(key, slot.value.as_ref()).min(self.bytes);
            self.bytes += key.len();
            self.rounds += 1;
            *slot = Slot { round: self.rounds, ..Slot::default() };
        }
        Some(slot)
    }

    pub(super) fn fits(&mut self, keys: usize, bytes: usize, now_ms: u64) -> bool {
        let fits = |shelf: &Self| {
            shelf.slots.len() + shelf.reserved + keys <= STATE_KEYS
                && shelf.bytes + bytes <= STATE_BYTES
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
        self.slots.retain(|key, slot| {
            let goes = slot.holders == 0 && (slot.value.is_none() || slot.is_over(now_ms));
            if goes {
                freed += Slot::weight(key, slot.value.as_ref());
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
        if let Some(old) = self.slots.remove(key) {
            self.bytes -= Slot::weight(key, old.value.as_ref()).min(self.bytes);
        }
        if value.is_some() {
            self.rounds += 1;
            self.bytes += Slot::weight(key, value.as_ref());
            let (value, round) = (value.clone(), self.rounds);
            self.slots.insert(key.into(), Slot { value, expires_ms, round, ..Slot::default() });
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
        let slot = self.slots.get_mut(key).filter(|slot| slot.round == round)?;
        let before = slot.value.as_ref().map_or(0, StateValue::size);
        let number = match slot.value {
            Some(StateValue::Number(number)) => number.saturating_add(by),
            _ => by,
        };
        slot.pending -= by;
        slot.holders -= 1;
        slot.value = Some(StateValue::Number(number));
        self.bytes += 8 - before.min(8);
        Some((slot.value.clone(), slot.expires_ms))
    }

    pub(super) fn take_back(&mut self, key: &str, by: i64, round: u64) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.round == round) else {
            return;
        };
        slot.pending -= by;
        slot.holders -= 1;
        if slot.holders == 0 && slot.value.is_none() {
            self.slots.remove(key);
            self.bytes -= key.len().min(self.bytes);
        }
    }
}
