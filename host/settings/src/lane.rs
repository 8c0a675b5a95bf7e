//! How a destination's lane treats its deliveries: batches, and the breaker.
use std::time::Duration;

/// How deliveries of one source are gathered into one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The most deliveries in one request, at least 1.
    pub events: usize,
    /// How long the first of them waits for others.
    pub wait: Duration,
    /// The most bytes of a request's body; a delivery that is larger by itself goes alone.
    pub bytes: usize,
    /// How the request's body holds them.
    pub format: Format,
}

/// How the body of a batch holds its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON array.
    Array,
    /// A JSON object in each line.
    Lines,
}

/// The circuit breaker of a destination: when it is left alone for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    /// The share of failed attempts that opens it, 0 to 1. Default 0.8.
    pub failures: f64,
    /// The number of attempts within `window` that it takes at least, 1 or more. Default 20.
    pub attempts: u32,
    /// The time in which attempts are counted. Default 60 s.
    pub window: Duration,
    /// From its opening to the first probe; doubled by each probe that fails. Default 10 s.
    pub wait: Duration,
    /// The longest wait. Default 5 min.
    pub cap: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 0.8,
            attempts: 20,
            window: Duration::from_secs(60),
            wait: Duration::from_secs(10),
            cap: Duration::from_secs(300),
        }
    }
}
