//! How a destination is doing, as the admin part shows it.
use serde::Serialize;

use crate::model::{Name, Outcome};

/// Whether a destination gets its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Running,
    /// Deliveries are kept waiting.
    Disabled,
}

/// A destination's health.
#[derive(Debug, Clone)]
pub struct Status {
    pub destination: Name,
    pub state: State,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// Attempts under way.
    pub in_flight: usize,
    /// Deliveries that are due and in memory; the store knows the backlog.
    pub window: usize,
    /// Failed attempts since the last success.
    pub failures: u32,
    pub last: Option<Last>,
}

/// The attempt that ended last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its start, milliseconds since 1970.
    pub at_ms: u64,
    /// Its excerpt is left out.
    pub outcome: Outcome,
}
