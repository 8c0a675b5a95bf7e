//! (attempt, outcome) → when to try next, or dead. Pure.
use std::time::Duration;

/// When a failed delivery is tried again: `first` after acceptance, then
/// `base · factorⁿ` after the n-th failure, at most `cap`, spread by `± jitter`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Default 1 s.
    pub base: Duration,
    /// At least 1. Default 2.
    pub factor: f64,
    /// Default 1 h.
    pub cap: Duration,
    /// A share of the wait, 0 to 1. Default 0.2.
    pub jitter: f64,
    /// Attempts in all, at least 1. Default 16.
    pub attempts: u32,
    /// Before the first attempt. Default 0.
    pub first: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(3_600),
            jitter: 0.2,
            attempts: 16,
            first: Duration::ZERO,
        }
    }
}
