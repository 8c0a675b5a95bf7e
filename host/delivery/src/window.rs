//! What a lane holds in memory of its due deliveries, and what it knows about the rows it does not hold.
//!
//! Pure: the caller brings the time, the hand-offs and the pages. The rules
//! that let no delivery be lost or made twice at once:
//!
//! - What does not fit is let go and `behind` remembers that the rows hold more.
//!   `behind` is cleared *before* the rows are read, so whatever is let go
//!   meanwhile sets it again.
//! - While behind, hand-offs are let go too: else a steady stream would keep
//!   the window full and the rows waiting for ever.
//! - `held` names what is in the window or in flight; a row read again is skipped.
//! - A claim answers rows with all that the store was told before the claim.
//!   `settling` names what ended after that: its row, as claimed, may be out of
//!   date.
//! - A hand-off may come later than the same row was claimed, sent and settled.
//!   So what came from a row stays in `settling` until the next claim is
//!   answered, which waits for the hand-offs in flight.
use std::collections::{HashMap, HashSet, VecDeque};

use super::batch::AROUND;
use hookwright_model::{Delivery, EventId};
use hookwright_store::DuePage;

/// Rows read at once, at most.
const PAGE_ROWS: usize = 256;
/// Rows read at once, even where bodies are large.
const FEWEST_ROWS: usize = 8;
/// Between two looks for what became due by the clock, in milliseconds: what
/// becomes due one by one is then read together.
const SPACING_MS: u64 = 25;
/// The rows are looked at so often even where nothing seems to wait, in milliseconds.
pub(super) const SWEEP_MS: u64 = 60_000;

/// How much a window holds, at least one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) count: usize,
    /// Of the bodies together.
    pub(super) bytes: usize,
}

impl Limits {
    /// Enough to find out by one attempt at a time.
    pub(super) const FEW: Self = Self { count: 4, bytes: 32 * 1024 };

    /// A lane's share where there are so many: at most 4 MiB, at least 32 KiB.
    pub(super) fn share(total_bytes: usize, lanes: usize) -> Self {
        let bytes = (total_bytes / lanes.max(1)).clamp(32 * 1024, 4 * 1024 * 1024);
        Self { count: bytes / 1024, bytes }
    }
}

/// A look at the rows, to be carried out: a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) limit: usize,
    /// Whether times in the rows may lie too far ahead, to be brought back first.
    pub(super) rein: Option<Rein>,
}

/// Why they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rein {
    /// Nobody knows how the clock was before the start.
    Start,
    /// It was set back.
    SetBack,
}

/// What became of a hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    LeftToRow,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    from_row: bool,
    /// It was handed over once more: look at its row again when it has ended.
    again: bool,
}

#[derive(Debug)]
pub(super) struct Window {
    limits: Limits,
    queue: VecDeque<Delivery>,
    bytes: usize,
    /// A moving average of the bodies' sizes.
    mean: usize,
    held: HashMap<EventId, Held>,
    settling: HashSet<EventId>,
    /// `settling` as it was when the present look began.
    told: HashSet<EventId>,
    behind: bool,
    /// When the rows hold something that is not due yet, milliseconds since 1970.
    look_at: Option<u64>,
    looking: bool,
    looked_ms: u64,
    rein: Option<Rein>,
}

