//! Outcomes after which a delivery is not tried again.
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::{Cause, Outcome};

/// One of them: `404`, `4xx`, `400-407` or a cause as `tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An answer with a status in this range.
    Status(RangeInclusive<u16>),
    /// A failure of this kind.
    Cause(Cause),
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Never(pub Vec<End>);

/// Why a text names no such outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnd {
    /// It is neither a status, nor a range of them, nor a cause.
    #[error("is no status, no range of them and no cause of failures")]
    Unknown,
    /// It names a success, after which nothing is tried again anyway.
    #[error("has a status of 200 to 299, which is a success")]
    Success,
}

impl Never {
    /// Whether a delivery is dead after this outcome.
    pub fn holds(&self, outcome: &Outcome) -> bool {
        self.0.iter().any(|end| match (end, outcome) {
            (End::Status(range), Outcome::Answered { status, .. }) => range.contains(status),
            (End::Cause(named), Outcome::Failed { cause, .. }) => named == cause,
            _ => false,
        })
    }
}

impl FromStr for End {
    type Err = BadEnd;

    fn from_str(text: &str) -> Result<Self, BadEnd> {
        if let Some(cause) = Cause::ALL.into_iter().find(|cause| cause.as_str() == text) {
            return Ok(Self::Cause(cause));
        }
        let range = match text.strip_suffix("xx") {
            Some(class) => {
                let class: u16 = class.parse().map_err(|_| BadEnd::Unknown)?;
                let first = class.checked_mul(100).ok_or(BadEnd::Unknown)?;
                first..=first.saturating_add(99)
            }
            None => {
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                let read = |text: &str| text.parse::<u16>().map_err(|_| BadEnd::Unknown);
                read(from)?..=read(to)?
            }
        };
        if range.is_empty() || *range.start() < 100 || *range.end() > 999 {
            return Err(BadEnd::Unknown);
        }
        if *range.start() < 300 && *range.end() >= 200 {
            return Err(BadEnd::Success);
        }
        Ok(Self::Status(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_named_by_status_class_range_or_cause() {
        let never =
            |texts: &[&str]| Never(texts.iter().map(|text| text.parse().unwrap()).collect());
        let answered = |status| Outcome::Answered {
            status,
            retry_after_s: None,
            excerpt: bytes::Bytes::new(),
        };
        let failed = |cause| Outcome::Failed { cause, message: String::new() };
        let some = never(&["404", "410-428", "3xx", "tls"]);
        for status in [404, 410, 428, 300, 399] {
            assert!(some.holds(&answered(status)), "{status}");
        }
        for status in [403, 405, 409, 429, 400, 500] {
            assert!(!some.holds(&answered(status)), "{status}");
        }
        assert!(some.holds(&failed(Cause::Tls)) && !some.holds(&failed(Cause::Dns)));
        assert!(!Never::default().holds(&answered(500)));
    }

    #[test]
    fn what_names_none_says_why() {
        for text in ["", "40", "1000", "407-400", "xx", "9xx9", "-404", "4-5", "Tls", "99999xx"] {
            assert_eq!(text.parse::<End>(), Err(BadEnd::Unknown), "{text}");
        }
        for text in ["2xx", "200", "100-999", "299-301"] {
            assert_eq!(text.parse::<End>(), Err(BadEnd::Success), "{text}");
        }
    }
}
