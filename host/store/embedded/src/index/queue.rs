//! What waits for the index thread: a queue in which work gathers until the first of it is due.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::ops::{HOLD, Op, Reply, Request};
use hookwright_store::{Room, StoreError};

/// Under load all else waits so long for company: one commit for many.
const BATCHING_DELAY: Duration = Duration::from_micros(300);
/// A batch with so much that is pressing says that there is load.
const BUSY: usize = 8;
/// With so many waiting there is company enough.
const FULL_BATCH: usize = 1_024;

/// How the index thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WriteHealth {
    Healthy,
    Full,
    Failed,
}

#[derive(Default)]
struct State {
    ops: Vec<Op>,
    closed: bool,
    /// When the first of them wants to be taken.
    due: Option<Instant>,
    /// Until when the thread sleeps; none while it is awake.
    asleep: Option<Sleep>,
    /// The last batch was a large one, so more is on its way.
    busy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Until(Instant),
    ForEver,
}

/// What waits for the index thread.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    weight: AtomicUsize,
    /// Rows and outcomes handed in and not committed; events not counted.
    pressing: AtomicUsize,
    /// Every event up to this row is committed.
    indexed_row: AtomicI64,
    write_health: AtomicU8,
    /// Who waits for an answer now.
    #[cfg(test)]
    asking: AtomicUsize,
    room: Arc<Room>,
    /// Lets SQLite find no more room in its file.
    #[cfg(test)]
    pub(crate) full: std::sync::atomic::AtomicBool,
}

/// What a batch weighed, to be given back once it is committed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Weight {
    pub(crate) bytes: usize,
    pub(crate) pressing: usize,
}

impl Weight {
    pub(crate) fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, pressing: self.pressing + other.pressing }
    }
}

impl Queue {
    pub(crate) fn new(indexed_row: i64, room: Arc<Room>) -> Self {
        Self {
            room,
            state: Mutex::default(),
            wake: Condvar::new(),
            weight: AtomicUsize::new(0),
            pressing: AtomicUsize::new(0),
            indexed_row: AtomicI64::new(indexed_row),
            write_health: AtomicU8::new(WriteHealth::Healthy as u8),
            #[cfg(test)]
            asking: AtomicUsize::new(0),
            #[cfg(test)]
            full: Default::default(),
        }
    }

    /// False once closed.
    pub(crate) fn push(&self, op: Op) -> bool {
        self.push_all(std::iter::once(op))
    }

    pub(crate) fn push_all(&self, ops: impl Iterator<Item = Op>) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        let (mut weight, mut pressing) = (0, 0);
        let mut delay = HOLD;
        let before = state.ops.len();
        for op in ops {
            weight += op.weight();
            pressing += usize::from(op.is_pressing());
            delay = delay.min(op.batching_delay());
            state.ops.push(op);
        }
        if state.ops.len() == before {
            return true;
        }
        if state.busy {
            delay = delay.max(BATCHING_DELAY);
        }
        self.weight.fetch_add(weight, Ordering::Relaxed);
        self.pressing.fetch_add(pressing, Ordering::Release);
        let crowded = state.ops.len() >= FULL_BATCH;
        let due = Instant::now() + if crowded { Duration::ZERO } else { delay };
        let due = state.due.map_or(due, |earlier| earlier.min(due));
        state.due = Some(due);
        let wake = match state.asleep {
            None => false,
            Some(Sleep::ForEver) => true,
            Some(Sleep::Until(until)) => due < until,
        };
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Pushes an op that carries a reply, and waits for it.
    pub(crate) fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        if !self.push(Op::Request(request(reply))) {
            return Err(StoreError::Closed);
        }
        #[cfg(test)]
        self.asking.fetch_add(1, Ordering::SeqCst);
        let answered = answer.recv();
        #[cfg(test)]
        self.asking.fetch_sub(1, Ordering::SeqCst);
        answered.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes all that waits into `into`, which is empty, once the first of it
    /// wants to be taken, and at `until` at the latest. False once closed and empty.
    pub(crate) fn take(&self, into: &mut Vec<Op>, until: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while !state.closed {
            let due = [state.due, until].into_iter().flatten().min();
            match due {
                Some(due) if due <= Instant::now() => break,
                Some(due) => {
                    state.asleep = Some(Sleep::Until(due));
                    self.wake.wait_until(&mut state, due);
                }
                None => {
                    state.asleep = Some(Sleep::ForEver);
                    self.wake.wait(&mut state);
                }
            }
        }
        state.asleep = None;
        state.due = None;
        state.busy = state.ops.iter().filter(|op| op.is_pressing()).count() >= BUSY;
        std::mem::swap(into, &mut state.ops);
        !(state.closed && into.is_empty())
    }

    /// The thread has ended where it should not: nothing more is taken, and
    /// whoever waits hears that the store is closed.
    pub(crate) fn abandon(&self) {
        self.set_write_health(WriteHealth::Failed);
        let mut state = self.state.lock();
        state.closed = true;
        let ops = std::mem::take(&mut state.ops);
        drop(state);
        drop(ops);
        self.room.changed();
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
        self.room.changed();
    }

    /// Gives back what committed ops weighed.
    pub(crate) fn done(&self, weight: Weight) {
        self.weight.fetch_sub(weight.bytes, Ordering::Relaxed);
        self.pressing.fetch_sub(weight.pressing, Ordering::Release);
        self.room.changed();
    }

    #[cfg(test)]
    pub(crate) fn asking(&self) -> usize {
        self.asking.load(Ordering::SeqCst)
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// Whether rows or outcomes wait to be committed.
    pub(crate) fn is_behind(&self) -> bool {
        self.pressing.load(Ordering::Acquire) > 0
    }

    pub(crate) fn set_indexed(&self, row: i64) {
        self.indexed_row.store(row, Ordering::Release);
    }

    pub(crate) fn indexed_row(&self) -> i64 {
        self.indexed_row.load(Ordering::Acquire)
    }

    pub(crate) fn set_write_health(&self, write_health: WriteHealth) {
        self.write_health.store(write_health as u8, Ordering::Release);
    }

    pub(crate) fn write_health(&self) -> WriteHealth {
        match self.write_health.load(Ordering::Acquire) {
            0 => WriteHealth::Healthy,
            1 => WriteHealth::Full,
            _ => WriteHealth::Failed,
        }
    }

    /// Whoever asked while the index can't be written is told so, instead of
    /// waiting until it can.
    pub(crate) fn refuse_requests(&self, error: &StoreError) {
        let mut state = self.state.lock();
        let request: Vec<Op> =
            state.ops.extract_if(.., |op| matches!(op, Op::Request(_))).collect();
        drop(state);
        let bytes = request.iter().map(Op::weight).sum();
        self.done(Weight { bytes, pressing: request.len() });
        for op in request {
            if let Op::Request(request) = op {
                request.refuse(error.clone());
            }
        }
    }

    /// Waits before another try; false once closed.
    pub(crate) fn back_off(&self, delay: Duration) -> bool {
        let until = Instant::now() + delay;
        let mut state = self.state.lock();
        while !state.closed && !self.wake.wait_until(&mut state, until).timed_out() {}
        !state.closed
    }
}