impl Window {
    /// Behind from the start: nothing has been claimed yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            queue: VecDeque::new(),
            bytes: 0,
            mean: 64 * 1024,
            held: HashMap::new(),
            settling: HashSet::new(),
            told: HashSet::new(),
            behind: true,
            look_at: None,
            looking: false,
            looked_ms: 0,
            rein: Some(Rein::Start),
        }
    }

    pub(super) fn resize(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes a hand-off, or lets it go where its row will do.
    pub(super) fn offer(&mut self, delivery: Delivery, now_ms: u64) -> Offered {
        let event = delivery.event.id;
        if let Some(held) = self.held.get_mut(&event) {
            held.again = true;
        } else if self.settling.contains(&event) || self.told.contains(&event) {
            self.behind = true;
        } else if delivery.due_ms > now_ms {
            self.note(delivery.due_ms);
        } else if self.behind || !self.has_room_for(&delivery) {
            self.behind = true;
        } else {
            self.push(delivery, false);
            return Offered::Taken;
        }
        Offered::LeftToRow
    }

    /// The next to be sent. It stays held until `ended`.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(delivery.body().len());
        Some(delivery)
    }

    /// The next ones to be sent together: of one source, so many and so large
    /// at the most, but one at least; those that go `alone` have no company.
    /// They stay held until `ended`.
    pub(super) fn pop_many(
        &mut self,
        count: usize,
        bytes: usize,
        alone: &HashSet<EventId>,
    ) -> Vec<Delivery> {
        let Some(first) = self.pop() else { return Vec::new() };
        let mut room = bytes.saturating_sub(first.body().len() + AROUND);
        let count = if alone.contains(&first.event.id) { 1 } else { count };
        let mut some = vec![first];
        for delivery in std::mem::take(&mut self.queue) {
            let size = delivery.body().len() + AROUND;
            let fits = some.len() < count && size <= room && !alone.contains(&delivery.event.id);
            if fits && delivery.event.source == some[0].event.source {
                room -= size;
                self.bytes = self.bytes.saturating_sub(delivery.body().len());
                some.push(delivery);
            } else {
                self.queue.push_back(delivery);
            }
        }
        some
    }

    /// Takes out those at the front, or all of them, that are not to be sent any
    /// more. They stay held until `ended`.
    pub(super) fn take_out(
        &mut self,
        all: bool,
        is_over: impl Fn(&Delivery) -> bool,
    ) -> Vec<Delivery> {
        let mut over = Vec::new();
        while self.queue.front().is_some_and(&is_over) {
            over.extend(self.pop());
        }
        if all {
            let (gone, left): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|one| is_over(one));
            over.extend(gone);
            self.queue = left.into();
            self.bytes = self.queue.iter().map(|delivery| delivery.body().len()).sum();
        }
        over
    }

    /// Whether so many wait, or so large ones, or as many as fit.
    pub(super) fn has_enough(&self, count: usize, bytes: usize) -> bool {
        let size = self.bytes.saturating_add(self.queue.len().saturating_mul(AROUND));
        self.queue.len() >= count.min(self.limits.count) || size >= bytes
    }

    /// An attempt ended, and the store was told so before; `due_ms` where there will be another.
    pub(super) fn ended(&mut self, event: EventId, due_ms: Option<u64>) {
        let held = self.held.remove(&event);
        if self.looking || held.is_some_and(|held| held.from_row) {
            self.settling.insert(event);
        }
        self.behind |= held.is_some_and(|held| held.again);
        if let Some(due_ms) = due_ms {
            self.note(due_ms);
        }
    }

    /// Lets go of all that is not in flight, and asks for a look.
    pub(super) fn clear(&mut self) {
        for delivery in self.queue.drain(..) {
            self.held.remove(&delivery.event.id);
        }
        self.bytes = 0;
        self.behind = true;
    }

    /// Begins a look at the rows if it is time; `done` or `failed` ends it.
    pub(super) fn look(&mut self, now_ms: u64) -> Option<Look> {
        if now_ms < self.looked_ms {
            // What is to come by the old clock may never come.
            self.rein = Some(Rein::SetBack);
            self.looked_ms = now_ms;
            self.behind = true;
        }
        if !self.looking && self.wake_at().is_some_and(|at| at <= now_ms) {
            self.behind = true;
            self.look_at = None;
        }
        if !self.wants_look() {
            return None;
        }
        self.looking = true;
        self.looked_ms = now_ms;
        self.behind = false;
        self.look_at = None;
        self.told = std::mem::take(&mut self.settling);
        // Rows that are held are read too and skipped.
        Some(Look { limit: self.room_for_rows() + self.held.len(), rein: self.rein.take() })
    }

    pub(super) fn wants_look(&self) -> bool {
        let low = (self.limits.count / 4).min(PAGE_ROWS / 2);
        self.behind && !self.looking && self.queue.len() <= low
    }

    /// When a look is due by the clock, milliseconds since 1970; none while one
    /// is under way or due for other reasons.
    pub(super) fn wake_at(&self) -> Option<u64> {
        if self.looking || self.behind {
            return None;
        }
        let sweep = self.looked_ms.saturating_add(SWEEP_MS);
        let spaced = |at: u64| at.max(self.looked_ms.saturating_add(SPACING_MS));
        Some(self.look_at.map_or(sweep, spaced).min(sweep))
    }

    /// The rows due by `now_ms` that a look with that limit found.
    pub(super) fn done(&mut self, page: DuePage, limit: usize, now_ms: u64) {
        self.looking = false;
        self.told.clear();
        let full = page.deliveries.len() >= limit;
        let mut taken = false;
        for delivery in page.deliveries {
            let event = delivery.event.id;
            if self.held.contains_key(&event) || self.settling.contains(&event) {
                continue;
            }
            if self.has_room_for(&delivery) {
                self.push(delivery, true);
                taken = true;
            } else {
                self.learn_size(delivery.body().len());
                self.behind = true;
            }
        }
        // A page without news is not asked for again at once, only when the clock says so.
        let more_due = page.next_due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        self.behind |= full || (taken && more_due);
        if let Some(due_ms) = page.next_due_ms {
            self.note(due_ms);
        }
    }

    /// The rows could not be read; look again then.
    pub(super) fn failed(&mut self, look: Look, again_ms: u64) {
        self.looking = false;
        self.rein = self.rein.or(look.rein);
        self.settling.extend(self.told.drain());
        self.note(again_ms);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    fn note(&mut self, due_ms: u64) {
        self.look_at = Some(self.look_at.map_or(due_ms, |at| at.min(due_ms)));
    }

    fn push(&mut self, delivery: Delivery, from_row: bool) {
        let size = delivery.body().len();
        self.learn_size(size);
        self.bytes = self.bytes.saturating_add(size);
        self.held.insert(delivery.event.id, Held { from_row, again: false });
        self.queue.push_back(delivery);
    }

    fn has_room_for(&self, delivery: &Delivery) -> bool {
        let bytes = self.bytes.saturating_add(delivery.body().len());
        self.queue.is_empty()
            || (self.queue.len() < self.limits.count && bytes <= self.limits.bytes)
    }

    fn learn_size(&mut self, size: usize) {
        self.mean = (self.mean.saturating_mul(7).saturating_add(size) / 8).max(64);
    }

    fn room_for_rows(&self) -> usize {
        let by_bytes = self.limits.bytes.saturating_sub(self.bytes) / self.mean;
        let by_count = self.limits.count.saturating_sub(self.queue.len());
        by_bytes.min(by_count).clamp(FEWEST_ROWS, PAGE_ROWS)
    }
}
