//! What personal data looks like.
use hookwright_plugin::prelude::*;
use regex::{Regex, RegexBuilder};

/// Looks that are known here.
#[config]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Known {
    /// Addresses of e-mail, ASCII.
    Email,
    /// Numbers of payment cards, 13 to 19 digits with spaces or hyphens or
    /// without, whose last digit is right (Luhn).
    Card,
    /// Telephone numbers with a country's code: `+` and 8 to 15 digits.
    Phone,
    /// IPv4 addresses.
    Ipv4,
}

type Check = fn(&str) -> bool;

/// A look, compiled.
pub(crate) struct Pattern {
    regex: Regex,
    /// Whether a search may find anything: much cheaper than the search.
    may: Check,
    holds: Check,
}

impl Pattern {
    pub(crate) fn new(known: Option<Known>, regex: Option<&str>) -> Result<Self, ConfigError> {
        let always: Check = |_| true;
        let (text, may, holds) = match (known, regex) {
            (None, Some(text)) => (text, always, always),
            (Some(Known::Email), None) => (EMAIL, (|text| text.contains('@')) as Check, always),
            (Some(Known::Card), None) => {
                (CARD, (|text| has(text, 13, u8::is_ascii_digit)) as Check, is_card as Check)
            }
            (Some(Known::Phone), None) => {
                (PHONE, (|text| text.contains('+')) as Check, is_phone as Check)
            }
            (Some(Known::Ipv4), None) => {
                (IPV4, (|text| has(text, 3, |byte| *byte == b'.')) as Check, always)
            }
            _ => return Err(ConfigError::at("", "name either `known` or `regex`")),
        };
        let place = if known.is_some() { "/known" } else { "/regex" };
        let regex = RegexBuilder::new(text).size_limit(1 << 20).build();
        let regex = regex.map_err(|error| ConfigError::at(place, error))?;
        if regex.is_match("") {
            return Err(ConfigError::at(place, "it matches the empty text, so everywhere"));
        }
        // Once with a hit, so that what a search allocates is in the snapshot.
        let _warm = regex.find("+49 89 1234567, a@b.cd");
        Ok(Self { regex, may, holds })
    }

    /// The text with each match replaced; none where there is no match.
    pub(crate) fn replace(
        &self,
        text: &str,
        mark: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        if !(self.may)(text) {
            return None;
        }
        let mut matches = self.regex.find_iter(text).filter(|found| (self.holds)(found.as_str()));
        let mut next = Some(matches.next()?);
        let (mut replaced, mut from) = (String::with_capacity(text.len()), 0);
        while let Some(found) = next {
            replaced.push_str(&text[from..found.start()]);
            replaced.push_str(&mark(found.as_str()).unwrap_or_default());
            from = found.end();
            next = matches.next();
        }
        replaced.push_str(&text[from..]);
        Some(replaced)
    }
}

const EMAIL: &str = r"(?-u)[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+";
const CARD: &str = r"(?-u)\b[0-9](?:[ -]?[0-9]){12,18}\b";
const PHONE: &str = r"(?-u)\+[0-9](?:[ ()./-]{0,2}[0-9]){7,14}\b";
const IPV4: &str =
    r"(?-u)\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b";

fn has(text: &str, count: usize, is: fn(&u8) -> bool) -> bool {
    text.bytes().filter(is).nth(count - 1).is_some()
}

fn is_phone(found: &str) -> bool {
    (8..=15).contains(&found.bytes().filter(u8::is_ascii_digit).count())
}

/// The check digit of ISO/IEC 7812: every second digit from the right doubled,
/// the sum of all digits a multiple of ten.
fn is_card(found: &str) -> bool {
    let digits =
        found.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit) {
            (1, 5..) => digit * 2 - 9,
            (1, _) => digit * 2,
            _ => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(known: Known, text: &str) -> Option<String> {
        Pattern::new(Some(known), None).unwrap().replace(text, |_| Some("#".into()))
    }

    #[test]
    fn known_looks_are_found_whole() {
        let cases = [
            (Known::Email, "to: Mona.L+x@mail.example.org.", "to: #."),
            (Known::Card, "card 4111 1111-1111 1111, 378282246310005", "card #, #"),
            (Known::Phone, "call +49 (89) 123-4567 or +14155552671", "call # or #"),
            (Known::Ipv4, "from 192.168.0.254:80", "from #:80"),
        ];
        for (known, text, expected) in cases {
            assert_eq!(found(known, text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        let cases = [
            (Known::Email, "a@b, @mona, a b@"),
            (Known::Card, "4111 1111 1111 1112 and 411111111111 and 1234567890123456789012"),
            (Known::Phone, "089 1234567, 1+1=2, +1234"),
            (Known::Ipv4, "1.2.3, 256.1.1.1.x"),
        ];
        for (known, text) in cases {
            assert_eq!(found(known, text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_is_known_or_an_expression_and_matches_something() {
        assert!(Pattern::new(None, None).is_err());
        assert!(Pattern::new(Some(Known::Email), Some("a")).is_err());
        assert!(Pattern::new(None, Some("a*")).is_err());
        assert_eq!(Pattern::new(None, Some("(")).err().unwrap().path, "/regex");
    }
}
