//! Many deliveries in one request: how its body holds them, and which id it has.
use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Http;
use crate::kinds::{Packed, Responses, SendingMany};
use hookwright_model::{Delivery, Event, EventId, METHOD, QUERY};
use hookwright_settings::Format;
use hookwright_signing::hops;

/// Deliveries that leave in one request, or in smaller ones.
pub(super) struct Joined<'s> {
    http: &'s Http,
    deliveries: &'s [Delivery],
    entries: Entries,
}

impl<'s> Joined<'s> {
    pub(super) fn new(http: &'s Http, deliveries: &'s [Delivery], format: Format) -> Self {
        Self { http, deliveries, entries: Entries::new(deliveries, format) }
    }
}

impl Packed for Joined<'_> {
    fn size(&self, place: usize) -> usize {
        self.entries.size(place)
    }

    fn send<'s>(&'s self, places: &'s [usize], at_ms: u64) -> SendingMany<'s> {
        Box::pin(async move {
            let joined = self.entries.join(self.deliveries, places);
            Responses::Whole(self.http.respond(&joined, at_ms).await)
        })
    }
}

/// What each delivery of a load is in a request, written once however often it is sent.
struct Entries {
    format: Format,
    written: Vec<Vec<u8>>,
}

impl Entries {
    fn new(deliveries: &[Delivery], format: Format) -> Self {
        let written = deliveries.iter().map(|delivery| entry(delivery, format));
        Self { format, written: written.collect() }
    }

    /// Bytes of the entry at the place, with what parts it from the next one.
    fn size(&self, place: usize) -> usize {
        self.written.get(place).map_or(0, |entry| entry.len() + 2)
    }

    /// One delivery that stands for those at the places, which are of one source
    /// and at least one.
    ///
    /// Its id is made of theirs: the same deliveries give the same `webhook-id`
    /// again, and others do not.
    fn join(&self, deliveries: &[Delivery], places: &[usize]) -> Delivery {
        let some: Vec<&Delivery> = places.iter().map(|place| &deliveries[*place]).collect();
        let first = some.first().expect("a request holds one delivery at the least");
        let most = |count: fn(&Delivery) -> u32| some.iter().map(|one| count(one)).max();
        let mut headers = HeaderMap::new();
        let kind = match self.format {
            Format::Array => "application/json",
            Format::Lines => "application/x-ndjson",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        for value in rounds(&some) {
            headers.append(hops::HEADER, value);
        }
        let event = Event {
            id: name(&some),
            received_ms: first.event.received_ms,
            source: first.event.source.clone(),
            kind: "".into(),
            headers,
            body: self.body(places),
        };
        Delivery {
            event: Arc::new(event),
            destination: first.destination.clone(),
            payload: None,
            due_ms: first.due_ms,
            order_key: None,
            tries: most(|one| one.tries).unwrap_or_default(),
            attempts: most(|one| one.attempts).unwrap_or_default(),
            replayed: some.iter().all(|one| one.replayed),
        }
    }

    fn body(&self, places: &[usize]) -> Bytes {
        let (open, between, close) = match self.format {
            Format::Array => ("[\n", ",\n", "\n]\n"),
            Format::Lines => ("", "\n", "\n"),
        };
        let room: usize = places.iter().map(|place| self.size(*place)).sum();
        let mut out = Vec::with_capacity(room + 4);
        out.extend_from_slice(open.as_bytes());
        for (number, place) in places.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(between.as_bytes());
            }
            out.extend_from_slice(&self.written[*place]);
        }
        out.extend_from_slice(close.as_bytes());
        out.into()
    }
}

/// What tells through how many deliveries the events have gone, each once: the
/// most of them counts.
fn rounds(deliveries: &[&Delivery]) -> Vec<HeaderValue> {
    let all = deliveries.iter().flat_map(|one| one.event.headers.get_all(hops::HEADER));
    let distinct: BTreeSet<&[u8]> = all.map(HeaderValue::as_bytes).collect();
    distinct.into_iter().filter_map(|value| HeaderValue::from_bytes(value).ok()).collect()
}

