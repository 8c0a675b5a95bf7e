//! What is to be routed and delivered: handed in, claimed and settled.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{
    Attempt, Delivery, DeliveryKey, Event, EventId, EventState, StateRow, VerdictRecord,
};

use crate::{Answer, StoreError};

/// The durable queue of events to be routed and deliveries to be made.
///
/// Routing records what became of each event, delivery what became of each
/// attempt; both claim here what they could not take when it was handed on, and
/// the API changes what waits.
///
/// What is handed in is written soon, not at once, and a crash in between
/// repeats work and loses none. No caller has to wait for it: a claim answers
/// what is to be done *including* all that was handed in before it.
pub trait WorkQueue: Send + Sync + 'static {
    /// Resolves once there is room for the outcome of one more event, whose bodies
    /// plugins may have made large; none where there is some now, which costs no
    /// lock. Routing waits for it before each event: [`routed`](Self::routed)
    /// itself never refuses.
    fn room(&self) -> Option<RoomFuture> {
        None
    }

    /// Hands in the outcome of routing, to be recorded, and hands its deliveries
    /// on: at once, still within this call, in an event's first round where they
    /// leave as the event came; else once their rows are committed. Never blocks.
    ///
    /// Of deliveries to one destination with the same order key only one at a
    /// time is handed on or claimed: while one waits, those that are recorded
    /// later stay behind it, and once it has ended, delivered or dead, that of
    /// the earliest event follows. So a caller that hands events in in the order
    /// of their ids has them delivered in that order.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: the outcome is not recorded, and the event is
    /// routed again after the next start.
    fn routed(&self, routed: Routed) -> Result<(), StoreError>;

    /// Hands in an attempt and what follows from it, to be recorded. Never blocks.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: it is not recorded, and the attempt is made again
    /// after the next start.
    fn settled(&self, settled: Settled) -> Result<(), StoreError>;

    /// Hands in a delivery that ends as dead without an attempt. Never blocks.
    ///
    /// # Errors
    /// [`StoreError::Closed`]: it is not recorded, and the delivery is claimed
    /// again after the next start.
    fn given_up(&self, given_up: GivenUp) -> Result<(), StoreError>;

    /// Resolves once everything handed in before this call is recorded and handed on.
    ///
    /// For callers for whom the record itself counts: routing keeps an event that
    /// may have killed the host under suspicion until then. Claims and queries
    /// need no such wait.
    ///
    /// # Errors
    /// Where it could not be recorded.
    fn recorded(&self) -> Answer<'_, ()>;

    /// Events of a source to be routed and due, in order of (due, event). Costs
    /// the size of the page and of the pages before it that are due at the same
    /// time.
    ///
    /// A claim takes nothing out: an event is answered until its outcome is
    /// handed in, so a caller skips those that it holds.
    ///
    /// # Errors
    /// Where they can't be read, or what was handed in before can't be recorded.
    fn claim_events<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, UnroutedPage>;

    /// Deliveries waiting for a destination and due, in order of (due, event).
    /// Costs the size of the page. As [`claim_events`](Self::claim_events), it
    /// takes nothing out.
    ///
    /// # Errors
    /// As those of [`claim_events`](Self::claim_events).
    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage>;

    /// Corrects times that a clock which was ahead has given out: deliveries to
    /// the destination that wait for another attempt and are due later than
    /// `longest` from now on are due now; first ones keep what a plugin put them
    /// off by. Without a destination, events to be routed. Answers how many.
    ///
    /// # Errors
    /// Where the store can't.
    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64>;

    /// Starts a new round: through the plugins again where `destination` is
    /// none, else the delivery to that destination as it was recorded (dead or
    /// delivered; a waiting one becomes due now).
    /// False where there is no such event or delivery.
    ///
    /// # Errors
    /// Where the store can't.
    fn replay<'a>(&'a self, event: EventId, destination: Option<&'a str>) -> Answer<'a, bool>;

    /// Gives up deliveries that wait for the destination, `most` at the most,
    /// for the cause; answers how many. One whose attempt is in flight may
    /// still be delivered. A replay begins any of them again.
    ///
    /// # Errors
    /// Where the store can't.
    fn discard<'a>(&'a self, destination: &'a str, cause: &'a str, most: usize) -> Answer<'a, u64>;
}

/// Which of what waits a caller claims.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The source or the destination.
    pub of: &'a str,
    /// What is due by then, milliseconds since 1970.
    pub now_ms: u64,
    /// Only what comes after that place: [`UnroutedPage::next`] or
    /// [`DuePage::next`] of the page before. None: from the front.
    pub after: Option<&'a Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// A place in the order in which a store reads out what waits.
///
/// A caller gets one with a page and gives it back for the next one. What is in
/// it, only the engine knows that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// For engines: a cursor of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// For engines: the bytes that it was made of.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where the store hands on what is durable, so that nobody has to poll.
///
/// The wiring gives one to the store when it opens it. The store calls it from
/// threads of its own and, within [`WorkQueue::routed`], from its caller's: it
/// must not block, nor call the store. What the receiver has no room for, it
/// lets go and claims later.
pub trait Handoff: Send + Sync + 'static {
    /// Events just made durable, to be routed.
    fn durable(&self, events: Vec<Arc<Event>>);
    /// Deliveries to be made. Their rows are committed, or on their way: an
    /// outcome that is handed in later finds them.
    fn ready(&self, deliveries: Vec<Delivery>);
    /// Events are to be routed again (a replay): look for them with
    /// [`WorkQueue::claim_events`].
    fn wake(&self) {}
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
    pub verdicts: Vec<VerdictRecord>,
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
            verdicts: Vec::new(),
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
    /// Where the next page begins; none where this one is empty.
    pub next: Option<Cursor>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// A page of deliveries in order of due time.
#[derive(Debug, Default)]
pub struct DuePage {
    /// Those that are due.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins; none where this one is empty.
    pub next: Option<Cursor>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// Resolves once there is room.
pub type RoomFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
