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
//! - `tracked` names what is in the window or in flight; a row read again is skipped.
//! - A claim answers rows with all that the store was told before the claim.
//!   `settling` names what ended after that: its row, as claimed, may be out of
//!   date.
//! - A hand-off may come later than the same row was claimed, sent and settled.
//!   So what came from a row stays in `settling` until the next claim is
//!   answered, which waits for the hand-offs in flight.
use std::collections::{HashMap, HashSet, VecDeque};

use hookwright_model::{Delivery, EventId};
use hookwright_store::DuePage;

/// Rows read at once, at most.
const PAGE_ROWS: usize = 256;
/// Rows read at once, even where bodies are large.
const FEWEST_ROWS: usize = 8;
/// Between two polls for what became due by the clock, in milliseconds: what
/// becomes due one by one is then read together.
const SPACING_MS: u64 = 25;
/// The rows are polled so often even where nothing seems to wait, in milliseconds.
pub(super) const SWEEP_MS: u64 = 60_000;

/// Bytes that a JSON body gets around it, about: for what is gathered before it is written.
const AROUND: usize = 160;

/// How much a window holds, at least one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) count: usize,
    /// Of the bodies together.
    pub(crate) bytes: usize,
}

impl Limits {
    /// Enough to find out by one attempt at a time.
    const FEW: Self = Self { count: 4, bytes: 32 * 1024 };

    /// A lane's share where there are so many: at most 4 MiB, at least 32 KiB.
    pub(crate) fn share(total_bytes: usize, lanes: usize) -> Self {
        let bytes = (total_bytes / lanes.max(1)).clamp(32 * 1024, 4 * 1024 * 1024);
        Self { count: bytes / 1024, bytes }
    }
}

/// A poll of the rows, to be carried out: a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Poll {
    pub(crate) limit: usize,
    /// Whether times in the rows may lie too far ahead, to be brought back first.
    pub(crate) rein: Option<Rein>,
}

/// Why they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rein {
    /// Nobody knows how the clock was before the start.
    Start,
    /// It was set back.
    SetBack,
}

/// What became of a hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Kept,
    LeftToRow,
}

/// A delivery that waits in the window or is in flight.
#[derive(Debug, Clone, Copy)]
struct Tracked {
    from_row: bool,
    /// It was handed over again: read its row again when it has ended.
    again: bool,
}

/// The deliveries of a lane that are due and in memory, and what is known of the
/// rows beside them. The lane's state offers it hand-offs and pages of rows and
/// takes from it what leaves; it exists so that a backlog of any size costs a
/// bounded memory.
#[derive(Debug)]
pub(super) struct Window {
    /// As they are now: less than `full` while the destination is only probed.
    limits: Limits,
    /// While the destination is well.
    full: Limits,
    queue: VecDeque<Delivery>,
    bytes: usize,
    /// A moving average of the bodies' sizes.
    mean: usize,
    tracked: HashMap<EventId, Tracked>,
    settling: HashSet<EventId>,
    /// `settling` as it was when the present poll began.
    told: HashSet<EventId>,
    behind: bool,
    /// When the rows hold something that is not due yet, milliseconds since 1970.
    poll_at: Option<u64>,
    polling: bool,
    polled_ms: u64,
    rein: Option<Rein>,
}

