//! The plugins by name, and the one pointer to those that are active.
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::registry::entry::Entry;
use crate::registry::pinned::Pin;
use hookwright_model::Name;

/// The plugins by name, and those of them that have a candidate.
#[derive(Clone, Default)]
pub(crate) struct Table {
    in_force: BTreeMap<Name, Arc<Entry>>,
    candidates: BTreeMap<Name, Arc<Entry>>,
}

impl Table {
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.in_force.values().chain(self.candidates.values())
    }

    /// The entry that this one would replace.
    pub(crate) fn peer(&self, entry: &Entry) -> Option<&Arc<Entry>> {
        let side = if entry.trial.is_none() { &self.in_force } else { &self.candidates };
        side.get(&entry.spec.name)
    }

    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        let side = if entry.trial.is_none() { &mut self.in_force } else { &mut self.candidates };
        side.insert(entry.spec.name.clone(), entry);
    }
}

impl Table {
    /// The versions of one plugin.
    pub(crate) fn pin(&self, name: &Name) -> Pin {
        Pin {
            entry: self.in_force.get(name).cloned(),
            candidate: self.candidates.get(name).cloned(),
        }
    }

    /// Each plugin with its candidate, by name.
    pub(crate) fn with_candidates(&self) -> impl Iterator<Item = (&Entry, Option<&Entry>)> {
        let candidate = |name: &Name| self.candidates.get(name).map(Arc::as_ref);
        self.in_force.iter().map(move |(name, entry)| (entry.as_ref(), candidate(name)))
    }
}

impl FromIterator<Entry> for Table {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut table = Self::default();
        entries.into_iter().for_each(|entry| table.insert(Arc::new(entry)));
        table
    }
}

/// The table that is active. One pointer: an event sees the plugins all of one moment.
pub(crate) struct ActiveTable(ArcSwap<Table>);

impl ActiveTable {
    pub(crate) fn new(table: Table) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// For short use: a holder keeps no version alive.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Table>> {
        self.0.load()
    }

    /// For use across awaits.
    pub(crate) fn load_full(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// One pointer store: the next event sees the entry.
    pub(crate) fn publish(&self, entry: &Entry) {
        let entry = Arc::new(entry.clone());
        self.0.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(entry.clone());
            table
        });
    }

    /// Adds all of these, in place of those of the same names.
    pub(crate) fn add(&self, new: &Table) {
        let mut table = Table::clone(&self.0.load());
        new.entries().for_each(|entry| table.insert(entry.clone()));
        self.0.store(Arc::new(table));
    }

    /// These alone from now on.
    pub(crate) fn replace(&self, new: Table) {
        self.0.store(Arc::new(new));
    }
}
