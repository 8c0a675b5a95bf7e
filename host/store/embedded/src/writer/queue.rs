//! The queue before the journal thread: bounded, and refused at once where it is full.
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::index::ops::{Moved, Reply, RoutedOp};
use crate::journal::scan::Scanned;
use hookwright_model::Name;
use hookwright_store::{AppendError, Appended, NewEvent, Room};

/// What one batch takes from the queue at most, so that the buffer is bounded.
const BATCH_BYTES: usize = 8 << 20;
/// A batch of so many says that there is load.
const BUSY: usize = 8;

pub(crate) type Done = oneshot::Sender<Result<Appended, AppendError>>;

/// What the journal thread is asked to write.
pub(crate) enum Job {
    Append {
        event: NewEvent,
        done: Done,
        /// What the index said of its key, or why it could not be asked.
        known: Result<Known, Arc<str>>,
    },
    /// An outcome of routing with payloads of its own.
    Payloads(RoutedOp),
    /// Copies of records that their segment is about to lose.
    Relocate { records: Vec<Scanned>, reply: Reply<Vec<Moved>> },
    /// A new segment, where the present one holds only events of before that
    /// time, milliseconds since 1970.
    Rotate { before_ms: u64, reply: Reply<()> },
}

/// What the index knew of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// The row of its first event, and when its window ends.
    pub(crate) first: Option<(i64, u64)>,
    /// The index had the keys of all rows up to here.
    pub(crate) indexed: i64,
}

/// An event whose key is to be looked up first.
pub(crate) struct Keyed {
    event: NewEvent,
    done: Done,
    bytes: usize,
    pub(crate) known: Result<Known, Arc<str>>,
}

impl Keyed {
    /// None where it has none.
    pub(crate) fn key(&self) -> Option<(&Name, &[u8; 16])> {
        let dedupe = self.event.dedupe.as_ref()?;
        Some((&self.event.source, &dedupe.key))
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<(Job, usize)>,
    /// Events with keys, before they are jobs.
    keyed: Vec<Keyed>,
    /// And those whose keys are being looked up.
    looking: usize,
    /// Of those waiting and those being written.
    bytes: usize,
    records: usize,
    closed: bool,
    /// The writer waits for the first job; only then it needs to be woken.
    idle: bool,
    /// The last batch was a large one, so more is on its way.
    busy: bool,
}

pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    wake_keyed: Condvar,
    /// Keeps keys from being looked up.
    #[cfg(test)]
    stuck: AtomicBool,
    most_bytes: usize,
    most_records: usize,
    /// What the state's bytes and records come to, in thousandths of what may wait.
    filled: AtomicUsize,
    failed: AtomicBool,
    room: Arc<Room>,
}

/// A batch, and what it weighs until it is done.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Job>,
    bytes: usize,
    records: usize,
}

impl Job {
    /// What it takes in memory, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::Append { event, .. } => weight(event),
            Self::Payloads(op) => op.weight(),
            Self::Relocate { records, .. } => size_of_val(&records[..]),
            Self::Rotate { .. } => 0,
        }
    }
}

impl Batch {
    /// What was kept of a batch before is part of this one.
    pub(crate) fn add(&mut self, again: &[RoutedOp]) {
        self.bytes += again.iter().map(RoutedOp::weight).sum::<usize>();
        self.records += again.len();
    }
}

