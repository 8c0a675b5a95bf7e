//! The journal thread: one write and one sync for all that waits (group commit).
//!
//! A payload's record is written and synced before its outcome of routing is
//! handed to the index, so a row never points at what a power loss can take.
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};

use super::dedupe::Dedupe;
use super::queue::{Batch, Job, Queue};
use super::staged::Staged;
use crate::error::refusal;
use crate::index::queue;
use crate::journal::disk::{Disk, is_full};
use crate::journal::record::{RecordTag, Salt, row_ms};
use crate::journal::scan::Scan;
use crate::journal::segment::{HEADER, Segments};
use crate::vitals::Vitals;
use hookwright_model::clock::Clock;
use hookwright_model::metrics::{COMMIT_RECORDS, COMMIT_SECONDS, STORE_ERRORS};
use hookwright_store::{AppendError, Handoff, Routed};

/// Room is taken from the disk in pieces of this size, in bytes: a sync that has
/// a new length to write waits for the file system's own journal, and on a
/// machine that writes much else that takes several times as long.
const RESERVE: u64 = 8 << 20;
/// So long a payload waits for another try after a failed write.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// A larger buffer is given back after the batch.
const BUFFER: usize = 1 << 20;

/// What the thread needs from the rest.
pub(crate) struct Context {
    pub(crate) queue: Arc<Queue>,
    pub(crate) index: Arc<queue::Queue>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) handoff: Arc<dyn Handoff>,
    pub(crate) clock: Clock,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_age: Duration,
    pub(crate) linger: Duration,
    pub(crate) last_row: i64,
    /// When the newest event was accepted, milliseconds since 1970.
    pub(crate) last_ms: u64,
    /// Nothing may be written to the last segment.
    pub(crate) sealed: bool,
    pub(crate) vitals: Arc<Vitals>,
}

