//! How a destination is doing, as the admin part shows it.
use hookwright_model::{Name, Outcome};

/// Whether a destination gets its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Deliveries leave as they become due.
    Running,
    /// It has too much to do: it gets less at once, or nothing for a moment.
    Slowed,
    /// It fails: deliveries are kept waiting for a while.
    BreakerOpen,
    /// One delivery at a time finds out whether it is well again.
    Probing,
    /// By a person, for a time.
    Paused,
    /// Deliveries are kept waiting.
    Disabled,
}

impl State {
    /// As the API and the console write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Slowed => "slowed",
            Self::BreakerOpen => "breaker-open",
            Self::Probing => "probing",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// A destination's health.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its name in the settings.
    pub destination: Name,
    /// What keeps it from its deliveries, where something does.
    pub state: State,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// Until when nothing is sent, milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts at once that are allowed now.
    pub limit: usize,
    /// Deliveries that are due and in memory; the store knows the backlog.
    pub window: usize,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Whether any attempt went well since the start: before, `failures` does
    /// not tell that the destination is well again.
    pub succeeded: bool,
    /// The first of them, or of those before a restart, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    /// None before the first attempt since the start.
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
