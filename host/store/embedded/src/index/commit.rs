//! Committing a batch of work: tried until it succeeds, and then everyone it concerns is told.
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use rusqlite::{Connection, ErrorCode};

use super::apply::{Applier, Progress, Refused, apply_isolated};
use super::counts::{Counts, Delta};
use super::ops::Request;
use super::pending::PendingEvents;
use super::queue::{Queue, Weight, WriteHealth};
use super::wal::WalCheckpoints;
use super::work::{PendingEvent, Work};
use crate::error::{Failure, is_of_content};
use crate::journal::damage::Damage;
use crate::journal::segments::Segments;
use crate::unrecorded::Unrecorded;
use hookwright_model::EventId;
use hookwright_model::clock::Clock;
use hookwright_model::metrics::{COMMIT_RECORDS, COMMIT_SECONDS, STORE_ERRORS, STORE_SET_ASIDE};
use hookwright_store::{Handoff, StoreError};

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// So long it is told that something was refused for its content.
const TOLD: Duration = Duration::from_secs(600);
/// What is told then.
const REFUSED: &str = "index.db";
/// Tries to commit once the store is closed, before what remains is left to the journal.
const LAST_TRIES: u32 = 3;

/// What commits need from the rest of the engine.
pub(crate) struct Links {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) handoff: Arc<dyn Handoff>,
    pub(crate) checkpoints: Arc<WalCheckpoints>,
    pub(crate) clock: Clock,
    pub(crate) damage: Arc<Damage>,
    pub(crate) unrecorded: Arc<Unrecorded>,
}

/// Commits batches. Owned by the index thread.
pub(super) struct Committer<'c> {
    links: Links,
    conn: &'c Connection,
    applier: Applier<'c>,
    /// Events in the index.
    events: i64,
    /// When SQLite last refused something for its content.
    refused_at: Option<Instant>,
    meters: Meters,
}

struct Meters {
    records: Histogram,
    seconds: Histogram,
    errors: Counter,
    set_aside: Counter,
}