impl Window {
    /// Behind from the start: nothing has been claimed yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            full: limits,
            queue: VecDeque::new(),
            bytes: 0,
            mean: 64 * 1024,
            tracked: HashMap::new(),
            settling: HashSet::new(),
            told: HashSet::new(),
            behind: true,
            poll_at: None,
            polling: false,
            polled_ms: 0,
            rein: Some(Rein::Start),
        }
    }

    /// The lane's share has changed.
    pub(super) fn resize(&mut self, full: Limits) {
        (self.full, self.limits) = (full, full);
    }

    /// A few rows are enough for probes.
    pub(super) fn narrow(&mut self) {
        self.limits = Limits::FEW;
    }

    /// The destination is well again.
    pub(super) fn widen(&mut self) {
        self.limits = self.full;
    }

    /// Takes a hand-off, or lets it go where its row will do.
    pub(super) fn offer(&mut self, delivery: Delivery, now_ms: u64) -> Offered {
        let event = delivery.event.id;
        if let Some(tracked) = self.tracked.get_mut(&event) {
            tracked.again = true;
        } else if self.settling.contains(&event) || self.told.contains(&event) {
            self.behind = true;
        } else if delivery.due_ms > now_ms {
            self.note(delivery.due_ms);
        } else if self.behind || !self.has_room_for(&delivery) {
            self.behind = true;
        } else {
            self.push(delivery, false);
            return Offered::Kept;
        }
        Offered::LeftToRow
    }

    /// The next to be sent. It stays tracked until `ended`.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(delivery.body().len());
        Some(delivery)
    }

    /// The next ones to be sent together: of one source, so many and so large
    /// at the most, but one at least; those that go `alone` leave by themselves.
    /// They stay tracked until `ended`.
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
    /// more. They stay tracked until `ended`.
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
        let tracked = self.tracked.remove(&event);
        if self.polling || tracked.is_some_and(|tracked| tracked.from_row) {
            self.settling.insert(event);
        }
        self.behind |= tracked.is_some_and(|tracked| tracked.again);
        if let Some(due_ms) = due_ms {
            self.note(due_ms);
        }
    }

    /// Lets go of all that is not in flight, and asks for a poll.
    pub(super) fn clear(&mut self) {
        for delivery in self.queue.drain(..) {
            self.tracked.remove(&delivery.event.id);
        }
        self.bytes = 0;
        self.behind = true;
    }

    /// Begins a poll of the rows if it is time; `done` or `failed` ends it.
    pub(super) fn poll(&mut self, now_ms: u64) -> Option<Poll> {
        if now_ms < self.polled_ms {
            // What is to come by the old clock may never come.
            self.rein = Some(Rein::SetBack);
            self.polled_ms = now_ms;
            self.behind = true;
        }
        if !self.polling && self.wake_at().is_some_and(|at| at <= now_ms) {
            self.behind = true;
            self.poll_at = None;
        }
        if !self.wants_poll() {
            return None;
        }
        self.polling = true;
        self.polled_ms = now_ms;
        self.behind = false;
        self.poll_at = None;
        self.told = std::mem::take(&mut self.settling);
        // Rows that are tracked are read too and skipped.
        Some(Poll { limit: self.room_for_rows() + self.tracked.len(), rein: self.rein.take() })
    }

    pub(super) fn wants_poll(&self) -> bool {
        let low = (self.limits.count / 4).min(PAGE_ROWS / 2);
        self.behind && !self.polling && self.queue.len() <= low
    }

    /// When a poll is due by the clock, milliseconds since 1970; none while one
    /// is in flight or due for other reasons.
    pub(super) fn wake_at(&self) -> Option<u64> {
        if self.polling || self.behind {
            return None;
        }
        let sweep = self.polled_ms.saturating_add(SWEEP_MS);
        let spaced = |at: u64| at.max(self.polled_ms.saturating_add(SPACING_MS));
        Some(self.poll_at.map_or(sweep, spaced).min(sweep))
    }

    /// The rows due by `now_ms` that a poll with that limit found.
    pub(super) fn done(&mut self, page: DuePage, limit: usize, now_ms: u64) {
        self.polling = false;
        self.told.clear();
        let full = page.deliveries.len() >= limit;
        let mut taken = false;
        for delivery in page.deliveries {
            let event = delivery.event.id;
            if self.tracked.contains_key(&event) || self.settling.contains(&event) {
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

    /// The rows could not be read; poll again then.
    pub(super) fn failed(&mut self, poll: Poll, again_ms: u64) {
        self.polling = false;
        self.rein = self.rein.or(poll.rein);
        self.settling.extend(self.told.drain());
        self.note(again_ms);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    fn note(&mut self, due_ms: u64) {
        self.poll_at = Some(self.poll_at.map_or(due_ms, |at| at.min(due_ms)));
    }

    fn push(&mut self, delivery: Delivery, from_row: bool) {
        let size = delivery.body().len();
        self.learn_size(size);
        self.bytes = self.bytes.saturating_add(size);
        self.tracked.insert(delivery.event.id, Tracked { from_row, again: false });
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
