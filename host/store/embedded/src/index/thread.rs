//! The index thread: gathers what waits, folds it, and commits it in one transaction.
//!
//! An accepted event needs no row at once: it lies in the journal, and a crash
//! finds it there. So its rows wait a little for the outcome of its routing and
//! of its deliveries, and most events are written once instead of written and
//! changed again and again.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use rusqlite::{Connection, ErrorCode};

use super::counts::{Counts, Delta};
use super::ops::{Op, Reply, Request};
use super::queue::{Queue, Weight, WriteHealth};
use super::work::{PendingEvent, Work};
use crate::error::{Failure, is_of_content};
use crate::index::apply::apart::Refused;
use crate::index::apply::applier::Applier;
use crate::journal::damage::Damage;
use crate::journal::segment::{Position, Segments};
use crate::vitals::Vitals;
use hookwright_model::EventId;
use hookwright_model::clock::Clock;
use hookwright_model::metrics::{COMMIT_RECORDS, COMMIT_SECONDS, STORE_ERRORS, STORE_SET_ASIDE};
use hookwright_store::Handoff;

/// So many events' rows wait for the outcome of their routing at most.
const MOST_PENDING: usize = 8_192;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// So long it is told that something was refused for its content.
const TOLD: Duration = Duration::from_secs(600);
/// What is told then.
const REFUSED: &str = "index.db";
/// Tries to commit once the store is closed, before what remains is left to the journal.
const LAST_TRIES: u32 = 3;

/// What the thread needs from the rest.
pub(crate) struct Context {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) handoff: Arc<dyn Handoff>,
    pub(crate) checkpoints: Arc<super::wal::WalCheckpoints>,
    pub(crate) clock: Clock,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) damage: Arc<Damage>,
    pub(crate) hold: Duration,
    /// Up to where the journal is indexed.
    pub(crate) position: Position,
    pub(crate) events: i64,
}

/// Starts the thread; returns once its statements are prepared.
pub(crate) fn start(conn: Connection, context: Context) -> rusqlite::Result<JoinHandle<()>> {
    let (began, begun) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("store-index".into())
        .spawn(move || run(&conn, context, &began))
        .expect("the system starts a thread");
    match begun.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(rusqlite::Error::InvalidQuery),
    }
}

fn run(conn: &Connection, context: Context, began: &SyncSender<rusqlite::Result<()>>) {
    let applier = match Applier::new(conn, Arc::clone(&context.segments)) {
        Ok(applier) => applier,
        Err(error) => {
            let _ = began.send(Err(error));
            return;
        }
    };
    let _ = began.send(Ok(()));
    let _guard = Guard(Arc::clone(&context.queue));
    let _alive = context.vitals.alive("store-index");
    let mut thread = Thread {
        applier,
        pending: BTreeMap::new(),
        waiters: Vec::new(),
        seen: (context.queue.indexed_row(), context.position),
        events: context.events,
        context,
        records: histogram!(COMMIT_RECORDS, "part" => "index"),
        seconds: histogram!(COMMIT_SECONDS, "part" => "index"),
        errors: counter!(STORE_ERRORS, "part" => "index"),
        set_aside: counter!(STORE_SET_ASIDE),
        refused_at: None,
    };
    let mut ops = Vec::new();
    while thread.context.queue.take(&mut ops, thread.hold_until()) {
        let work = thread.fold(&mut ops);
        thread.commit(work);
    }
    // Closed: what is still pending gets its rows.
    let mut work = Vec::new();
    thread.release(None, &mut work);
    thread.commit(work);
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

struct Thread<'c> {
    context: Context,
    applier: Applier<'c>,
    pending: BTreeMap<i64, PendingEvent>,
    /// Readers that wait until no event up to that row is pending any more.
    waiters: Vec<(i64, Reply<()>)>,
    /// The last event that came, and where its record ends.
    seen: (i64, Position),
    events: i64,
    records: Histogram,
    seconds: Histogram,
    errors: Counter,
    set_aside: Counter,
    /// When SQLite last refused something for its content.
    refused_at: Option<Instant>,
}

