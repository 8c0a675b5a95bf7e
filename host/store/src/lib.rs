//! The face of the event store: what every engine answers.
//!
//! An event is durable once [`EventLog::append`] resolves. All that follows
//! (verdicts, deliveries, attempts) is a row that a crash can at worst take back
//! to an earlier state, which repeats work and loses none.
//!
//! The face is cut by what it is for, so that each crate takes only the parts
//! that it needs: intake the [`EventLog`], routing and delivery the
//! [`WorkQueue`], the API the [`Queries`]. [`Store`] is all of them, for the
//! wiring.
#![deny(missing_docs)]
mod audit;
mod conditions;
mod error;
mod event_log;
mod jobs;
mod maintenance;
mod note;
mod plugin_state;
mod queries;
mod room;
mod work_queue;

use std::future::Future;
use std::pin::Pin;

pub use audit::{AuditEntry, AuditLog, AuditPage, AuditQuery, Change};
pub use conditions::{Condition, Conditions};
pub use error::StoreError;
pub use event_log::{AppendError, AppendFuture, Appended, Dedupe, EventLog, NewEvent};
pub use jobs::Jobs;
pub use maintenance::{Backup, DiedFuture, Fault, Maintenance, Purged, Usage};
pub use note::Note;
pub use plugin_state::PluginState;
pub use queries::{
    Backlog, DeliveryDetail, DeliveryRow, EventDetail, EventQuery, EventRow, FeedPage, Found,
    Queries,
};
pub use room::Room;
pub use work_queue::{
    Claim, Cursor, DuePage, GivenUp, Handoff, Next, RoomFuture, Routed, Settled, Unrouted,
    UnroutedPage, WorkQueue,
};

/// What a store's call resolves to. No call blocks a thread.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A whole store: every part of the face in one object.
///
/// What an engine's `open` answers and the wiring holds; the other crates take
/// the parts that they use (`Arc<dyn Store>` becomes `Arc<dyn WorkQueue>` and
/// so on by itself).
pub trait Store:
    EventLog + WorkQueue + Queries + PluginState + Maintenance + Conditions + Jobs
{
}

impl<T> Store for T where
    T: EventLog + WorkQueue + Queries + PluginState + Maintenance + Conditions + Jobs
{
}
