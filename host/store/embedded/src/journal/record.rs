//! The journal's records: encoding, and a decoding that is pure and safe on any bytes.
//!
//! A record is a head of nine bytes (length of what follows the head, CRC-32 of
//! kind and content, kind), then the content. Numbers are little-endian. The CRC
//! begins with the salt of the record's segment.
use bytes::Bytes;
use http::HeaderMap;

use super::codec::{self, Malformed, Reader, put_bytes};
use hookwright_model::{EventId, Name, Payload};

pub(crate) const HEAD: usize = 9;

/// More can't be written: the index keeps lengths in 32 bits, and one record
/// must fit into memory several times over.
pub(crate) const MAX_RECORD: usize = 1 << 30;

/// What a record holds. Zero is none, so that a hole full of zeros is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordTag {
    /// An event as it was accepted.
    Event = 1,
    /// What one or more deliveries of an event send in its place.
    Payload = 2,
    /// An unfinished event, copied here out of a segment that was to be dropped.
    RelocatedEvent = 3,
    /// The same with a payload; says where it was before.
    RelocatedPayload = 4,
}

impl RecordTag {
    fn of(byte: u8) -> Option<Self> {
        [Self::Event, Self::Payload, Self::RelocatedEvent, Self::RelocatedPayload]
            .into_iter()
            .find(|tag| *tag as u8 == byte)
    }

    /// Whether the record is an event, relocated or not.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::RelocatedEvent)
    }
}

/// Flags of an event's record: what it holds beside the rest.
const HAS_KEY: u8 = 1;
const HAS_TIME: u8 = 2;

/// The milliseconds since 1970 in a row key.
pub(crate) fn row_ms(row: i64) -> u64 {
    EventId::new(row, 0).millis()
}

/// The key of a deduplicated event, and when it may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) key: [u8; 16],
    /// Milliseconds since 1970.
    pub(crate) expires_ms: u64,
}

/// Where the CRCs of a segment's records begin: a random number that never
/// leaves the machine. Bytes of a body that look like a record are then not taken
/// for one where damage has to be searched past, whoever wrote them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u32);

impl Salt {
    /// Of segments of format 1, which had none.
    pub(crate) const NONE: Self = Self(0);

    /// The CRC-32 of kind and content, which lie side by side.
    fn sum(self, kind_and_content: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new_with_initial(self.0);
        crc.update(kind_and_content);
        crc.finalize()
    }
}

/// An event's record, borrowed for writing.
pub(crate) struct EventRef<'a> {
    pub(crate) row: i64,
    pub(crate) received_ms: u64,
    pub(crate) source: &'a Name,
    pub(crate) kind: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) key: Option<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventRecord {
    pub(crate) row: i64,
    pub(crate) received_ms: u64,
    pub(crate) source: Name,
    pub(crate) kind: Box<str>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) key: Option<Key>,
}

/// Where a record was: segment and offset.
pub(crate) type Origin = (u32, u64);

/// A record's head: kind and length of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: RecordTag,
    pub(crate) length: usize,
    pub(crate) crc: u32,
}

