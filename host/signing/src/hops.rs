//! How many of this host's own deliveries an event has gone through: a header that only the host can write.
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Secret;

/// Of this and other hosts: `ID.COUNT.MAC` each, separated by commas.
pub const HEADER: HeaderName = HeaderName::from_static("hookwright-hops");
/// Entries of other hosts that are passed on, the last of them.
const OTHERS: usize = 7;
/// Bytes of the longest entry; longer ones are ignored.
const LONGEST: usize = 80;
/// The most deliveries that can be told.
pub const MOST: u32 = 100;

/// Counts the rounds of events. Make it once: it holds the entries ready.
#[derive(Debug)]
///
/// An entry is not bound to an event: a receiver that has seen one may send it again,
/// which counts its own events as rounds and helps it to nothing.
pub struct Hops {
    /// `ID.COUNT.MAC` for each count from 1.
    entries: Vec<HeaderValue>,
    limit: u32,
}

/// The event has gone through as many of the host's deliveries as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event has gone through {0} of this host's own deliveries, as many as it may")]
pub struct Loop(pub u32);

impl Hops {
    /// `limit` is how many of the host's deliveries an event may go through, 1 to [`MOST`].
    pub fn new(key: &Secret, limit: u32) -> Self {
        let limit = limit.clamp(1, MOST);
        let mac = |text: &str| {
            let keyed = Hmac::<Sha256>::new_from_slice(key.expose());
            let mut mac = keyed.expect("HMAC takes a key of any length");
            mac.update(text.as_bytes());
            mac.finalize().into_bytes()
        };
        let id = hex::encode(&mac("hookwright-hops host")[..8]);
        let entry = |count: u32| {
            let tag = hex::encode(&mac(&format!("hookwright-hops {id} {count}"))[..16]);
            HeaderValue::try_from(format!("{id}.{count}.{tag}")).expect("digits and dots")
        };
        Self { entries: (1..=limit).map(entry).collect(), limit }
    }

    /// Counts what nobody but the host could have written.
    ///
    /// # Errors
    /// The event has gone through as many deliveries as it may.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Loop> {
        let count = self.count(headers);
        if count >= self.limit { Err(Loop(count)) } else { Ok(()) }
    }

    /// Writes that it goes through one more, and what other hosts wrote. `came` are the headers that the event came with.
    pub fn apply(&self, came: &HeaderMap, headers: &mut HeaderMap) {
        let next = self.count(came).min(self.limit - 1);
        let Some(own) = usize::try_from(next).ok().and_then(|place| self.entries.get(place)) else {
            return;
        };
        let others: Vec<&str> = entries(came).filter(|entry| !self.is_own(entry)).collect();
        if others.is_empty() {
            headers.insert(HEADER, own.clone());
            return;
        }
        let mut text = String::from_utf8_lossy(own.as_bytes()).into_owned();
        for entry in others.iter().skip(others.len().saturating_sub(OTHERS)) {
            // Writing to a string can't fail.
            let _ = write!(text, ",{entry}");
        }
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
            headers.insert(HEADER, value);
        }
    }

    fn count(&self, headers: &HeaderMap) -> u32 {
        let known = |text: &str| {
            let mut place = 0u32;
            for (own, count) in self.entries.iter().zip(1..) {
                if own.as_bytes().ct_eq(text.as_bytes()).into() {
                    place = count;
                }
            }
            place
        };
        entries(headers).map(known).max().unwrap_or(0)
    }

    /// Signed or not: what is written in this host's name and not by it goes.
    fn is_own(&self, entry: &str) -> bool {
        let id = |text: &[u8]| text.split(|byte| *byte == b'.').next().map(<[u8]>::to_vec);
        self.entries.first().is_some_and(|own| id(own.as_bytes()) == id(entry.as_bytes()))
    }
}

/// What looks like an entry, at most so many as can be passed on, and the host's own.
fn entries(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let all = texts.flat_map(|text| text.split(',')).map(str::trim);
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'.';
    let good = move |entry: &&str| (1..=LONGEST).contains(&entry.len()) && entry.bytes().all(plain);
    all.filter(good).take(4 * OTHERS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hops(key: &str, limit: u32) -> Hops {
        Hops::new(&Secret::new(key), limit)
    }

    /// The headers of the delivery of an event that came with these.
    fn sent(hops: &Hops, came: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        hops.apply(came, &mut headers);
        headers
    }

    fn header(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER, text.parse().expect("a value"))])
    }

    #[test]
    fn each_round_is_counted_and_the_last_is_refused() {
        let hops = hops("k", 3);
        let mut headers = HeaderMap::new();
        for _ in 0..3 {
            assert_eq!(hops.check(&headers), Ok(()));
            headers = sent(&hops, &headers);
        }
        assert_eq!(hops.check(&headers), Err(Loop(3)));
        assert_eq!(hops.check(&sent(&hops, &headers)), Err(Loop(3)));
    }

    #[test]
    fn hosts_pass_on_what_others_wrote_and_count_only_their_own() {
        let (one, two) = (hops("1", 2), hops("2", 2));
        let mut headers = HeaderMap::new();
        for round in 0..2 {
            assert_eq!(one.check(&headers), Ok(()), "{round}");
            headers = sent(&one, &headers);
            assert_eq!(two.check(&headers), Ok(()), "{round}");
            headers = sent(&two, &headers);
        }
        assert_eq!(one.check(&headers), Err(Loop(2)));
    }

    #[test]
    fn what_the_host_did_not_write_counts_for_nothing() {
        let hops = hops("k", 3);
        let own = sent(&hops, &HeaderMap::new());
        let text = own[HEADER].to_str().expect("text");
        assert_eq!(hops.count(&own), 1);
        let id = text.split('.').next().expect("an id");
        let tag = text.rsplit('.').next().expect("a tag");
        for forged in [
            format!("{id}.3.{tag}"),
            format!("{id}.3."),
            format!("{id}.1.{}", tag.replace(|_| true, "0")),
            "é".to_owned(),
            ",,,".to_owned(),
            "a".repeat(10_000),
        ] {
            let forged = HeaderMap::from_iter([(
                HEADER,
                HeaderValue::from_bytes(forged.as_bytes()).expect("a value"),
            )]);
            assert_eq!(hops.count(&forged), 0);
            assert_eq!(sent(&hops, &forged), own, "and it is not passed on");
        }
        assert_eq!(hops.check(&header(&format!("{text}, {text}"))), Ok(()));
        let other = self::hops("other", 3);
        assert_eq!(other.count(&own), 0);
    }

    #[test]
    fn what_is_passed_on_is_bounded() {
        let many: Vec<String> = (0..500).map(|one| format!("{one:x}.1.ab")).collect();
        let headers = sent(&hops("k", 3), &header(&many.join(",")));
        assert!(headers[HEADER].len() <= (OTHERS + 1) * (LONGEST + 1));
        assert_eq!(headers[HEADER].to_str().expect("text").split(',').count(), OTHERS + 1);
    }

    proptest! {
        #[test]
        fn any_header_is_read(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(HEADER, value)]);
                let hops = hops("k", 2);
                prop_assert_eq!(hops.check(&headers), Ok(()));
                prop_assert!(sent(&hops, &headers).len() == 1);
            }
        }
    }
}
