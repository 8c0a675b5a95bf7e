//! The embedded engine: a journal of append-only files, which is what is synced, and an index in SQLite.
//!
//! One thread writes the journal, one the index, one copies the index's log, and
//! one looks deduplication keys up for the journal's.
//! Reads go to the index over connections of their own and fetch contents from
//! the journal.
mod apart;
mod apply;
mod aside;
mod backup;
mod chain;
mod checkpoint;
mod codec;
mod counts;
mod damage;
mod dedupe;
mod deliver;
mod discard;
mod disk;
mod error;
mod examine;
mod index;
mod journal;
mod listing;
mod lock;
mod lookup;
mod lost;
mod names;
mod open;
mod ops;
mod purge;
mod query;
mod queue;
mod reads;
mod record;
mod recovery;
mod rein;
mod replays;
mod resync;
mod room;
mod scan;
mod schema;
mod search;
mod segment;
mod settle;
mod space;
mod staged;
mod state;
mod vitals;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

pub use error::OpenError;
pub use examine::{IndexCheck, check_index, faults_in};
pub use open::{Options, open};

use self::counts::Counts;
use self::journal::Job;
use self::ops::{Asked, Op, Reply};
use self::query::Readers;
use self::queue::Trouble;
use self::segment::Segments;
use hookwright_model::clock::Clock;
use hookwright_model::metrics::STORE_ERRORS;
use hookwright_model::{EventId, ReplayJob, StateRow};
use hookwright_store::{
    AppendError, AppendFuture, Backlog, Backup, Condition, DiedFuture, DueCursor, DuePage,
    EventDetail, EventQuery, EventRow, Fault, FeedPage, Found, GivenUp, Handoff, NewEvent, Purged,
    RoomFuture, Routed, Settled, Store, StoreError, UnroutedPage, Usage,
};

/// What a purge that fails is told as.
const PURGE: &str = "retention";

/// The open store.
pub(crate) struct Embedded {
    dir: PathBuf,
    clock: Clock,
    queue: Arc<journal::Queue>,
    index: Arc<queue::Queue>,
    checkpoints: Arc<checkpoint::Checkpoints>,
    segments: Arc<Segments>,
    counts: Arc<Counts>,
    /// Locked for reading while a hand-off is on its way; none once closed.
    handoff: RwLock<Option<Arc<dyn Handoff>>>,
    readers: Readers,
    space: Arc<space::Space>,
    damage: Arc<damage::Damage>,
    room: Arc<room::Room>,
    read_spacing: Duration,
    /// When rows were last committed for a reader.
    forced: Mutex<Option<Instant>>,
    vitals: Arc<vitals::Vitals>,
    /// What may wait for the index before events are refused, in bytes.
    most_behind: usize,
    purging: Mutex<()>,
    threads: Mutex<open::Threads>,
    /// Held for as long as the store is open.
    lock: Mutex<Option<lock::Lock>>,
}

impl Embedded {
    fn ask_journal<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        if !self.queue.push(job(reply)) {
            return Err(StoreError::Closed);
        }
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// The rows go ahead, so that no outcome can overtake them; a flush waits
    /// until the deliveries have followed.
    fn hand_on(&self, routed: Routed) -> bool {
        let handoff = self.handoff.read();
        let Some(handoff) = handoff.as_deref() else { return false };
        let deliveries = routed.deliveries.clone();
        let taken = self.index.push(Op::Routed(ops::RoutedOp::handed(routed)));
        if taken {
            handoff.ready(deliveries);
        }
        taken
    }

    /// Why an event can't be taken now.
    fn refusal(&self) -> Option<AppendError> {
        // It would be in the journal, and nobody would do anything with it.
        if let Some(thread) = self.vitals.dead() {
            return Some(AppendError::Failed(format!("its thread `{thread}` panicked").into()));
        }
        if self.space.is_low() {
            return Some(AppendError::Full);
        }
        if self.index.weight() <= self.most_behind {
            return None;
        }
        Some(match self.index.trouble() {
            Trouble::None => AppendError::Busy,
            Trouble::Full => AppendError::Full,
            Trouble::Failed => AppendError::Failed("the index can't be written".into()),
        })
    }
}

