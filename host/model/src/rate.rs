//! A rate: so many in a time.
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// So many in a time, written `50/s`.
///
/// Rates of sources and of destinations are of this type; what holds somebody to one is a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: in the settings a second, a minute, an hour or a day.
    pub per: Duration,
}

/// The units of time that a rate is written with, and their seconds.
pub const RATE_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl Rate {
    /// How many in a second, in the long run.
    pub fn per_second(self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = RATE_UNITS.iter().find(|(_, seconds)| Duration::from_secs(*seconds) == self.per);
        match unit {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{} in {:?}", self.count, self.per),
        }
    }
}
