//! The rate of events or requests, converted from the settings to a token bucket.
use hookwright_model::Rate as Written;
use hookwright_model::token_bucket::Pace;

/// The settings of a token bucket for events or requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// The long-term rate, per second.
    pub(crate) per_s: f64,
    /// The burst after a pause. At least 1.
    pub(crate) burst: u32,
}

impl From<Written> for Rate {
    /// A rate whose burst is the whole count of its period.
    fn from(rate: Written) -> Self {
        Self { per_s: rate.per_second(), burst: rate.count.get() }
    }
}

impl Rate {
    /// The token bucket's form of it.
    pub(crate) fn pace(self) -> Pace {
        Pace::per_second(self.per_s, self.burst)
    }
}