impl Store for Embedded {
    fn append(&self, event: NewEvent) -> AppendFuture {
        let appended = match self.refusal() {
            Some(error) => Err(error),
            None => self.queue.append(event),
        };
        Box::pin(async move { appended?.await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn fullness(&self) -> f32 {
        let behind = self.index.weight() as f32 / self.most_behind as f32;
        behind.max(self.queue.fullness())
    }

    fn room(self: Arc<Self>) -> Option<RoomFuture> {
        let has_room = |store: &Self| {
            store.fullness() < 1.0 || store.queue.is_closed() || store.vitals.dead().is_some()
        };
        if has_room(&self) {
            return None;
        }
        Some(Box::pin(async move { self.room.until(|| has_room(&self)).await }))
    }

    fn routed(&self, routed: Routed) {
        let own = |payload: &Arc<_>| !hookwright_model::Payload::is_original(payload);
        // State goes one way, so that it is recorded in the order in which it
        // came; so does what is delivered in order.
        let keyed = |delivery: &hookwright_model::Delivery| delivery.order_key.is_some();
        let ordered = !routed.state_rows.is_empty() || routed.deliveries.iter().any(keyed);
        let changed =
            |delivery: &hookwright_model::Delivery| delivery.payload.as_ref().is_some_and(own);
        let taken = if ordered || routed.deliveries.iter().any(changed) {
            self.queue.push(Job::Payloads(routed))
        } else if routed.first && !routed.deliveries.is_empty() {
            self.hand_on(routed)
        } else {
            self.index.push(Op::Routed(ops::RoutedOp::new(routed)))
        };
        if !taken {
            tracing::debug!("an outcome of routing came after the close; it is found again");
        }
    }

    fn settled(&self, settled: Settled) {
        if !self.index.push(Op::Settled(settled)) {
            tracing::debug!("an attempt came after the close; it is made once more");
        }
    }

    fn given_up(&self, given_up: GivenUp) {
        if !self.index.push(Op::GivenUp(given_up)) {
            tracing::debug!("a delivery was given up after the close; it is looked at once more");
        }
    }

    fn rein_in(
        &self,
        destination: Option<&str>,
        now_ms: u64,
        longest: Duration,
    ) -> Result<u64, StoreError> {
        self.rein_in_rows(destination, now_ms, longest)
    }

    fn replay(&self, event: EventId, destination: Option<&str>) -> Result<bool, StoreError> {
        if event.node() != self.segments.node {
            return Ok(false);
        }
        let (row, destination) = (event.row(), destination.map(Into::into));
        let now_ms = self.clock.now_ms();
        self.index.ask(|reply| Asked::Replay {
            row,
            destination,
            now_ms,
            found: false,
            ready: None,
            reply,
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        // Hand-offs under way first: they hold the lock.
        drop(self.handoff.write());
        // Then through the journal, since payloads go that way.
        self.ask_journal(|reply| Job::Rotate { before_ms: 0, reply })?;
        self.index.ask(|reply| Asked::Barrier { all: true, reply })
    }

    fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<UnroutedPage, StoreError> {
        self.read_unrouted(source, now_ms, after, limit)
    }

    fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        self.read_due(destination, now_ms, after, limit)
    }

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, StoreError> {
        self.read_events(query)
    }

    fn search(&self, query: &EventQuery, text: &str) -> Result<Found, StoreError> {
        self.read_search(query, text)
    }

    fn feed(
        &self,
        query: &EventQuery,
        after: Option<EventId>,
    ) -> Result<Option<FeedPage>, StoreError> {
        self.read_feed(query, after)
    }

    fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.read_event(id)
    }

    fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read_backlog()
    }

    fn state(&self) -> Result<Vec<StateRow>, StoreError> {
        self.read_state()
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        self.read_usage()
    }

    fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError> {
        self.read_conditions()
    }

    fn set_condition(&self, destination: &str, condition: &Condition) -> Result<(), StoreError> {
        let (destination, condition) = (destination.into(), condition.clone());
        self.index.ask(|reply| Asked::Condition { destination, condition, reply })
    }

    fn discard(&self, destination: &str, cause: &str, most: usize) -> Result<u64, StoreError> {
        let (destination, cause) = (Box::from(destination), cause.to_owned());
        self.index.ask(|reply| Asked::Discard { destination, cause, most, ended: 0, reply })
    }

    fn put_replay(&self, job: &ReplayJob) -> Result<(), StoreError> {
        self.index.ask(|reply| Asked::KeepReplay { job: job.clone(), reply })
    }

    fn replays(&self) -> Result<Vec<ReplayJob>, StoreError> {
        self.read_replays()
    }

    fn purge(&self, before_ms: u64) -> Result<Purged, StoreError> {
        let purged = self.purge_before(before_ms);
        match &purged {
            Ok(_) => self.damage.well(PURGE),
            Err(StoreError::Closed) => {}
            Err(error) => {
                metrics::counter!(STORE_ERRORS, "part" => "purge").increment(1);
                let what = format!("old events can't be dropped: {error}; tried at each interval");
                self.damage.stands(PURGE, &what);
            }
        }
        purged
    }

    fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        self.copy_to(to)
    }

    fn healthy(&self) -> bool {
        let alive = self.vitals.dead().is_none();
        alive && !self.queue.has_failed() && self.index.trouble() != Trouble::Failed
    }

    fn faults(&self) -> Vec<Fault> {
        self.damage.list()
    }

    fn died(&self) -> DiedFuture {
        Box::pin(Arc::clone(&self.vitals).died())
    }

    fn close(&self) {
        self.shut();
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shut();
    }
}
