//! The meter that holds a guest to its memory.
use wasmtime::ResourceLimiterAsync;
use wasmtime_wasi::async_trait;

use crate::run::slow::give_way;

/// Bytes that a guest may add to its memories and tables where its event is. To
/// grow by more, to touch that and to give it back holds the memory map of the
/// whole process, so a call that wants it continues in the slow lane.
const INLINE_GROWTH: u64 = 1 << 20;
/// Core instances, memories and tables of one component: Python needs 38 instances.
const PARTS: usize = 128;
/// Bytes that the host keeps for one entry of a table.
const TABLE_ENTRY: usize = 8;

/// Counts what a guest holds, over all its memories and tables.
#[derive(Debug)]
pub(crate) struct Meter {
    limit: u64,
    used: u64,
    refused: bool,
    /// The guest is instantiated: what it takes from here on is growth.
    running: bool,
    grown: u64,
    gave_way: bool,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0, refused: false, running: false, grown: 0, gave_way: false }
    }

    /// For another call of the same guest.
    pub(crate) fn carry_on(&self) -> Self {
        Self { used: self.used, running: self.running, ..Self::new(self.limit) }
    }

    /// What comes now is not the guest's own.
    pub(crate) fn lift(&mut self) {
        self.limit = u64::MAX;
    }

    /// The guest has its first memories and tables.
    pub(crate) fn start(&mut self) {
        self.running = true;
    }

    /// Bytes that it holds now; nothing is ever given back, so this is the most, too.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Whether the guest ever asked for more than it may have.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current) as u64;
        let used = self.used.saturating_add(more);
        if used > self.limit {
            self.refused = true;
            return false;
        }
        self.used = used;
        if current > 0 || self.running {
            self.grown = self.grown.saturating_add(more);
        }
        true
    }

    /// True once: when the guest has grown by more than it may where its event is.
    fn outgrows(&mut self) -> bool {
        let due = !self.gave_way && self.grown > INLINE_GROWTH;
        self.gave_way |= due;
        due
    }

    async fn growing(&mut self, current: usize, desired: usize) -> bool {
        let allowed = self.grow(current, desired);
        if allowed && self.outgrows() {
            give_way().await;
        }
        allowed
    }
}

#[async_trait]
impl ResourceLimiterAsync for Meter {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.growing(current, desired).await)
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |entries: usize| entries.saturating_mul(TABLE_ENTRY);
        Ok(self.growing(bytes(current), bytes(desired)).await)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_count_together() {
        let mut meter = Meter::new(1_000);
        assert!(meter.grow(0, 600));
        assert!(!meter.grow(0, 408));
        assert!(meter.refused());
        assert!(meter.grow(0, 400));
        assert!(!meter.grow(600, 601));
    }

    #[test]
    fn a_guest_outgrows_its_place_once_and_not_by_what_it_starts_with() {
        let mut meter = Meter::new(64 << 20);
        assert!(meter.grow(0, 20 << 20) && !meter.outgrows());
        meter.start();
        assert!(meter.grow(20 << 20, 21 << 20) && !meter.outgrows());
        assert!(meter.grow(0, 1) && meter.outgrows());
        assert!(meter.grow(21 << 20, 40 << 20) && !meter.outgrows());
    }
}