/// The segment that is written to.
pub(crate) struct Active {
    pub(crate) number: u32,
    path: PathBuf,
    file: Arc<File>,
    salt: Salt,
    /// Everything before is whole and synced.
    pub(crate) end: u64,
    /// The file is that long at most; from `end` on it is zeros.
    reserved: u64,
    /// When it got its first record that is no copy of an older one.
    first_ms: Option<u64>,
    /// And the one that was the latest by the clock.
    last_ms: u64,
    /// A write or sync failed: nothing may follow what is in it.
    poisoned: bool,
}

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
    let mut writer = Writer {
        active: None,
        next_number: 1,
        last_row: context.last_row,
        durable_row: context.last_row,
        buffer: Vec::new(),
        again: Vec::new(),
        dedupe: Dedupe::default(),
        context,
        records: histogram!(COMMIT_RECORDS, "part" => "journal"),
        seconds: histogram!(COMMIT_SECONDS, "part" => "journal"),
        errors: counter!(STORE_ERRORS, "part" => "journal"),
    };
    writer.resume();
    while let Some(batch) = writer.next() {
        writer.commit(batch);
    }
    writer.last_try();
    if let Err(error) = writer.seal() {
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

pub(crate) struct Writer {
    pub(crate) context: Context,
    active: Option<Active>,
    /// Never used twice, so that a half-made file is in nobody's way.
    next_number: u32,
    pub(crate) last_row: i64,
    /// The last row whose record is synced.
    pub(crate) durable_row: i64,
    pub(crate) buffer: Vec<u8>,
    /// Outcomes whose payloads could not be written yet.
    again: Vec<Routed>,
    pub(crate) dedupe: Dedupe,
    records: Histogram,
    seconds: Histogram,
    errors: Counter,
}

impl Writer {
    /// Goes on in the last segment.
    fn resume(&mut self) {
        let Some(last) = self.context.segments.list().pop() else { return };
        self.next_number = last.number + 1;
        if self.context.sealed {
            return;
        }
        let Ok(file) = self.context.segments.file(last.number) else { return };
        let mut scan = Scan::new(Arc::clone(&file), &last, None);
        let mut first_ms = None;
        while first_ms.is_none()
            && let Ok(Some(scanned)) = scan.next_scanned()
        {
            let own = matches!(scanned.tag, RecordTag::Event | RecordTag::Payload);
            // Later than it was where the clock had been ahead: it ends early then.
            first_ms = own.then(|| row_ms(scanned.row));
        }
        self.active = Some(Active {
            number: last.number,
            path: last.path,
            file,
            salt: last.salt,
            end: last.bytes,
            reserved: last.bytes,
            first_ms,
            last_ms: self.context.last_ms,
            poisoned: false,
        });
    }

    /// At the close: payloads that could not be written before.
    fn last_try(&mut self) {
        if !self.again.is_empty() {
            self.commit(Batch::default());
        }
        let lost = self.again.len();
        if lost > 0 {
            tracing::error!(
                lost,
                "closing without payloads that could not be written; their events are routed once more"
            );
        }
    }

    fn next(&mut self) -> Option<Batch> {
        let until = (!self.again.is_empty()).then(|| Instant::now() + RETRY_DELAY);
        self.context.queue.take(until, self.context.linger)
    }

    fn commit(&mut self, mut batch: Batch) {
        let begun = Instant::now();
        batch.add(&self.again);
        // Those that came first go first: they may be deliveries in order.
        let mut jobs: Vec<Job> = self.again.drain(..).map(Job::Payloads).collect();
        jobs.append(&mut batch.jobs);
        let now_ms = self.context.clock.now_ms();
        let place = match self.ready(now_ms) {
            Ok(place) => place,
            Err(error) => {
                self.context.queue.done(&batch);
                return self.refuse(jobs, &error);
            }
        };
        let sure_ms = self.context.clock.sure_ms();
        let staged = self.stage(jobs, (now_ms, sure_ms), place);
        let written = self.write();
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        self.records.record(staged.len() as f64);
        self.seconds.record(begun.elapsed().as_secs_f64());
        // Room first: who is answered may append again at once.
        self.context.queue.done(&batch);
        match written {
            Ok(()) => self.complete(staged, now_ms),
            Err(error) => {
                self.dedupe.undo(self.durable_row);
                let durable = self.durable_row;
                let back = staged.into_iter().filter_map(|one| one.fail(&error, durable));
                self.again.extend(back);
                self.context.queue.keep(self.again.iter());
            }
        }
    }

    /// A segment to append to: its number and end.
    fn ready(&mut self, now_ms: u64) -> Result<(u32, u64), AppendError> {
        let age = hookwright_model::clock::millis(self.context.segment_age);
        let good = self.active.as_ref().filter(|active| {
            // Either way: what was written while the clock was wrong ends there.
            let old = active.first_ms.is_some_and(|first| now_ms.abs_diff(first) > age);
            !active.poisoned && active.end < self.context.segment_bytes && !old
        });
        if let Some(active) = good {
            return Ok((active.number, active.end));
        }
        self.rotate().map_err(|error| {
            self.errors.increment(1);
            tracing::error!(%error, "no new journal segment could be made");
            self.context.queue.set_failed(!is_full(&error));
            refusal(&error)
        })
    }

    /// Leaves the present segment for a new one.
    pub(crate) fn rotate(&mut self) -> io::Result<(u32, u64)> {
        self.seal()?;
        let segments = &self.context.segments;
        let number = self.next_number;
        self.next_number += 1;
        let first_row = self.last_row + 1;
        let (file, salt) = segments.create(number, first_row)?;
        let path = segments.path(number).unwrap_or_default();
        self.active = Some(Active {
            number,
            path,
            file,
            salt,
            end: HEADER,
            reserved: HEADER,
            first_ms: None,
            last_ms: 0,
            poisoned: false,
        });
        self.context.queue.set_failed(false);
        Ok((number, HEADER))
    }

    /// Gives back what lies behind the active segment's end: neither spare room
    /// nor what a failed write left may be taken for damage later.
    fn seal(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.poisoned || active.reserved > active.end {
            self.context.disk.set_len(&active.path, &active.file, active.end)?;
            self.context.disk.sync(&active.path, &active.file)?;
            active.reserved = active.end;
        }
        Ok(())
    }

    /// Writes and syncs the buffer behind the active segment's end.
    fn write(&mut self) -> Result<(), AppendError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Some(active) = self.active.as_mut() else { return Err(AppendError::Closed) };
        let disk = &self.context.disk;
        let end = active.end + self.buffer.len() as u64;
        if end > active.reserved {
            let wanted = end.max(self.context.segment_bytes.min(end + RESERVE));
            // Without it the write itself makes the file longer. One that fails may
            // have made it longer too, by a part.
            let _ = disk.reserve(&active.path, &active.file, wanted);
            active.reserved = wanted;
        }
        if let Err(error) = disk.write_at(&active.path, &active.file, &self.buffer, active.end) {
            self.errors.increment(1);
            active.reserved = active.end;
            let taken_back = disk.set_len(&active.path, &active.file, active.end);
            active.poisoned = !is_full(&error) || taken_back.is_err();
            return Err(self.poison(&error));
        }
        if let Err(error) = disk.sync(&active.path, &active.file) {
            // The kernel may have dropped the pages: a second sync would claim
            // success for what is not on the disk.
            self.errors.increment(1);
            active.poisoned = true;
            return Err(self.poison(&error));
        }
        active.end = end;
        self.durable_row = self.last_row;
        self.context.segments.set_bytes(active.number, active.end);
        Ok(())
    }

    /// After a failed write: leaves a spoiled segment at once where it can.
    fn poison(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(%error, "the journal could not be written");
        if self.active.as_ref().is_some_and(|active| active.poisoned) {
            self.context.queue.set_failed(true);
            if let Err(error) = self.rotate() {
                tracing::error!(%error, "and no new journal segment could be made");
            }
        }
        refusal(error)
    }

    fn refuse(&mut self, jobs: Vec<Job>, error: &AppendError) {
        for job in jobs {
            match job {
                // Whoever asked may be gone; then nobody needs the answer.
                Job::Append { done, .. } => drop(done.send(Err(error.clone()))),
                Job::Payloads(routed) => self.again.push(routed),
                Job::Relocate { reply, .. } => drop(reply.send(Err(error.clone().into()))),
                Job::Rotate { reply, .. } => drop(reply.send(Err(error.clone().into()))),
            }
        }
        self.context.queue.keep(self.again.iter());
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
        if own && let Some(active) = self.active.as_mut() {
            active.first_ms.get_or_insert(now_ms);
            active.last_ms = active.last_ms.max(now_ms);
        }
        self.context.index.push_all(indexed.into_iter());
        for answer in answers {
            answer.give();
        }
        if !events.is_empty() {
            self.context.handoff.accepted(events);
        }
    }

    pub(crate) fn salt(&self) -> Salt {
        self.active.as_ref().map_or(Salt::NONE, |active| active.salt)
    }

    /// Whether the active segment has records of its own, all of before that
    /// time. One that holds only copies stays: they would be copied for ever.
    pub(crate) fn is_before(&self, ms: u64) -> bool {
        let active = self.active.as_ref();
        active.is_some_and(|active| active.first_ms.is_some() && active.last_ms < ms)
    }
}
