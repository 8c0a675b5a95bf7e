//! The compact forms of headers, payloads and attempts. Pure: decoding anything gives a value or an error.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use hookwright_model::{Attempt, Cause, HeaderEdit, Outcome, Payload};

/// The bytes are not what this version writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not decode")]
pub(crate) struct Malformed;

/// Little-endian base 128, 1 to 10 bytes.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_option(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            put_bytes(out, bytes);
        }
    }
}

/// Reads from the front of a slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(Malformed);
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn small(&mut self) -> Result<u32, Malformed> {
        self.number()?.try_into().map_err(|_| Malformed)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Headers in their order, repeated names as often as they came.
pub(crate) fn put_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    put_number(out, headers.len() as u64);
    for (name, value) in headers {
        put_bytes(out, name.as_str().as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(crate) fn headers(input: &mut Reader<'_>) -> Result<HeaderMap, Malformed> {
    let count = usize::try_from(input.number()?).map_err(|_| Malformed)?;
    // A header takes two bytes at the least: a wild count must not reserve memory.
    let mut headers = HeaderMap::with_capacity(count.min(input.0.len() / 2).min(1_024));
    for _ in 0..count {
        let name = HeaderName::from_bytes(input.bytes()?).map_err(|_| Malformed)?;
        let value = HeaderValue::from_bytes(input.bytes()?).map_err(|_| Malformed)?;
        headers.try_append(name, value).map_err(|_| Malformed)?;
    }
    Ok(headers)
}

/// The body goes last, so that it can be sliced out of what was read.
pub(crate) fn put_payload(out: &mut Vec<u8>, payload: &Payload) {
    put_option(out, payload.content_type.as_deref().map(str::as_bytes));
    put_option(out, payload.kind.as_deref().map(str::as_bytes));
    put_number(out, payload.headers.len() as u64);
    for edit in &payload.headers {
        put_bytes(out, edit.name.as_bytes());
        put_option(out, edit.value.as_deref().map(str::as_bytes));
    }
    match &payload.body {
        None => out.push(0),
        Some(body) => {
            out.push(1);
            out.extend_from_slice(body);
        }
    }
}

/// `input` is the end of a record; the body shares its memory.
pub(crate) fn payload(input: &Bytes) -> Result<Payload, Malformed> {
    let mut reader = Reader(input);
    let content_type = reader.option(|r| r.text().map(str::to_owned))?;
    let kind = reader.option(|r| r.text().map(str::to_owned))?;
    let count = reader.number()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = reader.text()?.to_owned();
        let value = reader.option(|r| r.text().map(str::to_owned))?;
        headers.push(HeaderEdit { name, value });
    }
    let body = match reader.byte()? {
        0 => {
            reader.end()?;
            None
        }
        1 => Some(input.slice(input.len() - reader.0.len()..)),
        _ => return Err(Malformed),
    };
    Ok(Payload { body, content_type, kind, headers })
}

/// By their places, which must stay: a new one comes last.
const CAUSES: [Cause; 10] = Cause::ALL;

/// In the place of a cause.
const TAKEN: u8 = 255;

pub(crate) fn put_attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    put_number(out, u64::from(attempt.number));
    put_number(out, attempt.at_ms);
    put_number(out, attempt.took_us);
    match &attempt.outcome {
        Outcome::Answered { status, retry_after_s, excerpt } => {
            out.push(0);
            put_number(out, u64::from(*status));
            // Shifted by one, so that 0 can say that there was none.
            put_number(out, retry_after_s.map_or(0, |seconds| seconds.saturating_add(1)));
            put_bytes(out, excerpt);
        }
        Outcome::Failed { cause, message } => {
            let place = CAUSES.iter().position(|known| known == cause).unwrap_or_default();
            out.push(1 + place as u8);
            put_bytes(out, message.as_bytes());
        }
        Outcome::Accepted => out.push(TAKEN),
    }
}

pub(crate) fn attempt(bytes: &[u8]) -> Result<Attempt, Malformed> {
    let mut input = Reader(bytes);
    let number = input.small()?;
    let at_ms = input.number()?;
    let took_us = input.number()?;
    let outcome = match input.byte()? {
        0 => Outcome::Answered {
            status: input.small()?.try_into().map_err(|_| Malformed)?,
            retry_after_s: input.number()?.checked_sub(1),
            excerpt: Bytes::copy_from_slice(input.bytes()?),
        },
        TAKEN => Outcome::Accepted,
        place => Outcome::Failed {
            cause: *CAUSES.get(usize::from(place) - 1).ok_or(Malformed)?,
            message: input.text()?.to_owned(),
        },
    };
    input.end()?;
    Ok(Attempt { number, at_ms, took_us, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome() -> impl Strategy<Value = Outcome> {
        let answered = (any::<u16>(), prop::option::of(0..u64::MAX), any::<Vec<u8>>()).prop_map(
            |(status, retry_after_s, excerpt)| Outcome::Answered {
                status,
                retry_after_s: retry_after_s.map(|s| s.min(u64::MAX - 1)),
                excerpt: excerpt.into(),
            },
        );
        let failed = (0..CAUSES.len(), ".{0,20}")
            .prop_map(|(cause, message)| Outcome::Failed { cause: CAUSES[cause], message });
        prop_oneof![answered, failed, Just(Outcome::Accepted)]
    }

    fn a_payload() -> impl Strategy<Value = Payload> {
        let edit = ("[a-z]{1,8}", prop::option::of(".{0,8}"))
            .prop_map(|(name, value)| HeaderEdit { name, value });
        (
            prop::option::of(any::<Vec<u8>>()),
            prop::option::of(".{0,8}"),
            prop::option::of(".{0,8}"),
            prop::collection::vec(edit, 0..4),
        )
            .prop_map(|(body, content_type, kind, headers)| Payload {
                body: body.map(Bytes::from),
                content_type,
                kind,
                headers,
            })
    }

    proptest! {
        #[test]
        fn numbers_and_back(number: u64) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            let mut input = Reader(&out);
            prop_assert_eq!(input.number(), Ok(number));
            prop_assert!(input.0.is_empty());
        }

        #[test]
        fn attempts_and_back(number: u32, at_ms: u64, took_us: u64, outcome in outcome()) {
            let mut out = Vec::new();
            let made = Attempt { number, at_ms, took_us, outcome };
            put_attempt(&mut out, &made);
            let read = attempt(&out).unwrap();
            prop_assert_eq!((read.number, read.at_ms, read.took_us), (number, at_ms, took_us));
            prop_assert_eq!(read.outcome, made.outcome);
        }

        #[test]
        fn payloads_and_back(made in a_payload()) {
            let mut out = Vec::new();
            put_payload(&mut out, &made);
            prop_assert_eq!(payload(&out.into()), Ok(made));
        }

        #[test]
        fn anything_decodes_or_is_an_error(bytes: Vec<u8>) {
            let _ = attempt(&bytes);
            let _ = headers(&mut Reader(&bytes));
            let _ = payload(&bytes.into());
        }
    }
}