impl Head {
    pub(crate) fn bytes(&self) -> [u8; HEAD] {
        let mut out = [self.tag as u8; HEAD];
        out[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        out[4..8].copy_from_slice(&self.crc.to_le_bytes());
        out
    }
}

/// Starts a record; returns the mark for [`finish`].
fn start(out: &mut Vec<u8>, tag: RecordTag) -> usize {
    let mark = out.len();
    out.extend_from_slice(&[0; HEAD - 1]);
    out.push(tag as u8);
    mark
}

/// Fills in the head. False, with the record taken back, where it is too large.
fn finish(out: &mut Vec<u8>, mark: usize, salt: Salt) -> bool {
    let length = out.len() - mark - HEAD;
    if length > MAX_RECORD {
        out.truncate(mark);
        return false;
    }
    let crc = salt.sum(&out[mark + HEAD - 1..]);
    out[mark..mark + 4].copy_from_slice(&(length as u32).to_le_bytes());
    out[mark + 4..mark + 8].copy_from_slice(&crc.to_le_bytes());
    true
}

/// Appends an event's record to `out`. False where it is larger than [`MAX_RECORD`].
#[must_use]
pub(crate) fn put_event(out: &mut Vec<u8>, salt: Salt, event: &EventRef<'_>) -> bool {
    let mark = start(out, RecordTag::Event);
    out.extend_from_slice(&event.row.to_le_bytes());
    // Written only where the row does not say it: where the clock was ahead before.
    let apart = event.received_ms != row_ms(event.row);
    let flag = |has: bool, flag: u8| if has { flag } else { 0 };
    out.push(flag(event.key.is_some(), HAS_KEY) | flag(apart, HAS_TIME));
    if let Some(key) = &event.key {
        out.extend_from_slice(&key.key);
        out.extend_from_slice(&key.expires_ms.to_le_bytes());
    }
    if apart {
        out.extend_from_slice(&event.received_ms.to_le_bytes());
    }
    put_bytes(out, event.source.as_bytes());
    put_bytes(out, event.kind.as_bytes());
    codec::put_headers(out, event.headers);
    out.extend_from_slice(event.body);
    finish(out, mark, salt)
}

#[must_use]
pub(crate) fn put_payload(out: &mut Vec<u8>, salt: Salt, row: i64, payload: &Payload) -> bool {
    let mark = start(out, RecordTag::Payload);
    out.extend_from_slice(&row.to_le_bytes());
    codec::put_payload(out, payload);
    finish(out, mark, salt)
}

/// Appends a copy of a record that is about to lose its segment.
#[must_use]
pub(crate) fn put_relocated(
    out: &mut Vec<u8>,
    salt: Salt,
    head: Head,
    content: &[u8],
    origin: Origin,
) -> bool {
    if head.tag.is_event() {
        let mark = start(out, RecordTag::RelocatedEvent);
        out.extend_from_slice(content);
        return finish(out, mark, salt);
    }
    // A payload that was carried before names its older place; only the last one counts.
    let payload = match head.tag {
        RecordTag::RelocatedPayload => content.get(8 + 12..).unwrap_or_default(),
        _ => content.get(8..).unwrap_or_default(),
    };
    let mark = start(out, RecordTag::RelocatedPayload);
    out.extend_from_slice(content.get(..8).unwrap_or_default());
    out.extend_from_slice(&origin.0.to_le_bytes());
    out.extend_from_slice(&origin.1.to_le_bytes());
    out.extend_from_slice(payload);
    finish(out, mark, salt)
}

pub(crate) fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut input = Reader(bytes);
    let length = u32::from_le_bytes(input.array()?) as usize;
    let crc = u32::from_le_bytes(input.array()?);
    let tag = RecordTag::of(input.byte()?).ok_or(Malformed)?;
    if length > MAX_RECORD {
        return Err(Malformed);
    }
    Ok(Head { tag, length, crc })
}

/// Checks a content against its head's CRC.
pub(crate) fn check(head: Head, salt: Salt, content: &[u8]) -> Result<(), Malformed> {
    let mut crc = crc32fast::Hasher::new_with_initial(salt.0);
    crc.update(&[head.tag as u8]);
    crc.update(content);
    if content.len() == head.length && crc.finalize() == head.crc { Ok(()) } else { Err(Malformed) }
}

/// The content of an event's record; the body shares its memory.
pub(crate) fn event(content: &Bytes) -> Result<EventRecord, Malformed> {
    let mut input = Reader(content);
    let row = i64::from_le_bytes(input.array()?);
    let parts = input.byte()?;
    if parts & !(HAS_KEY | HAS_TIME) != 0 {
        return Err(Malformed);
    }
    let key = match parts & HAS_KEY {
        0 => None,
        _ => {
            let key = input.array()?;
            Some(Key { key, expires_ms: u64::from_le_bytes(input.array()?) })
        }
    };
    let received_ms = match parts & HAS_TIME {
        0 => row_ms(row),
        _ => u64::from_le_bytes(input.array()?),
    };
    let source = input.text()?.parse().map_err(|_| Malformed)?;
    let kind = input.text()?.into();
    let headers = codec::headers(&mut input)?;
    let body = content.slice(content.len() - input.0.len()..);
    Ok(EventRecord { row, received_ms, source, kind, headers, body, key })
}

