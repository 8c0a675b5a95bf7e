//! Event ids: time-ordered, unique over stores, and the store's row key at once.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const PREFIX: &str = "evt_";
/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// An event's id, a ULID: 48 bits of milliseconds since 1970 and 16 bits of
/// sequence (together the row key, strictly rising within one store), then 64
/// bits that name the store, so that two stores never give the same id.
///
/// It tells the order of acceptance, not the time: once the clock has been ahead
/// and is set back, ids go on from the highest. The time is in
/// [`Event::received_ms`](super::Event).
///
/// Written `evt_` and 26 characters; it never holds a `.`, as Standard Webhooks asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(
    value_type = String,
    pattern = "^evt_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$",
    example = "evt_01KB0W3V8Y00058YBKV3B0W3V8"
)]
pub struct EventId(u128);

/// A text that is not an event's id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event id: expected `evt_` and 26 characters of 0-9 and A-Z without I, L, O, U")]
pub struct IdError;

impl EventId {
    /// `row` is the store's key for the event, `node` the store's own number.
    pub fn new(row: i64, node: u64) -> Self {
        Self((u128::from(row.cast_unsigned()) << 64) | u128::from(node))
    }

    /// The store's key: milliseconds and sequence.
    pub fn row(self) -> i64 {
        ((self.0 >> 64) as u64).cast_signed()
    }

    /// The number of the store that accepted the event.
    pub fn node(self) -> u64 {
        self.0 as u64
    }

    /// The milliseconds in it: those at which the event was accepted, or later
    /// where the clock has been ahead before.
    pub fn millis(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The first row key that an event accepted at `millis` can have; a later
    /// one where the clock has been ahead.
    pub fn first_row_at(millis: u64) -> i64 {
        (millis.min((1 << 47) - 1) << 16).cast_signed()
    }

    /// The row key that follows `last` for an event accepted at `millis`:
    /// rising even when the clock steps back or one millisecond is crowded.
    pub fn next_row(last: i64, millis: u64) -> i64 {
        Self::first_row_at(millis).max(last.saturating_add(1))
    }

    fn encode(self) -> [u8; 30] {
        let mut out = *b"evt_00000000000000000000000000";
        for (place, byte) in out[4..].iter_mut().enumerate() {
            let shift = 125 - 5 * place;
            *byte = ALPHABET[((self.0 >> shift) & 31) as usize];
        }
        out
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.encode();
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix(PREFIX).ok_or(IdError)?.as_bytes();
        // 26 digits hold 130 bits: a first digit above 7 would not fit.
        if digits.len() != 26 || digits[0] > b'7' {
            return Err(IdError);
        }
        let mut value = 0u128;
        for digit in digits {
            let upper = digit.to_ascii_uppercase();
            let five = ALPHABET.iter().position(|letter| *letter == upper).ok_or(IdError)?;
            value = (value << 5) | five as u128;
        }
        Ok(Self(value))
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(row in 0..i64::MAX, node: u64) {
            let id = EventId::new(row, node);
            prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
            prop_assert_eq!((id.row(), id.node()), (row, node));
        }

        #[test]
        fn text_sorts_as_the_rows_do(a in 0..i64::MAX, b in 0..i64::MAX) {
            let (left, right) = (EventId::new(a, 7).to_string(), EventId::new(b, 7).to_string());
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        }

        #[test]
        fn any_text_is_refused_or_an_id(text in "\\PC{0,40}") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), format!("evt_{}", text[4..].to_uppercase()));
            }
        }
    }

    #[test]
    fn rows_rise_when_the_clock_steps_back() {
        let first = EventId::next_row(0, 1_000);
        let second = EventId::next_row(first, 900);
        assert!(second > first);
        assert_eq!(EventId::new(first, 0).millis(), 1_000);
    }
}
