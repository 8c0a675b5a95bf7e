//! The journal thread: one write and one sync for all that waits (group commit).
//!
//! A payload's record is written and synced before its outcome of routing is
//! handed to the index, so a row never points at what a power loss can take.
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};

use super::encoder::{BatchTime, Encoder};
use super::queue::{Batch, Job, Queue};
use super::staged::{Answer, Staged};
use super::tail::{SegmentLimits, Tail};
use crate::error::{is_full, refusal};
use crate::index;
use crate::index::ops::RoutedOp;
use crate::journal::disk::Disk;
use crate::journal::locator::Position;
use crate::journal::segments::Segments;
use crate::unrecorded::{Slot, Unrecorded};
use crate::vitals::Vitals;
use hookwright_model::clock::Clock;
use hookwright_model::metrics::{COMMIT_RECORDS, COMMIT_SECONDS, STORE_ERRORS};
use hookwright_store::{AppendError, Handoff, StoreError};

/// So long a payload waits for another try after a failed write.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// What the thread needs from the rest.
pub(crate) struct Context {
    pub(crate) queue: Arc<Queue>,
    pub(crate) index: Arc<index::queue::Queue>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) handoff: Arc<dyn Handoff>,
    pub(crate) clock: Clock,
    pub(crate) limits: SegmentLimits,
    pub(crate) linger: Duration,
    pub(crate) last_row: i64,
    /// When the newest event was accepted, milliseconds since 1970.
    pub(crate) last_ms: u64,
    /// Nothing may be written to the last segment.
    pub(crate) sealed: bool,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) unrecorded: Arc<Unrecorded>,
}

/// Starts the thread; returns once it runs.
pub(crate) fn start(context: Context) -> rusqlite::Result<JoinHandle<()>> {
    let (began, begun) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("store-journal".into())
        .spawn(move || run(context, &began))
        .expect("the system starts a thread");
    match begun.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(rusqlite::Error::InvalidQuery),
    }
}

fn run(context: Context, began: &SyncSender<rusqlite::Result<()>>) {
    let _ = began.send(Ok(()));
    let _guard = Guard(Arc::clone(&context.queue));
    let _alive = context.vitals.alive("store-journal");
    let Context {
        queue, index, segments, disk, handoff, clock, limits, linger, unrecorded, ..
    } = context;
    let tail = Tail::resume(Arc::clone(&segments), disk, limits, context.sealed, context.last_ms);
    let mut writer = Writer {
        queue,
        index,
        handoff,
        unrecorded,
        clock,
        linger,
        tail,
        encoder: Encoder::new(segments, context.last_row),
        durable_row: context.last_row,
        retry: Vec::new(),
        records: histogram!(COMMIT_RECORDS, "part" => "journal"),
        seconds: histogram!(COMMIT_SECONDS, "part" => "journal"),
        errors: counter!(STORE_ERRORS, "part" => "journal"),
    };
    while let Some(batch) = writer.next() {
        writer.commit(batch);
    }
    writer.last_try();
    if let Err(error) = writer.tail.seal() {
        tracing::warn!(%error, "the journal's last file keeps its spare room until the next start");
    }
}

