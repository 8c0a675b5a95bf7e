//! What the store's reads are asked, and what they answer.
use std::sync::Arc;

use hookwright_model::{
    Attempt, Delivery, DeliveryState, Event, EventId, EventState, Payload, Ruling,
};

/// An event waiting to be routed, read back from its row.
#[derive(Debug)]
pub struct Unrouted {
    pub event: Arc<Event>,
    pub due_ms: u64,
    pub tries: u32,
    pub replay: bool,
}

/// A page of events in order of due time.
#[derive(Debug, Default)]
pub struct UnroutedPage {
    pub events: Vec<Unrouted>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// A page of deliveries in order of due time.
#[derive(Debug, Default)]
pub struct DuePage {
    pub deliveries: Vec<Delivery>,
    /// When the first one after this page is due; none where there is no more.
    pub next_due_ms: Option<u64>,
}

/// A position in the order of (due, event) of one source's events to be routed
/// or one destination's waiting deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueCursor {
    pub due_ms: u64,
    pub row: i64,
}

/// Which events to list. Newest first, unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    pub source: Option<String>,
    pub kind: Option<String>,
    pub destination: Option<String>,
    pub state: Option<EventState>,
    /// With a delivery in this state (to `destination`, where that is named too).
    pub delivery: Option<DeliveryState>,
    /// Milliseconds since 1970, inclusive.
    pub since_ms: Option<u64>,
    /// Milliseconds since 1970, exclusive.
    pub until_ms: Option<u64>,
    /// Only events older than this one: the cursor.
    pub before: Option<EventId>,
    /// Only events newer than this one: the cursor from the other end.
    pub after: Option<EventId>,
    pub oldest_first: bool,
    /// At most this many; the store caps it at 1,000.
    pub limit: usize,
}

/// What a search in the bodies found.
#[derive(Debug, Default)]
pub struct Found {
    pub rows: Vec<EventRow>,
    /// Events whose bodies were looked into.
    pub looked_at: u64,
    /// The last event that was looked at, where there may be more: `before` of
    /// the search that goes on.
    pub stopped_at: Option<EventId>,
}

/// Events in the order in which they were accepted.
#[derive(Debug)]
pub struct FeedPage {
    pub rows: Vec<EventRow>,
    /// Everything up to here has been looked at, and no event will ever come
    /// to lie before it: `after` of the page that goes on.
    pub position: EventId,
}

#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct EventRow {
    pub id: EventId,
    pub source: String,
    pub kind: String,
    pub state: EventState,
    pub received_ms: u64,
    pub body_bytes: u64,
    pub replays: u32,
    /// Why, where routing ended it.
    pub reason: Option<String>,
    pub deliveries: Vec<DeliveryRow>,
}

#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct DeliveryRow {
    pub destination: String,
    pub state: DeliveryState,
    /// When it is or was due, milliseconds since 1970.
    pub due_ms: u64,
    pub attempts: u32,
    /// Why it is dead.
    pub cause: Option<String>,
    /// It waits for an earlier one of the same order key to end.
    pub behind: bool,
}

/// Everything about one event.
#[derive(Debug)]
pub struct EventDetail {
    pub row: EventRow,
    pub event: Arc<Event>,
    pub rulings: Vec<Ruling>,
    pub deliveries: Vec<DeliveryDetail>,
}

#[derive(Debug)]
pub struct DeliveryDetail {
    pub row: DeliveryRow,
    pub payload: Option<Payload>,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    pub destination: String,
    pub waiting: u64,
    pub dead: u64,
    /// When the oldest waiting event was accepted, milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

/// What is remembered of a destination beside its deliveries. The default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why it is disabled: a 410, a long failure, or a person.
    pub disabled: Option<String>,
    /// Paused by a person until then, milliseconds since 1970.
    pub paused_until_ms: Option<u64>,
    /// The attempt with which it began to fail, and has failed ever since,
    /// milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on the disk: journal and index.
    pub bytes: u64,
    pub events: u64,
    /// Events that are still to be routed. Whoever reads the backlog after this
    /// finds every delivery of all others there.
    pub accepted: u64,
    /// When the oldest event was accepted, milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    pub events: u64,
    pub bytes: u64,
    /// Unfinished events that were carried over into a newer segment.
    pub kept: u64,
}

/// Something of the store's files that is damaged or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file or part that it is about; the same as long as it stands.
    pub subject: String,
    /// One line for a person.
    pub what: String,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Backup {
    pub bytes: u64,
    pub events: u64,
}
