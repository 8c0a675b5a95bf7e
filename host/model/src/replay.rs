//! A bulk replay: many events handled again, as a job that outlives the process.
use serde::{Deserialize, Serialize};

use super::EventId;

/// How far a bulk replay has come, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayJob {
    /// From 1, in the order in which they were asked for.
    pub id: u64,
    /// When it was asked for, milliseconds since 1970.
    pub created_ms: u64,
    /// What was asked for; only who asks reads it.
    pub wanted: String,
    /// Whether it runs.
    pub state: ReplayState,
    /// The last event that was looked at: it goes on after that.
    pub after: Option<EventId>,
    /// Events looked at.
    pub looked: u64,
    /// Events or deliveries that begin anew.
    pub replayed: u64,
}

/// Whether a bulk replay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayState {
    /// It runs, or goes on at the next start.
    Running,
    /// By a person; may be resumed.
    Stopped,
    /// It has looked at all that was asked for.
    Done,
}

impl ReplayState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Done];
}