fn name(deliveries: &[&Delivery]) -> EventId {
    let mut hash = Sha256::new();
    for one in deliveries {
        hash.update(one.event.id.to_string());
    }
    let hash = hash.finalize();
    let number = |from: usize| {
        let bytes = hash[from..from + 8].iter();
        bytes.fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    // A row is never negative.
    EventId::new((number(0) >> 1).cast_signed(), number(8))
}

/// A JSON body stands there byte for byte; any other, and one that would break
/// a line, in base64.
fn entry(delivery: &Delivery, format: Format) -> Vec<u8> {
    let own = delivery.payload.as_ref();
    let changed = own.is_some_and(|payload| payload.body.is_some());
    let encoding = delivery.event.headers.get(CONTENT_ENCODING).filter(|_| !changed);
    let mut entry = json!({
        "id": delivery.event.id,
        "kind": own.and_then(|own| own.kind.as_deref()).unwrap_or(&delivery.event.kind),
        "received_ms": delivery.event.received_ms(),
        "content_type": delivery.content_type(),
    });
    for (field, name) in [("method", &METHOD), ("query", &QUERY)] {
        if let Some(told) = delivery.event.headers.get(name).and_then(|it| it.to_str().ok()) {
            entry[field] = json!(told);
        }
    }
    let body = delivery.body();
    if is_json(body) && encoding.is_none() && !(format == Format::Lines && breaks(body)) {
        let mut text = entry.to_string().into_bytes();
        // Behind the last field: an object ends with a brace.
        text.pop();
        text.extend_from_slice(b",\"body\":");
        text.extend_from_slice(body);
        text.push(b'}');
        return text;
    }
    if let Some(encoding) = encoding {
        entry["content_encoding"] = json!(String::from_utf8_lossy(encoding.as_bytes()));
    }
    entry["base64"] = json!(STANDARD.encode(body));
    entry.to_string().into_bytes()
}

fn breaks(body: &[u8]) -> bool {
    body.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Strings are not looked into by the parser, so the encoding is checked apart.
fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::delivery;
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    fn join(some: &[Delivery], format: Format) -> Delivery {
        let places: Vec<usize> = (0..some.len()).collect();
        Entries::new(some, format).join(some, &places)
    }

    fn read(body: &[u8], format: Format) -> Vec<std::collections::HashMap<String, Box<RawValue>>> {
        match format {
            Format::Array => serde_json::from_slice(body).expect("an array"),
            Format::Lines => {
                let text = std::str::from_utf8(body).expect("text");
                text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
            }
        }
    }

    proptest! {
        #[test]
        fn every_body_comes_back_byte_for_byte(
            bodies in prop::collection::vec(prop_oneof![
                any::<Vec<u8>>(),
                Just(b" {\"b\":1.50, \"a\":12345678901234567890}\n ".to_vec()),
                Just(b"[1,2 ,\"x\"]".to_vec()),
                Just(b"".to_vec()),
            ], 1..6),
            lines: bool,
        ) {
            let format = if lines { Format::Lines } else { Format::Array };
            let all: Vec<_> = (0..).zip(&bodies).map(|(n, body)| delivery(n, "a", body.clone())).collect();
            let joined = join(&all, format);
            let entries = read(joined.body(), format);
            prop_assert_eq!(entries.len(), bodies.len());
            for ((entry, one), body) in entries.iter().zip(&all).zip(&bodies) {
                prop_assert_eq!(entry["id"].get(), format!("\"{}\"", one.event.id));
                let back = match entry.get("base64") {
                    None => entry["body"].get().as_bytes().to_vec(),
                    Some(text) => {
                        let text: String = serde_json::from_str(text.get()).unwrap();
                        STANDARD.decode(text).unwrap()
                    }
                };
                // Space around a JSON value is none of it.
                let trimmed = if entry.contains_key("base64") { &body[..] } else { body.trim_ascii() };
                prop_assert_eq!(&back[..], trimmed);
            }
        }
    }

    #[test]
    fn the_same_deliveries_have_the_same_id_and_others_another() {
        let all: Vec<_> = (0..3).map(|number| delivery(number, "a", "{}")).collect();
        let id = |some: &[Delivery]| join(some, Format::Array).event.id;
        assert_eq!(id(&all), id(&all));
        assert_ne!(id(&all), id(&all[..2]));
        assert_ne!(id(&all[..1]), all[0].event.id);
        let retried = Delivery { attempts: 2, ..all[0].clone() };
        assert_eq!(join(&[all[1].clone(), retried], Format::Lines).attempts, 2);
    }

    #[test]
    fn an_event_that_has_gone_round_makes_its_batch_one_that_has() {
        let mut all: Vec<_> = (0..3).map(|number| delivery(number, "a", "{}")).collect();
        for (one, hop) in all.iter_mut().zip(["aa.1.bb", "aa.2.bb", "aa.1.bb"]) {
            let mut event = Event::clone(&one.event);
            event.headers.insert(hops::HEADER, HeaderValue::from_static(hop));
            one.event = Arc::new(event);
        }
        let joined = join(&all, Format::Array);
        let hops: Vec<_> = joined.event.headers.get_all(hops::HEADER).iter().collect();
        assert_eq!(hops, ["aa.1.bb", "aa.2.bb"]);
    }

    #[test]
    fn an_entry_tells_what_the_headers_of_a_request_of_its_own_would() {
        let one = delivery(1, "a", "{\"n\": 1}");
        let joined = join(&[one], Format::Array);
        let value: Value = serde_json::from_slice(joined.body()).expect("JSON");
        assert_eq!(value[0]["content_type"], "application/json");
        assert_eq!(value[0]["received_ms"], 1_700_000_000_000u64);
        assert_eq!(joined.content_type(), "application/json");
    }
}