/// The content of a payload's record: event row, and for a carried one its former place.
pub(crate) fn payload(
    tag: RecordTag,
    content: &Bytes,
) -> Result<(i64, Option<Origin>, Payload), Malformed> {
    let mut input = Reader(content);
    let row = i64::from_le_bytes(input.array()?);
    let origin = match tag {
        RecordTag::RelocatedPayload => {
            let segment = u32::from_le_bytes(input.array()?);
            Some((segment, u64::from_le_bytes(input.array()?)))
        }
        _ => None,
    };
    let rest = content.slice(content.len() - input.0.len()..);
    Ok((row, origin, codec::payload(&rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const SALT: Salt = Salt(0x5eed);

    fn header_map() -> impl Strategy<Value = HeaderMap> {
        let header = ("[a-c]{1,2}", prop::collection::vec(0x20u8..0x7f, 0..9));
        prop::collection::vec(header, 0..8).prop_map(|pairs| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                let name: HeaderName = name.parse().unwrap();
                map.append(name, HeaderValue::from_bytes(&value).unwrap());
            }
            map
        })
    }

    proptest! {
        #[test]
        fn events_and_back(
            row in 0..i64::MAX, received in prop::option::of(any::<u64>()), kind in ".{0,9}", headers in header_map(), body: Vec<u8>,
            key in prop::option::of((any::<[u8; 16]>(), any::<u64>())),
        ) {
            let key = key.map(|(key, expires_ms)| Key { key, expires_ms });
            let source: Name = "a-source".parse().unwrap();
            let mut out = vec![7; 3];
            let received_ms = received.unwrap_or(row_ms(row));
            let whole = EventRef {
                row, received_ms, source: &source, kind: &kind, headers: &headers, body: &body, key,
            };
            prop_assert!(put_event(&mut out, SALT, &whole));
            let head = head(&out[3..]).unwrap();
            let content = Bytes::from(out).slice(3 + HEAD..);
            prop_assert_eq!(check(head, SALT, &content), Ok(()));
            prop_assert_eq!(check(head, Salt::NONE, &content), Err(Malformed));
            let read = event(&content).unwrap();
            // The order of the headers too, which comparing maps does not see.
            let order = |map: &HeaderMap| -> Vec<(HeaderName, HeaderValue)> {
                map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            };
            prop_assert_eq!(order(&read.headers), order(&headers));
            prop_assert_eq!(&*read.kind, kind.as_str());
            prop_assert_eq!((read.row, &read.body[..], read.key), (row, &body[..], key));
            prop_assert_eq!(read.received_ms, received_ms);
        }

        #[test]
        fn one_flipped_bit_is_seen(place: prop::sample::Index, bit in 0..8u8) {
            let source: Name = "a".parse().unwrap();
            let headers = HeaderMap::new();
            let mut out = Vec::new();
            let whole = EventRef {
                row: 1, received_ms: 9, source: &source, kind: "", headers: &headers, body: b"body", key: None,
            };
            prop_assert!(put_event(&mut out, SALT, &whole));
            let place = place.index(out.len());
            out[place] ^= 1 << bit;
            let seen = head(&out)
                .and_then(|head| check(head, SALT, out.get(HEAD..HEAD + head.length).ok_or(Malformed)?));
            prop_assert_eq!(seen, Err(Malformed));
        }

        #[test]
        fn anything_decodes_or_is_an_error(bytes: Vec<u8>) {
            let _ = head(&bytes);
            let bytes = Bytes::from(bytes);
            let _ = event(&bytes);
            let _ = payload(RecordTag::RelocatedPayload, &bytes);
        }
    }

    #[test]
    fn a_payload_carried_twice_names_its_last_place() {
        let made = Payload { body: Some("x".into()), ..Payload::default() };
        let mut out = Vec::new();
        assert!(put_payload(&mut out, SALT, 5, &made));
        for origin in [(1, 40), (2, 99)] {
            let before = std::mem::take(&mut out);
            assert!(put_relocated(&mut out, SALT, head(&before).unwrap(), &before[HEAD..], origin));
            let content = Bytes::from(out[HEAD..].to_vec());
            let read = payload(head(&out).unwrap().tag, &content);
            assert_eq!(read, Ok((5, Some(origin), made.clone())));
        }
    }
}
