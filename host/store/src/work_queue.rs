//! What is to be routed and delivered: handed in, claimed and settled.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{
    Attempt, Delivery, DeliveryKey, Event, EventId, EventState, Ruling, StateRow,
};

use crate::StoreError;

/// The durable queue of events to be routed and deliveries to be made.
///
/// Routing records what became of each event, delivery what became of each
/// attempt; both read here what they could not take when it was handed on, and
/// the API changes what waits. What an attempt or a routing has come to is
/// written soon, not at once: a crash in between repeats work and loses none.
pub trait WorkQueue: Send + Sync + 'static {
    /// Resolves once there is room for the outcome of one more event, whose bodies
    /// plugins may have made large; none where there is some now, which costs no
    /// lock. Routing waits for it before each event: [`routed`](Self::routed)
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
    /// that of the earliest event follows. So a caller that records events in
    /// the order of their ids has them delivered in that order.
    fn routed(&self, routed: Routed);

    /// Records an attempt and what follows from it. Never blocks.
    fn settled(&self, settled: Settled);

    /// Ends a delivery as dead without an attempt. Never blocks.
    fn given_up(&self, given_up: GivenUp);

    /// Corrects times that a clock which was ahead has given out: deliveries to
    /// the destination that wait for another attempt and are due later than
    /// `longest` from now on are due now; first ones keep what a plugin put them
    /// off by. Without a destination, events to be routed. Answers how many.
    ///
    /// # Errors
    /// Where the store can't.
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
    ///
    /// # Errors
    /// Where the store can't.
    fn replay(&self, event: EventId, destination: Option<&str>) -> Result<bool, StoreError>;

    /// Gives up deliveries that wait for the destination, `most` at the most,
    /// for the cause; answers how many. One whose attempt is in flight may
    /// still be delivered. A replay begins any of them again.
    ///
    /// # Errors
    /// Where the store can't.
    fn discard(&self, destination: &str, cause: &str, most: usize) -> Result<u64, StoreError> {
        let what = format!("this store keeps what waits for {destination} ({cause}, {most})");
        Err(StoreError::Failed(what.into()))
    }

    /// Returns once everything handed in before is committed and handed on.
    ///
    /// # Errors
    /// Where it could not be committed.
    fn flush(&self) -> Result<(), StoreError>;

    /// Events of the source to be routed and due by `now_ms`, in order of (due,
    /// event), after the cursor. Costs the size of the page and of the pages
    /// before it that are due at the same time.
    ///
    /// # Errors
    /// Where they can't be read.
    fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<UnroutedPage, StoreError>;

    /// Deliveries waiting for the destination and due by `now_ms`, in order of
    /// (due, event), after the cursor. Costs the size of the page.
    ///
    /// # Errors
    /// Where they can't be read.
    fn due(
        &self,
        destination: &str,
        now_ms: u64,
        after: Option<DueCursor>,
        limit: usize,
    ) -> Result<DuePage, StoreError>;
}

/// Where the store hands on what is durable, so that nobody has to poll.
///
/// The wiring gives one to the store when it opens it. The store calls it from
/// threads of its own and, within [`WorkQueue::routed`], from its caller's: it
/// must not block, nor call the store. What the receiver has no room for, it
/// lets go and claims later.
pub trait Handoff: Send + Sync + 'static {
    /// Events just made durable, to be routed.
    fn accepted(&self, events: Vec<Arc<Event>>);
    /// Deliveries to be made. Their rows are committed, or on their way: an
    /// outcome that is handed in later finds them.
    fn ready(&self, deliveries: Vec<Delivery>);
    /// Events are to be routed again (a replay): look for them with
    /// [`WorkQueue::unrouted`].
    fn stir(&self) {}
}

/// What routing found for one event.
#[derive(Debug)]
pub struct Routed {
    /// The event that was routed.
    pub event: Arc<Event>,
    /// `Routed`, `Dropped`, `Dead`, `Parked` or `Unrouted`; `Accepted` asks for
    /// another try at `retry_ms`.
    pub state: EventState,
    /// Why, where it ended here.
    pub reason: Option<String>,
    /// What each plugin said, in order.
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
    /// The delivery that it was made for.
    pub key: DeliveryKey,
    /// The attempt itself, as it is listed.
    pub attempt: Attempt,
    /// What follows from it.
    pub next: Next,
    /// It has an order key: once it has ended, the next one of that key is handed on.
    pub ordered: bool,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It was the last one.
    Delivered,
    /// There will be another one.
    Retry {
        /// When, milliseconds since 1970.
        due_ms: u64,
    },
    /// It was the last one, and failed.
    Dead {
        /// Why there is no other, for people.
        cause: String,
    },
}

/// A delivery that ends without a further attempt.
#[derive(Debug)]
pub struct GivenUp {
    /// The delivery.
    pub key: DeliveryKey,
    /// Why, for people.
    pub cause: String,
    /// As in [`Settled`].
    pub ordered: bool,
}

/// An event waiting to be routed, as it was claimed.
#[derive(Debug)]
pub struct Unrouted {
    /// The event.
    pub event: Arc<Event>,
    /// Since when it is due, milliseconds since 1970; 0 for one that was never tried.
    pub due_ms: u64,
    /// How often routing has been tried in this round.
    pub tries: u32,
    /// It was routed before, and somebody asked for another round.
    pub replay: bool,
}

/// A page of events in order of due time.
#[derive(Debug, Default)]
pub struct UnroutedPage {
    /// Those that are due.
    pub events: Vec<Unrouted>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// A page of deliveries in order of due time.
#[derive(Debug, Default)]
pub struct DuePage {
    /// Those that are due.
    pub deliveries: Vec<Delivery>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// A position in the order of (due, event) of one source's events to be routed
/// or one destination's waiting deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueCursor {
    /// When the last one before the position was due, milliseconds since 1970.
    pub due_ms: u64,
    /// Its event's place.
    pub row: i64,
}

/// Resolves once there is room.
pub type RoomFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