impl Thread<'_> {
    fn hold_until(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(_, pending)| pending.since + self.context.hold)
    }

    fn fold(&mut self, ops: &mut Vec<Op>) -> Vec<Work> {
        let mut work = Vec::with_capacity(ops.len());
        let now = Instant::now();
        for op in ops.drain(..) {
            match op {
                Op::Accepted(accepted) => {
                    let row = accepted.event.id.row();
                    self.seen = (row, accepted.at.end());
                    self.pending.insert(row, PendingEvent::new(accepted, now));
                }
                Op::Routed(op) => match self.pending.get_mut(&op.routed.event.id.row()) {
                    Some(pending) => {
                        let row = op.routed.event.id.row();
                        let mut op = op;
                        if Arc::ptr_eq(&op.routed.event, &pending.accepted.event) {
                            let bytes = op.share_event();
                            self.context.queue.done(Weight { bytes, pressing: 0 });
                        }
                        pending.routed = Some(op);
                        self.release_complete(row, &mut work);
                    }
                    None => work.push(Work::Routed(op)),
                },
                Op::Settled(settled) => match self.pending.get_mut(&settled.key.event.row()) {
                    Some(pending) => {
                        let row = settled.key.event.row();
                        pending.settled.push(settled);
                        self.release_complete(row, &mut work);
                    }
                    None => work.push(Work::Settled(settled)),
                },
                Op::GivenUp(given_up) => {
                    self.release_one(given_up.key.event.row(), &mut work);
                    work.push(Work::GivenUp(given_up));
                }
                Op::Unreadable { row, destination } => {
                    self.release_one(row, &mut work);
                    work.push(Work::Unreadable { row, destination });
                }
                Op::Request(request) => self.fold_request(request, &mut work),
            }
        }
        if self.pending.len() > MOST_PENDING {
            self.release(None, &mut work);
        } else if self.hold_until().is_some_and(|until| until <= now) {
            self.release(Some(now), &mut work);
        }
        work
    }

    fn fold_request(&mut self, request: Request, work: &mut Vec<Work>) {
        let last = self.pending.last_key_value().map(|(row, _)| *row);
        if let (Request::Settle { reply }, Some(last)) = (&request, last) {
            self.waiters.push((last, reply.clone()));
            self.context.queue.done(Weight { bytes: request.weight(), pressing: 1 });
            return;
        }
        match &request {
            Request::Replay { row, .. } => self.release_one(*row, work),
            Request::Repoint { moved, .. } => {
                // The journal told of every event before these copies first.
                let ends = moved.iter().map(|one| one.to.end());
                self.seen.1 = ends.fold(self.seen.1, Position::max);
            }
            Request::Barrier { all: true, .. } => self.release(None, work),
            Request::Barrier { all: false, .. } => {
                let routed = self.pending.extract_if(.., |_, pending| pending.routed.is_some());
                work.extend(routed.map(|(_, pending)| Work::New(pending)));
            }
            _ => {}
        }
        work.push(Work::Request(request));
    }

    fn release_one(&mut self, row: i64, work: &mut Vec<Work>) {
        work.extend(self.pending.remove(&row).map(Work::New));
    }

    fn release_complete(&mut self, row: i64, work: &mut Vec<Work>) {
        if self.pending.get(&row).is_some_and(PendingEvent::is_complete) {
            self.release_one(row, work);
        }
    }

    /// Gives pending events their rows: all, or those that waited long enough.
    fn release(&mut self, now: Option<Instant>, work: &mut Vec<Work>) {
        while let Some(entry) = self.pending.first_entry() {
            if now.is_some_and(|now| entry.get().since + self.context.hold > now) {
                break;
            }
            work.push(Work::New(entry.remove()));
        }
    }

    /// Every event before is committed with the present work.
    fn checkpoint(&self) -> (i64, Position) {
        match self.pending.first_key_value() {
            Some((row, pending)) => (row - 1, pending.accepted.at.start()),
            None => self.seen,
        }
    }

    fn commit(&mut self, mut work: Vec<Work>) {
        if work.is_empty() {
            return;
        }
        let begun = Instant::now();
        let (row, position) = self.checkpoint();
        let mut backoff = FIRST_BACKOFF;
        let mut last_tries = LAST_TRIES;
        let delta = loop {
            let now_ms = self.context.clock.sure_ms();
            #[cfg(test)]
            self.applier.limit(self.context.queue.full.load(std::sync::atomic::Ordering::SeqCst));
            match self.record(&mut work, position, now_ms) {
                Ok(delta) => break delta,
                Err(error) => self.failed(&error, &mut work),
            }
            if !self.context.queue.back_off(backoff) {
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
        self.context.queue.set_write_health(WriteHealth::Healthy);
        self.records.record(work.len() as f64);
        self.seconds.record(begun.elapsed().as_secs_f64());
        self.context.checkpoints.committed(work.len(), &mut self.applier);
        self.events += delta.events;
        self.finish(work, delta, row);
    }

    /// All in one transaction. Where SQLite refuses something for its content,
    /// that is set aside, and the rest goes on.
    fn record(
        &mut self,
        work: &mut Vec<Work>,
        position: Position,
        now_ms: u64,
    ) -> rusqlite::Result<Delta> {
        match self.applier.transaction(work, position, self.events, now_ms) {
            Err(error) if is_of_content(&error) => {
                self.applier.forget();
                let (delta, refused) = self.applier.apart(work, position, self.events, now_ms)?;
                self.tell(refused, work);
                Ok(delta)
            }
            recorded => {
                if self.refused_at.is_some_and(|at| at.elapsed() > TOLD) {
                    self.refused_at = None;
                    self.context.damage.clear(REFUSED);
                }
                recorded
            }
        }
    }

    fn tell(&mut self, refused: Vec<Refused>, work: &mut Vec<Work>) {
        let node = self.context.segments.node;
        // From the back, so that the places of the others stay.
        for Refused { place, error, event } in refused.into_iter().rev() {
            self.set_aside.increment(1);
            let about =
                event.map_or("a question".to_owned(), |row| EventId::new(row, node).to_string());
            tracing::error!(event = about, %error, "the index refused an operation for its content; it is set aside");
            self.refused_at = Some(Instant::now());
            let what = format!("the index refused what was to be recorded of {about}: {error}");
            self.context.damage.raise(REFUSED, &what);
            if matches!(work[place], Work::Request(_)) {
                let item = work.remove(place);
                self.context.queue.done(item.weight());
                if let Work::Request(request) = item {
                    request.refuse(Failure::from(&error).into());
                }
            }
        }
    }

    /// Whoever waits is told; the rest is kept for another try.
    fn failed(&mut self, error: &rusqlite::Error, work: &mut Vec<Work>) {
        self.errors.increment(1);
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let write_health = if full { WriteHealth::Full } else { WriteHealth::Failed };
        if self.context.queue.write_health() != write_health {
            tracing::error!(%error, "the index can't be written; trying again until it can");
        }
        self.context.queue.set_write_health(write_health);
        self.applier.forget();
        let mut kept = Vec::with_capacity(work.len());
        for item in work.drain(..) {
            let weight = item.weight();
            match item {
                Work::Request(request) => {
                    self.context.queue.done(weight);
                    request.refuse(Failure::from(error).into());
                }
                other => kept.push(other),
            }
        }
        *work = kept;
        for (_, reply) in self.waiters.drain(..) {
            // Whoever asked may be gone.
            let _ = reply.send(Err(Failure::from(error).into()));
        }
        self.context.queue.refuse_requests(&Failure::from(error).into());
    }

    /// After the commit: counts, the hand-off, then those who wait. In this
    /// order, so that who waits for a barrier finds no delivery still on its way.
    fn finish(&mut self, mut work: Vec<Work>, mut delta: Delta, row: i64) {
        let mut ready = std::mem::take(&mut delta.ready);
        self.context.counts.add(delta);
        self.context.queue.set_indexed(row);
        for item in &mut work {
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
            self.context.handoff.ready(ready);
        }
        // Room first: who is answered may hand in more at once.
        self.context.queue.done(work.iter().map(Work::weight).fold(Weight::default(), Weight::add));
        let first = self.pending.first_key_value().map(|(row, _)| *row);
        let settled =
            self.waiters.extract_if(.., |(row, _)| first.is_none_or(|first| first > *row));
        for (_, reply) in settled {
            let _ = reply.send(Ok(()));
        }
        let mut wake = false;
        for item in work {
            if let Work::Request(request) = item {
                wake |= answer(request);
            }
        }
        if wake {
            self.context.handoff.stir();
        }
    }
}

/// True where an event is to be routed again. Whoever asked may be gone.
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
