//! The index thread: gathers what waits, folds it, and commits it in one transaction.
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::commit::{Committer, Links};
use super::ops::Op;
use super::pending::PendingEvents;
use super::queue::{Queue, Weight};
use super::work::Work;
use crate::journal::locator::Position;
use crate::vitals::Vitals;

/// What the thread needs from the rest.
pub(crate) struct Context {
    pub(crate) links: Links,
    pub(crate) vitals: Arc<Vitals>,
    /// How long an event's rows wait at most.
    pub(crate) hold: Duration,
    /// Up to where the journal is indexed.
    pub(crate) position: Position,
    /// Events in the index.
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
    let Context { links, vitals, hold, position, events } = context;
    let queue = Arc::clone(&links.queue);
    let mut committer = match Committer::new(conn, links, events) {
        Ok(committer) => committer,
        Err(error) => {
            let _ = began.send(Err(error));
            return;
        }
    };
    let _ = began.send(Ok(()));
    let _guard = Guard(Arc::clone(&queue));
    let _alive = vitals.alive("store-index");
    let mut pending = PendingEvents::new(hold, (queue.indexed_row(), position));
    let mut ops = Vec::new();
    while queue.take(&mut ops, pending.due()) {
        let work = fold(&mut ops, &mut pending, &queue);
        committer.commit(work, &mut pending);
    }
    // Closed: what is still pending gets its rows.
    let mut work = Vec::new();
    pending.release_all(&mut work);
    committer.commit(work, &mut pending);
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

/// Turns operations into units of work: what belongs to an event without rows is kept with it.
fn fold(ops: &mut Vec<Op>, pending: &mut PendingEvents, queue: &Queue) -> Vec<Work> {
    let mut work = Vec::with_capacity(ops.len());
    let now = Instant::now();
    for op in ops.drain(..) {
        match op {
            Op::Accepted(accepted) => pending.add(accepted, now),
            Op::Routed(op) => {
                let bytes = pending.routed(op, &mut work);
                if bytes > 0 {
                    queue.done(Weight { bytes, pressing: 0 });
                }
            }
            Op::Settled(settled) => pending.settled(settled, &mut work),
            Op::GivenUp(given_up) => {
                pending.release_one(given_up.key.event.row(), &mut work);
                work.push(Work::GivenUp(given_up));
            }
            Op::Unreadable { row, destination } => {
                pending.release_one(row, &mut work);
                work.push(Work::Unreadable { row, destination });
            }
            Op::Request(request) => {
                if pending.prepare(&request, &mut work) {
                    work.push(Work::Request(request));
                } else {
                    queue.done(Weight { bytes: request.weight(), pressing: 1 });
                }
            }
        }
    }
    pending.release_due(now, &mut work);
    work
}
