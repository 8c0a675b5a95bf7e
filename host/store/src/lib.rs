//! The store: sole owner of the disk. This face, and behind it the embedded engine.
//!
//! An event is durable once `append` resolves. Everything later (rulings,
//! deliveries, attempts) is a row that a crash can at worst take back to an
//! earlier state, which repeats work and loses none.
mod audit;
mod note;
mod rows;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use hookwright_model::{
    Attempt, Delivery, DeliveryKey, Event, EventId, EventState, Name, ReplayJob, Ruling, StateRow,
};

pub use audit::{AuditEntry, AuditLog, AuditPage, AuditQuery, Change};
pub use note::Note;
pub use rows::{
    Backlog, Backup, Condition, DeliveryDetail, DeliveryRow, DueCursor, DuePage, EventDetail,
    EventQuery, EventRow, Fault, FeedPage, Found, Purged, Unrouted, UnroutedPage, Usage,
};

/// What ingress hands in.
#[derive(Debug)]
pub struct NewEvent {
    pub source: Name,
    pub kind: Box<str>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub dedupe: Option<Dedupe>,
}

/// Refuse a second event with the same key from the same source within the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// The first 16 bytes of the SHA-256 of the key.
    pub key: [u8; 16],
    pub window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    New(EventId),
    /// The id of the first event with this key.
    Duplicate(EventId),
}

/// Why an event could not be written down. The caller may try again later in
/// every case but `TooLarge`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    #[error("the store has as much waiting to be written as it may hold in memory")]
    Busy,
    #[error("the disk is full")]
    Full,
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    #[error("the store is closed")]
    Closed,
    #[error("the event is larger than the journal can hold")]
    TooLarge,
}

pub type RoomFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
pub type DiedFuture = Pin<Box<dyn Future<Output = String> + Send>>;
pub type AppendFuture = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

/// What routing found for one event.
#[derive(Debug)]
pub struct Routed {
    pub event: Arc<Event>,
    /// `Routed`, `Dropped`, `Dead`, `Parked` or `Unrouted`; `Accepted` asks for
    /// another try at `retry_ms`.
    pub state: EventState,
    /// Why, where it ended here.
    pub reason: Option<String>,
    pub rulings: Vec<Ruling>,
    /// Empty unless the state is `Routed`. A row that exists already (a replay)
    /// starts a new round.
    pub deliveries: Vec<Delivery>,
    /// The event's first round: none of its deliveries has a row yet, so they
    /// are handed on at once and most rows are written once, when all is over.
    pub first: bool,
    /// What its plugins keep from now on, in one commit with the outcome. Those
    /// of all outcomes are recorded in the order in which they came.
    pub state_rows: Vec<StateRow>,
    /// When an event that stays `Accepted` is due again, milliseconds since 1970.
    pub retry_ms: u64,
    /// How often routing has been tried for the event in this round.
    pub tries: u32,
}

impl Routed {
    /// The event waits for a replay, for that reason.
    pub fn parked(event: Arc<Event>, why: String) -> Self {
        Self {
            event,
            state: EventState::Parked,
            reason: Some(why),
            rulings: Vec::new(),
            deliveries: Vec::new(),
            first: false,
            state_rows: Vec::new(),
            retry_ms: 0,
            tries: 0,
        }
    }
}

/// What one attempt means for its delivery.
#[derive(Debug)]
pub struct Settled {
    pub key: DeliveryKey,
    pub attempt: Attempt,
    pub next: Next,
    /// It has an order key: once it has ended, the next one of that key is handed on.
    pub ordered: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Try again then, milliseconds since 1970.
    Retry {
        due_ms: u64,
    },
    /// Give up, for this cause.
    Dead {
        cause: String,
    },
}

/// A delivery that ends without a further attempt.
#[derive(Debug)]
pub struct GivenUp {
    pub key: DeliveryKey,
    pub cause: String,
    /// As in [`Settled`].
    pub ordered: bool,
}

/// Called by the store's own threads and, within [`Store::routed`], by its
/// caller's, so it must not block, nor call the store. The store hands on what
/// is durable; whoever can't take it reads it from the rows later.
pub trait Handoff: Send + Sync + 'static {
    /// Events just made durable, to be routed.
    fn accepted(&self, events: Vec<Arc<Event>>);
    /// Deliveries to be made. Their rows are committed, or on their way: an
    /// outcome that is handed in later finds them.
    fn ready(&self, deliveries: Vec<Delivery>);
    /// Events are to be routed once more (a replay): look for them with
    /// [`Store::unrouted`].
    fn stir(&self) {}
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the store failed: {0}")]
    Failed(Arc<str>),
    #[error("the store is closed")]
    Closed,
    #[error("the disk is full")]
    Full,
    /// What was asked for is in a record of the journal that is damaged or gone:
    /// it will not come back by itself, so asking again is of no use.
    #[error("the record can't be read any more: {0}")]
    Damaged(Arc<str>),
}

impl From<AppendError> for StoreError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full => Self::Full,
            AppendError::Closed => Self::Closed,
            AppendError::Failed(why) => Self::Failed(why),
            AppendError::Busy | AppendError::TooLarge => Self::Failed(error.to_string().into()),
        }
    }
}

