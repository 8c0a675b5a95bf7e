//! What was handed in and is not recorded yet, counted by the source or destination that it concerns.
//!
//! A claim asks here whether it has to wait for a commit: only what concerns its own source or destination makes it
//! wait, and what was committed in the meantime no longer does.
use std::sync::atomic::{AtomicU32, Ordering};

/// Counters for the sources, and as many for the destinations. Names that share one wait for each other's work now and
/// then, which costs a flush and is never wrong.
const COUNTERS: usize = 1_024;

/// The counter of a source or of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u16);

impl Slot {
    pub(crate) fn source(name: &str) -> Self {
        Self(place(name))
    }

    pub(crate) fn destination(name: &str) -> Self {
        Self(place(name) + COUNTERS as u16)
    }
}

fn place(name: &str) -> u16 {
    (crc32fast::hash(name.as_bytes()) as usize % COUNTERS) as u16
}

/// The counters. Each unit of work is added before it enters a queue, and removed once it is committed and what
/// follows from it is handed on. While it is handed on from another thread than the one that commits, it counts twice.
#[derive(Debug)]
pub(crate) struct Unrecorded([AtomicU32; 2 * COUNTERS]);

impl Default for Unrecorded {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; 2 * COUNTERS])
    }
}

impl Unrecorded {
    pub(crate) fn add(&self, slots: &[Slot]) {
        for slot in slots {
            self.0[usize::from(slot.0)].fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn remove(&self, slots: &[Slot]) {
        for slot in slots {
            self.0[usize::from(slot.0)].fetch_sub(1, Ordering::Release);
        }
    }

    /// Whether something of it is not recorded, or still being handed on.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.0[usize::from(slot.0)].load(Ordering::Acquire) > 0
    }

    /// The same of any source. Looks at all of their counters.
    pub(crate) fn has_sources(&self) -> bool {
        (0..COUNTERS as u16).any(|place| self.has(Slot(place)))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        (0..2 * COUNTERS as u16).all(|place| !self.has(Slot(place)))
    }
}