/// A panic must not leave anyone waiting for ever.
struct Guard(Arc<Queue>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

/// Takes batches from the queue, has them encoded and written, and tells everyone what is durable then.
struct Writer {
    queue: Arc<Queue>,
    index: Arc<index::queue::Queue>,
    handoff: Arc<dyn Handoff>,
    unrecorded: Arc<Unrecorded>,
    clock: Clock,
    linger: Duration,
    tail: Tail,
    encoder: Encoder,
    /// The last row whose record is synced.
    durable_row: i64,
    /// Outcomes whose payloads could not be written yet.
    retry: Vec<RoutedOp>,
    records: Histogram,
    seconds: Histogram,
    errors: Counter,
}

impl Writer {
    /// At the close: payloads that could not be written before.
    fn last_try(&mut self) {
        if !self.retry.is_empty() {
            self.commit(Batch::default());
        }
        let lost = self.retry.len();
        if lost > 0 {
            tracing::error!(
                lost,
                "closing without payloads that could not be written; their events are routed once more"
            );
        }
    }

    fn next(&mut self) -> Option<Batch> {
        let until = (!self.retry.is_empty()).then(|| Instant::now() + RETRY_DELAY);
        self.queue.take(until, self.linger)
    }

    fn commit(&mut self, mut batch: Batch) {
        let begun = Instant::now();
        batch.add(&self.retry);
        // Those that came first go first: they may be deliveries in order.
        let mut jobs: Vec<Job> = self.retry.drain(..).map(Job::Payloads).collect();
        jobs.append(&mut batch.jobs);
        let now_ms = self.clock.now_ms();
        let base = match self.ready(now_ms) {
            Ok(base) => base,
            Err(error) => {
                self.queue.done(&batch);
                return self.refuse(jobs, &error);
            }
        };
        let time = BatchTime { now_ms, sure_ms: self.clock.sure_ms() };
        self.encoder.start_at(base, self.tail.salt());
        let staged = self.stage(jobs, time);
        let written = self.write();
        self.encoder.clear();
        self.records.record(staged.len() as f64);
        self.seconds.record(begun.elapsed().as_secs_f64());
        // Room first: the one who is answered may append again at once.
        self.queue.done(&batch);
        match written {
            Ok(()) => self.complete(staged, now_ms),
            Err(error) => {
                self.encoder.release_keys_after(self.durable_row);
                let durable = self.durable_row;
                let back = staged.into_iter().filter_map(|one| one.fail(&error, durable));
                self.retry.extend(back);
                self.queue.keep(self.retry.iter());
            }
        }
    }

    /// Where the batch is to be written.
    fn ready(&mut self, now_ms: u64) -> Result<Position, AppendError> {
        if let Some(base) = self.tail.ready(now_ms) {
            return Ok(base);
        }
        self.rotate().map_err(|error| {
            self.errors.increment(1);
            tracing::error!(%error, "no new journal segment could be made");
            self.queue.set_failed(!is_full(&error));
            refusal(&error)
        })
    }

    /// Ends the active segment for a new one.
    fn rotate(&mut self) -> io::Result<Position> {
        let base = self.tail.rotate(self.encoder.last_row() + 1)?;
        self.queue.set_failed(false);
        Ok(base)
    }

    /// Encodes the jobs, in their order.
    fn stage(&mut self, jobs: Vec<Job>, time: BatchTime) -> Vec<Staged> {
        let mut staged = Vec::with_capacity(jobs.len());
        for job in jobs {
            staged.push(match job {
                Job::Append { event, done, known } => {
                    self.encoder.event(event, (done, known), time)
                }
                Job::Payloads(op) => Staged::Routed(self.encoder.payloads(op)),
                Job::Relocate { records, reply } => {
                    let copies = self.encoder.copies(&records);
                    Staged::Answer(Answer::Relocate(reply, copies))
                }
                Job::Rotate { before_ms, reply } => {
                    Staged::Answer(Answer::Rotate(reply, self.rotate_before(before_ms)))
                }
            });
        }
        staged
    }

    /// Rotates where the active segment holds only records of before that time. Only between batches, while nothing
    /// is encoded for the old end.
    fn rotate_before(&mut self, before_ms: u64) -> Result<(), StoreError> {
        if self.tail.is_before(before_ms) && self.encoder.bytes().is_empty() {
            let base = self.rotate().map_err(|error| refusal(&error))?;
            self.encoder.start_at(base, self.tail.salt());
        }
        Ok(())
    }

    /// Writes and syncs what is encoded.
    fn write(&mut self) -> Result<(), AppendError> {
        if self.encoder.bytes().is_empty() {
            return Ok(());
        }
        match self.tail.write(self.encoder.bytes()) {
            Ok(()) => {
                self.durable_row = self.encoder.last_row();
                Ok(())
            }
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    /// After a failed write: leaves a poisoned segment at once where it can.
    fn write_failed(&mut self, error: &io::Error) -> AppendError {
        self.errors.increment(1);
        tracing::error!(%error, "the journal could not be written");
        if self.tail.is_poisoned() {
            self.queue.set_failed(true);
            if let Err(error) = self.rotate() {
                tracing::error!(%error, "and no new journal segment could be made");
            }
        }
        refusal(error)
    }

    fn refuse(&mut self, jobs: Vec<Job>, error: &AppendError) {
        for job in jobs {
            match job {
                // The one who asked may be gone; then nobody needs the answer.
                Job::Append { done, .. } => drop(done.send(Err(error.clone()))),
                Job::Payloads(op) => self.retry.push(op),
                Job::Relocate { reply, .. } => drop(reply.send(Err(error.clone().into()))),
                Job::Rotate { reply, .. } => drop(reply.send(Err(error.clone().into()))),
            }
        }
        self.queue.keep(self.retry.iter());
    }

    /// Tells all what is durable now: the index first, so that an outcome of
    /// routing always comes behind its event there.
    fn complete(&mut self, staged: Vec<Staged>, now_ms: u64) {
        let mut events = Vec::new();
        let mut indexed = Vec::with_capacity(staged.len());
        let mut answers = Vec::with_capacity(staged.len());
        let own = staged.iter().any(|one| matches!(one, Staged::Event { .. } | Staged::Routed(_)));
        for one in staged {
            one.split(&mut events, &mut indexed, &mut answers);
        }
        if own {
            self.tail.touch(now_ms);
        }
        let sources: Vec<_> = events.iter().map(|event| Slot::source(&event.source)).collect();
        // Once until its row is committed, once until it is handed on.
        self.unrecorded.add(&sources);
        self.unrecorded.add(&sources);
        self.index.push_all(indexed.into_iter());
        for answer in answers {
            answer.give();
        }
        if !events.is_empty() {
            self.handoff.durable(events);
        }
        self.unrecorded.remove(&sources);
    }
}