/// The store. Reads block for the time of a few row look-ups; callers that
/// care wrap them in `spawn_blocking`.
pub trait Store: Send + Sync + 'static {
    /// Resolves once the event is on the disk. Never blocks.
    fn append(&self, event: NewEvent) -> AppendFuture;

    /// How much of what may wait to be written does: at 1 and more `append`
    /// answers `Busy`. Costs no lock.
    fn fullness(&self) -> f32 {
        0.0
    }

    /// Resolves once there is room for the outcome of one more event, whose bodies
    /// plugins may have made large; none where there is some now, which costs no
    /// lock. Whoever routes waits for it before each event: [`Self::routed`]
    /// itself never refuses.
    fn room(self: Arc<Self>) -> Option<RoomFuture> {
        None
    }

    /// Records the outcome of routing and hands the deliveries on: at once,
    /// still within this call, in an event's first round where they leave as
    /// the event came; else once the rows are committed. Never blocks.
    ///
    /// Of deliveries to one destination with the same order key only one at a
    /// time is handed on or read as due: while one waits, those that are
    /// recorded later stay behind it, and once it has ended, delivered or dead,
    /// that of the earliest event follows. So whoever calls this in the order
    /// of acceptance has them delivered in that order.
    fn routed(&self, routed: Routed);

    /// Records an attempt and what follows from it. Never blocks.
    fn settled(&self, settled: Settled);

    /// Ends a delivery as dead without an attempt. Never blocks.
    fn given_up(&self, given_up: GivenUp);

    /// Corrects times that a clock which was ahead has given out: deliveries to
    /// the destination that wait for another attempt and are due later than
    /// `longest` from now on are due now; first ones keep what a plugin put them
    /// off by. Without a destination, events to be routed. Answers how many.
    fn rein_in(
        &self,
        destination: Option<&str>,
        now_ms: u64,
        longest: Duration,
    ) -> Result<u64, StoreError>;

    /// Starts a new round: through the plugins again where `destination` is
    /// none, else the delivery to that destination as it was recorded (dead or
    /// delivered; a waiting one becomes due now).
    /// False where there is no such event or delivery.
    fn replay(&self, event: EventId, destination: Option<&str>) -> Result<bool, StoreError>;

    /// Returns once everything handed in before is committed and handed on.
    fn flush(&self) -> Result<(), StoreError>;

    /// Events of the source to be routed and due by `now_ms`, in order of (due,
    /// event), after the cursor. Costs the size of the page and of the pages
    /// before it that are due at the same time.
    fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<UnroutedPage, StoreError>;

    /// Deliveries waiting for the destination and due by `now_ms`, in order of
    /// (due, event), after the cursor. Costs the size of the page.
    fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<DuePage, StoreError>;

    fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, StoreError>;

    /// As `events`, of those whose body as it came holds the text, byte for
    /// byte. Looks at a bounded number of events and bytes, for a bounded time.
    fn search(&self, query: &EventQuery, text: &str) -> Result<Found, StoreError>;

    /// The events that the query's filters leave, oldest first, after a
    /// position; from none only the present position. Its own cursors and its
    /// order play no part.
    /// None where the position is of another store.
    fn feed(
        &self,
        query: &EventQuery,
        after: Option<EventId>,
    ) -> Result<Option<FeedPage>, StoreError>;

    fn event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError>;

    /// Backlog of every destination that has or had deliveries.
    fn backlog(&self) -> Result<Vec<Backlog>, StoreError>;

    fn usage(&self) -> Result<Usage, StoreError>;

    /// Destinations of which something is remembered.
    fn conditions(&self) -> Result<Vec<(String, Condition)>, StoreError>;

    fn set_condition(&self, destination: &str, condition: &Condition) -> Result<(), StoreError>;

    /// Gives up deliveries that wait for the destination, so many at the most,
    /// for the cause; how many there were. One whose attempt is under way may
    /// still be delivered, and is then. A replay begins any of them anew.
    ///
    /// # Errors
    /// Where the store can't.
    fn discard(&self, destination: &str, cause: &str, most: usize) -> Result<u64, StoreError> {
        let what = format!("this store keeps what waits for {destination} ({cause}, {most})");
        Err(StoreError::Failed(what.into()))
    }

    /// Keeps how far a bulk replay has come, in place of what was kept under its id.
    fn put_replay(&self, job: &ReplayJob) -> Result<(), StoreError>;

    /// Bulk replays, the latest first. Done ones are kept to a thousand.
    fn replays(&self) -> Result<Vec<ReplayJob>, StoreError>;

    /// Drops finished events accepted before `before_ms`. Costs the size of
    /// what is dropped. Unfinished ones are kept.
    fn purge(&self, before_ms: u64) -> Result<Purged, StoreError>;

    /// What plugins keep, all of it but what is over by now.
    fn state(&self) -> Result<Vec<StateRow>, StoreError>;

    /// Copies all into a new folder while work goes on; the copy opens as a
    /// store. No purge runs meanwhile.
    ///
    /// # Errors
    /// Where the folder exists or can't be written; nothing is left of it then.
    fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        let what = format!("this store can't be copied to {}", to.display());
        Err(StoreError::Failed(what.into()))
    }

    /// False once a write failed in a way that does not pass by itself.
    fn healthy(&self) -> bool;

    /// What of its files is damaged or lost, until a person has looked at it.
    /// Reads a small folder.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// Resolves with the reason once the store can't go on without a restart,
    /// and never where it is closed in order.
    fn died(&self) -> DiedFuture {
        Box::pin(std::future::pending())
    }

    /// Commits all that was handed in, then stops. Later calls answer `Closed`.
    fn close(&self);
}