impl<'c> Committer<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        links: Links,
        events: i64,
    ) -> rusqlite::Result<Committer<'c>> {
        Ok(Self {
            applier: Applier::new(conn, Arc::clone(&links.segments))?,
            conn,
            links,
            events,
            refused_at: None,
            meters: Meters {
                records: histogram!(COMMIT_RECORDS, "part" => "index"),
                seconds: histogram!(COMMIT_SECONDS, "part" => "index"),
                errors: counter!(STORE_ERRORS, "part" => "index"),
                set_aside: counter!(STORE_SET_ASIDE),
            },
        })
    }

    /// Commits the work; `pending` says up to where the journal is indexed then, and whose readers are to be told.
    pub(super) fn commit(&mut self, mut work: Vec<Work>, pending: &mut PendingEvents) {
        if work.is_empty() {
            return;
        }
        let begun = Instant::now();
        let (row, position) = pending.checkpoint();
        let mut backoff = FIRST_BACKOFF;
        let mut last_tries = LAST_TRIES;
        let delta = loop {
            let now_ms = self.links.clock.sure_ms();
            #[cfg(test)]
            self.applier.limit(self.links.queue.full.load(std::sync::atomic::Ordering::SeqCst));
            match self.record(&mut work, Progress { position, events: self.events, now_ms }) {
                Ok(delta) => break delta,
                Err(error) => self.failed(&error, &mut work, pending),
            }
            if !self.links.queue.back_off(backoff) {
                last_tries -= 1;
                if last_tries == 0 {
                    tracing::error!(
                        lost = work.len(),
                        "closing with rows that the index did not take; the journal has the events"
                    );
                    return;
                }
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        };
        self.links.queue.set_write_health(WriteHealth::Healthy);
        self.meters.records.record(work.len() as f64);
        self.meters.seconds.record(begun.elapsed().as_secs_f64());
        self.links.checkpoints.committed(work.len(), self.conn);
        self.events += delta.events;
        self.finish(work, delta, row, pending);
    }

    /// All in one transaction. Where SQLite refuses something for its content, that is set aside, and the rest is
    /// recorded.
    fn record(&mut self, work: &mut Vec<Work>, progress: Progress) -> rusqlite::Result<Delta> {
        match self.applier.apply_all(work, progress) {
            Err(error) if is_of_content(&error) => {
                self.applier.roll_back();
                let (delta, refused) = apply_isolated(&mut self.applier, work, progress)?;
                self.report_refused(refused, work);
                Ok(delta)
            }
            recorded => {
                if self.refused_at.is_some_and(|at| at.elapsed() > TOLD) {
                    self.refused_at = None;
                    self.links.damage.clear(REFUSED);
                }
                recorded
            }
        }
    }

    fn report_refused(&mut self, refused: Vec<Refused>, work: &mut Vec<Work>) {
        let node = self.links.segments.node;
        // From the back, so that the indexes of the others stay right.
        for Refused { index, error, event } in refused.into_iter().rev() {
            self.meters.set_aside.increment(1);
            let about =
                event.map_or("a question".to_owned(), |row| EventId::new(row, node).to_string());
            tracing::error!(event = about, %error, "the index refused an operation for its content; it is set aside");
            self.refused_at = Some(Instant::now());
            let what = format!("the index refused what was to be recorded of {about}: {error}");
            self.links.damage.raise(REFUSED, &what);
            if matches!(work[index], Work::Request(_)) {
                let item = work.remove(index);
                self.links.queue.done(item.weight());
                if let Work::Request(request) = item {
                    request.refuse(Failure::from(&error).into());
                }
            }
        }
    }

    /// Those who wait are told; the rest is kept for another try.
    fn failed(
        &mut self,
        error: &rusqlite::Error,
        work: &mut Vec<Work>,
        pending: &mut PendingEvents,
    ) {
        self.meters.errors.increment(1);
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let health = if full { WriteHealth::Full } else { WriteHealth::Failed };
        if self.links.queue.write_health() != health {
            tracing::error!(%error, "the index can't be written; trying again until it can");
        }
        self.links.queue.set_write_health(health);
        self.applier.roll_back();
        let refusal = StoreError::from(Failure::from(error));
        let requests = work.extract_if(.., |item| matches!(item, Work::Request(_)));
        for item in requests {
            self.links.queue.done(item.weight());
            if let Work::Request(request) = item {
                request.refuse(refusal.clone());
            }
        }
        pending.refuse_waiters(&refusal);
        self.links.queue.refuse_requests(&refusal);
    }

    /// After the commit: counts, the hand-off, then those who wait. In this order, so that the one who waits for a
    /// barrier finds no delivery still on its way.
    fn finish(
        &mut self,
        mut work: Vec<Work>,
        mut delta: Delta,
        row: i64,
        pending: &mut PendingEvents,
    ) {
        let mut ready = std::mem::take(&mut delta.ready);
        let mut slots = Vec::with_capacity(work.len());
        self.links.counts.add(delta);
        self.links.queue.set_indexed(row);
        for item in &mut work {
            item.slots(&mut slots);
            match item {
                Work::New(PendingEvent { routed: Some(op), .. }) | Work::Routed(op)
                    if !op.handed =>
                {
                    op.leave_behind();
                    ready.append(&mut op.routed.deliveries);
                }
                Work::Request(Request::Replay { ready: one, .. }) => ready.extend(one.take()),
                _ => {}
            }
        }
        if !ready.is_empty() {
            self.links.handoff.ready(ready);
        }
        self.links.unrecorded.remove(&slots);
        // Room first: the one who is answered may hand in more at once.
        self.links.queue.done(work.iter().map(Work::weight).fold(Weight::default(), Weight::add));
        pending.answer_waiters();
        let mut wake = false;
        for item in work {
            if let Work::Request(request) = item {
                wake |= answer(request);
            }
        }
        if wake {
            self.links.handoff.wake();
        }
    }
}

/// True where an event is to be routed again. The one who asked may have gone.
fn answer(request: Request) -> bool {
    match request {
        Request::Replay { found, destination, reply, .. } => {
            let _ = reply.send(Ok(found));
            return found && destination.is_none();
        }
        Request::Sweep { out, reply, .. } | Request::SweepUnreadable { out, reply, .. } => {
            let _ = reply.send(Ok(out));
        }
        Request::ReinIn { count, reply, .. } => {
            let _ = reply.send(Ok(count));
        }
        Request::Discard { ended, reply, .. } => {
            let _ = reply.send(Ok(ended));
        }
        Request::Condition { reply, .. }
        | Request::KeepReplay { reply, .. }
        | Request::Repoint { reply, .. }
        | Request::Settle { reply }
        | Request::Barrier { reply, .. } => {
            let _ = reply.send(Ok(()));
        }
    }
    false
}
