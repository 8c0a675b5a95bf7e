//! How many events or requests may come, as the settings say it and the token bucket takes it.
use hookwright_model::Rate as Written;
use hookwright_model::token_bucket::Pace;

/// How many events or requests may come: the settings of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// In the long run, a second.
    pub(crate) per_s: f64,
    /// At once, after a pause. At least 1.
    pub(crate) burst: u32,
}

impl From<Written> for Rate {
    /// All that a time allows may come at once.
    fn from(rate: Written) -> Self {
        Self { per_s: rate.per_second(), burst: rate.count.get() }
    }
}

impl Rate {
    /// As a token bucket counts it.
    pub(crate) fn pace(self) -> Pace {
        Pace::per_second(self.per_s, self.burst)
    }
}