impl Queue {
    pub(crate) fn new(most_bytes: usize, most_records: usize, room: Arc<Room>) -> Self {
        Self {
            room,
            state: Mutex::default(),
            wake: Condvar::new(),
            wake_keyed: Condvar::new(),
            #[cfg(test)]
            stuck: AtomicBool::new(false),
            most_bytes,
            most_records,
            filled: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn append(
        &self,
        event: NewEvent,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let bytes = weight(&event);
        let (done, written) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        // One event is always let in, however large it is.
        let over = state.bytes.saturating_add(bytes) > self.most_bytes;
        if state.records >= self.most_records || (over && state.records > 0) {
            return Err(AppendError::Busy);
        }
        let known = Ok(Known::default());
        if event.dedupe.is_some() {
            state.bytes += bytes;
            state.records += 1;
            state.keyed.push(Keyed { event, done, bytes, known });
            self.note(&state);
            let wanted = state.keyed.len() == 1 && state.looking == 0;
            drop(state);
            if wanted {
                self.wake_keyed.notify_one();
            }
            return Ok(written);
        }
        push(&mut state, Job::Append { event, done, known }, bytes);
        self.note(&state);
        self.wake_for(state);
        Ok(written)
    }

    /// Events whose keys are to be looked up, in their order. None once closed and
    /// without any.
    pub(crate) fn take_keyed(&self) -> Option<Vec<Keyed>> {
        let mut state = self.state.lock();
        loop {
            #[cfg(test)]
            let stuck = self.stuck.load(Ordering::SeqCst);
            #[cfg(not(test))]
            let stuck = false;
            if !state.keyed.is_empty() && !stuck {
                state.looking = state.keyed.len();
                return Some(std::mem::take(&mut state.keyed));
            }
            if state.closed {
                return None;
            }
            self.wake_keyed.wait(&mut state);
        }
    }

    /// They go to the journal thread.
    pub(crate) fn looked_up(&self, keyed: Vec<Keyed>) {
        let mut state = self.state.lock();
        state.looking = 0;
        for Keyed { event, done, bytes, known } in keyed {
            state.jobs.push_back((Job::Append { event, done, known }, bytes));
        }
        self.wake_for(state);
    }

    #[cfg(test)]
    pub(crate) fn set_stuck(&self, stuck: bool) {
        let _state = self.state.lock();
        self.stuck.store(stuck, Ordering::SeqCst);
        self.wake_keyed.notify_all();
    }

    /// Work that must not be refused; it is bounded by who hands it in. False once closed.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        // Nothing of it is refused, but who may be refused sees what it weighs.
        let bytes = job.weight();
        push(&mut state, job, bytes);
        self.note(&state);
        self.wake_for(state);
        true
    }

    /// Outcomes that could not be written stay in memory, for another try.
    pub(crate) fn keep<'a>(&self, again: impl Iterator<Item = &'a RoutedOp>) {
        let mut state = self.state.lock();
        for op in again {
            state.bytes += op.weight();
            state.records += 1;
        }
        self.note(&state);
    }

    /// A wake-up for each job would cost more than what lingering saves.
    fn wake_for(&self, state: MutexGuard<'_, State>) {
        let wanted = state.idle || state.bytes >= BATCH_BYTES;
        drop(state);
        if wanted {
            self.wake.notify_one();
        }
    }

    /// Waits for work, then, where there is much, `linger` for more. Returns
    /// without any at `until`. None once closed and empty.
    pub(crate) fn take(&self, until: Option<Instant>, linger: Duration) -> Option<Batch> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed && state.keyed.is_empty() && state.looking == 0 {
                return None;
            }
            state.idle = true;
            let timed_out = match until {
                None => {
                    self.wake.wait(&mut state);
                    false
                }
                Some(until) => self.wake.wait_until(&mut state, until).timed_out(),
            };
            state.idle = false;
            if timed_out {
                return Some(Batch::default());
            }
        }
        if state.busy && !linger.is_zero() {
            let until = Instant::now() + linger;
            while !state.closed
                && state.bytes < BATCH_BYTES
                && !self.wake.wait_until(&mut state, until).timed_out()
            {}
        }
        let mut batch = Batch::default();
        while batch.bytes < BATCH_BYTES
            && let Some((job, bytes)) = state.jobs.pop_front()
        {
            batch.bytes += bytes;
            batch.records += 1;
            batch.jobs.push(job);
        }
        state.busy = batch.records >= BUSY;
        Some(batch)
    }

    pub(crate) fn done(&self, batch: &Batch) {
        let mut state = self.state.lock();
        state.bytes -= batch.bytes;
        state.records -= batch.records;
        self.note(&state);
        drop(state);
        self.room.changed();
    }

    fn note(&self, state: &State) {
        let part = |some: usize, most: usize| some.saturating_mul(1_000) / most.max(1);
        let filled = part(state.bytes, self.most_bytes).max(part(state.records, self.most_records));
        self.filled.store(filled, Ordering::Relaxed);
    }

    /// How much of what may wait does: 1 and more refuses.
    pub(crate) fn fullness(&self) -> f32 {
        self.filled.load(Ordering::Relaxed) as f32 / 1_000.0
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
        self.wake_keyed.notify_all();
        self.room.changed();
    }

    /// The thread has ended where it should not: nothing more is taken, and
    /// whoever waits hears that the store is closed.
    pub(crate) fn abandon(&self) {
        self.set_failed(true);
        let mut state = self.state.lock();
        state.closed = true;
        let jobs = (std::mem::take(&mut state.jobs), std::mem::take(&mut state.keyed));
        state.looking = 0;
        drop(state);
        drop(jobs);
        self.wake.notify_all();
        self.wake_keyed.notify_all();
        self.room.changed();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(crate) fn set_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

fn push(state: &mut State, job: Job, bytes: usize) {
    state.bytes += bytes;
    state.records += 1;
    state.jobs.push_back((job, bytes));
}

/// What an event takes in memory, roughly.
fn weight(event: &NewEvent) -> usize {
    512 + event.headers.len() * 160 + event.kind.len() + event.body.len()
}
