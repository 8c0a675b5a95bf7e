//! What people and their programs ask about events: lists, search, feed, counts.
use std::sync::Arc;

use hookwright_model::{
    Attempt, DeliveryState, Event, EventId, EventState, Payload, VerdictRecord,
};

use crate::Answer;

/// Reads for the API, the console, the alerts and the metrics.
///
/// Each sees all that was handed in before it; while outcomes can't be written,
/// it sees what was written before. Nothing here claims work.
pub trait Queries: Send + Sync + 'static {
    /// The events that the query's filters leave, in its order.
    ///
    /// # Errors
    /// Where they can't be read.
    fn events<'a>(&'a self, query: &'a EventQuery) -> Answer<'a, Vec<EventRow>>;

    /// As [`events`](Self::events), of those whose body as it came holds the
    /// text, byte for byte. Reads a bounded number of events and bytes, for a
    /// bounded time.
    ///
    /// # Errors
    /// Where they can't be read.
    fn search<'a>(&'a self, query: &'a EventQuery, text: &'a str) -> Answer<'a, Found>;

    /// The events that the query's filters leave, oldest first, after a
    /// position; without one only the present position. The query's own cursors
    /// and its order play no part.
    /// None where the position is of another store.
    ///
    /// # Errors
    /// Where they can't be read.
    fn feed<'a>(
        &'a self,
        query: &'a EventQuery,
        after: Option<EventId>,
    ) -> Answer<'a, Option<FeedPage>>;

    /// Everything about one event; none where there is no such event.
    ///
    /// # Errors
    /// Where it can't be read.
    fn event(&self, id: EventId) -> Answer<'_, Option<EventDetail>>;

    /// The backlog of every destination that has or had deliveries.
    ///
    /// # Errors
    /// Where it can't be read.
    fn backlog(&self) -> Answer<'_, Vec<Backlog>>;
}

/// Which events to list. Newest first, unless it says otherwise.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Of this source.
    pub source: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// With a delivery to this destination.
    pub destination: Option<String>,
    /// In this state.
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
    /// The other order.
    pub oldest_first: bool,
    /// At most this many; the store caps it at 1,000.
    pub limit: usize,
}

/// What a search in the bodies found.
#[derive(Debug, Default)]
pub struct Found {
    /// The events whose bodies hold the text.
    pub rows: Vec<EventRow>,
    /// How many bodies were searched.
    pub looked_at: u64,
    /// The last event that was searched, where there may be more: `before` of
    /// the search that continues.
    pub stopped_at: Option<EventId>,
}

/// Events in the order in which they were accepted.
#[derive(Debug)]
pub struct FeedPage {
    /// Those that the filters leave.
    pub rows: Vec<EventRow>,
    /// Everything up to here has been looked at, and no event will ever come
    /// to lie before it: `after` of the page that continues.
    pub position: EventId,
}

/// One event in a list.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// The source that it came from.
    pub source: String,
    /// Its type; empty where unknown.
    pub kind: String,
    /// How far its routing has come.
    pub state: EventState,
    /// When it was accepted, milliseconds since 1970.
    pub received_ms: u64,
    /// The size of its body.
    pub body_bytes: u64,
    /// How often it was sent through routing again.
    pub replays: u32,
    /// Why, where routing ended it.
    pub reason: Option<String>,
    /// To each destination that it goes or went to.
    pub deliveries: Vec<DeliveryRow>,
}

/// One delivery in a list.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct DeliveryRow {
    /// Where it goes.
    pub destination: String,
    /// What has become of it.
    pub state: DeliveryState,
    /// When it is or was due, milliseconds since 1970.
    pub due_ms: u64,
    /// Attempts ever made.
    pub attempts: u32,
    /// Why it is dead.
    pub cause: Option<String>,
    /// It waits for an earlier one of the same order key to end.
    pub behind: bool,
}

/// Everything about one event.
#[derive(Debug)]
pub struct EventDetail {
    /// As it is listed.
    pub row: EventRow,
    /// As it came.
    pub event: Arc<Event>,
    /// What each plugin said in the latest round, in order.
    pub verdicts: Vec<VerdictRecord>,
    /// To each destination that it went to.
    pub deliveries: Vec<DeliveryDetail>,
}

/// Everything about one delivery.
#[derive(Debug)]
pub struct DeliveryDetail {
    /// As it is listed.
    pub row: DeliveryRow,
    /// What leaves; none where it leaves as the event came.
    pub payload: Option<Payload>,
    /// The attempts that are kept, the first one first.
    pub attempts: Vec<Attempt>,
}

/// What of one destination's deliveries has not been delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The destination's name.
    pub destination: String,
    /// Deliveries that wait for an attempt.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When the oldest waiting event was accepted, milliseconds since 1970.
    pub oldest_ms: Option<u64>,
}
