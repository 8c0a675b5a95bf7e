//! How much waits and how much is dead for each destination, kept in memory.
use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use rusqlite::Connection;

use hookwright_model::{Delivery, DeliveryState};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) name: Box<str>,
    pub(crate) waiting: i64,
    pub(crate) dead: i64,
}

/// Written by the index thread after each commit.
#[derive(Default)]
pub(crate) struct Counts(Mutex<All>);

#[derive(Default)]
struct All {
    /// By the destination's number.
    counts: BTreeMap<i64, Count>,
    /// A lane looks its number up before each look at the rows: that must not
    /// cost more where there are ten thousand of them.
    numbers: HashMap<Box<str>, i64>,
}

/// What one transaction changes.
#[derive(Default)]
pub(crate) struct Delta {
    pub(crate) events: i64,
    /// Deliveries whose turn has come, to be handed on.
    pub(crate) ready: Vec<Delivery>,
    destinations: HashMap<i64, Count>,
}

impl Delta {
    /// A destination's name, which must be known before its counts are added.
    pub(crate) fn set_name(&mut self, id: i64, name: &str) {
        let count = self.destinations.entry(id).or_default();
        if count.name.is_empty() {
            count.name = name.into();
        }
    }

    /// What another piece of the same transaction changes.
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.ready.extend(other.ready);
        for (id, change) in other.destinations {
            let own = self.destinations.entry(id).or_default();
            if own.name.is_empty() {
                own.name = change.name;
            }
            own.waiting += change.waiting;
            own.dead += change.dead;
        }
    }

    pub(crate) fn moved(
        &mut self,
        id: i64,
        from: Option<DeliveryState>,
        to: Option<DeliveryState>,
    ) {
        let count = self.destinations.entry(id).or_default();
        for (state, step) in [(from, -1), (to, 1)] {
            match state {
                Some(DeliveryState::Waiting) => count.waiting += step,
                Some(DeliveryState::Dead) => count.dead += step,
                _ => {}
            }
        }
    }
}

impl Counts {
    /// Reads the partial indexes once; the rows themselves stay unread.
    pub(crate) fn load(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut all = BTreeMap::new();
        let mut names = conn.prepare("SELECT id, text FROM destination")?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            all.insert(row.get(0)?, Count { name: name.into(), ..Count::default() });
        }
        for (index, state) in [("delivery_due", 0), ("delivery_dead", 2), ("delivery_behind", 3)] {
            let mut counted = conn.prepare(&format!(
                "SELECT dest, count(*) FROM delivery INDEXED BY {index} \
                 WHERE state = {state} GROUP BY dest"
            ))?;
            let mut rows = counted.query([])?;
            while let Some(row) = rows.next()? {
                let count: &mut Count = all.entry(row.get(0)?).or_default();
                *(if state == 2 { &mut count.dead } else { &mut count.waiting }) +=
                    row.get::<_, i64>(1)?;
            }
        }
        let numbers = all.iter().map(|(id, count)| (count.name.clone(), *id)).collect();
        *self.0.lock() = All { counts: all, numbers };
        Ok(())
    }

    pub(crate) fn add(&self, delta: Delta) {
        let mut all = self.0.lock();
        let All { counts, numbers } = &mut *all;
        for (id, change) in delta.destinations {
            let count = counts.entry(id).or_default();
            if count.name.is_empty() && !change.name.is_empty() {
                numbers.insert(change.name.clone(), id);
                count.name = change.name;
            }
            count.waiting += change.waiting;
            count.dead += change.dead;
        }
    }

    pub(crate) fn all(&self) -> Vec<(i64, Count)> {
        self.0.lock().counts.iter().map(|(id, count)| (*id, count.clone())).collect()
    }

    pub(crate) fn destination(&self, name: &str) -> Option<i64> {
        self.0.lock().numbers.get(name).copied()
    }
}
