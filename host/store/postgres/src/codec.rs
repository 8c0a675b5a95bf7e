//! Headers, payloads and attempts as bytes, in columns that are only written and read whole.
//!
//! Lengths are 32 bits, big-endian. A value that has been written is read for as long as the tables have it: a new form
//! gets a new first byte.
use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use hookwright_model::{Attempt, Cause, HeaderEdit, Outcome, Payload, VerdictRecord};

/// Where a column holds what no version has written.
#[derive(Debug, thiserror::Error)]
#[error("a column holds what this version can't read")]
pub(crate) struct Unreadable;

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

fn take(from: &mut Bytes) -> Result<Bytes, Unreadable> {
    let length = from.try_get_u32().map_err(|_| Unreadable)? as usize;
    if from.len() < length { Err(Unreadable) } else { Ok(from.split_to(length)) }
}

/// Text for a column of type `text`, which holds no NUL.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn from_headers(headers: &HeaderMap) -> Vec<u8> {
    let size = headers.iter().map(|(name, value)| 8 + name.as_str().len() + value.len());
    let mut out = Vec::with_capacity(size.sum());
    for (name, value) in headers {
        put(&mut out, name.as_str().as_bytes());
        put(&mut out, value.as_bytes());
    }
    out
}

pub(crate) fn headers(bytes: Vec<u8>) -> Result<HeaderMap, Unreadable> {
    let mut from = Bytes::from(bytes);
    let mut headers = HeaderMap::new();
    while from.has_remaining() {
        let name = HeaderName::from_bytes(&take(&mut from)?).map_err(|_| Unreadable)?;
        let value = HeaderValue::from_maybe_shared(take(&mut from)?).map_err(|_| Unreadable)?;
        headers.append(name, value);
    }
    Ok(headers)
}

pub(crate) fn from_payload(payload: &Payload) -> Vec<u8> {
    let Payload { body, content_type, kind, headers } = payload;
    let head = json!({ "content_type": content_type, "kind": kind, "headers": headers });
    let mut out = Vec::with_capacity(64 + body.as_ref().map_or(0, Bytes::len));
    put(&mut out, head.to_string().as_bytes());
    if let Some(body) = body {
        put(&mut out, body);
    }
    out
}

pub(crate) fn payload(bytes: Vec<u8>) -> Result<Payload, Unreadable> {
    let mut from = Bytes::from(bytes);
    let head = take(&mut from)?;
    let mut head: serde_json::Value = serde_json::from_slice(&head).map_err(|_| Unreadable)?;
    let body = if from.has_remaining() { Some(take(&mut from)?) } else { None };
    let headers: Vec<HeaderEdit> =
        serde_json::from_value(head["headers"].take()).map_err(|_| Unreadable)?;
    let part = |name: &str| head[name].as_str().map(str::to_owned);
    Ok(Payload { body, content_type: part("content_type"), kind: part("kind"), headers })
}

pub(crate) fn from_verdicts(verdicts: &[VerdictRecord]) -> Option<Vec<u8>> {
    (!verdicts.is_empty()).then(|| serde_json::to_vec(verdicts).unwrap_or_default())
}

pub(crate) fn verdicts(bytes: Option<Vec<u8>>) -> Result<Vec<VerdictRecord>, Unreadable> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    serde_json::from_slice(&bytes).map_err(|_| Unreadable)
}

const ANSWERED: u8 = 0;
const FAILED: u8 = 1;
const ACCEPTED: u8 = 2;

/// All of an attempt but its number, which is a column.
pub(crate) fn from_attempt(attempt: &Attempt) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let kind = match attempt.outcome {
        Outcome::Answered { .. } => ANSWERED,
        Outcome::Failed { .. } => FAILED,
        Outcome::Accepted => ACCEPTED,
    };
    out.put_u8(kind);
    out.put_u64(attempt.at_ms);
    out.put_u64(attempt.took_us);
    match &attempt.outcome {
        Outcome::Answered { status, retry_after_s, excerpt } => {
            out.put_u16(*status);
            out.put_u64(retry_after_s.unwrap_or(u64::MAX));
            put(&mut out, excerpt);
        }
        Outcome::Failed { cause, message } => {
            let place = Cause::ALL.iter().position(|known| known == cause);
            out.put_u8(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX));
            put(&mut out, message.as_bytes());
        }
        Outcome::Accepted => {}
    }
    out
}

pub(crate) fn attempt(number: u32, bytes: Vec<u8>) -> Result<Attempt, Unreadable> {
    let mut from = Bytes::from(bytes);
    let short = |_| Unreadable;
    let kind = from.try_get_u8().map_err(short)?;
    let at_ms = from.try_get_u64().map_err(short)?;
    let took_us = from.try_get_u64().map_err(short)?;
    let outcome = match kind {
        ANSWERED => {
            let status = from.try_get_u16().map_err(short)?;
            let retry_after_s = from.try_get_u64().map_err(short)?;
            let retry_after_s = (retry_after_s != u64::MAX).then_some(retry_after_s);
            Outcome::Answered { status, retry_after_s, excerpt: take(&mut from)? }
        }
        FAILED => {
            let cause = from.try_get_u8().map_err(short)?;
            let cause = *Cause::ALL.get(usize::from(cause)).ok_or(Unreadable)?;
            let message = String::from_utf8_lossy(&take(&mut from)?).into_owned();
            Outcome::Failed { cause, message }
        }
        ACCEPTED => Outcome::Accepted,
        _ => return Err(Unreadable),
    };
    Ok(Attempt { number, at_ms, took_us, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let edit = |value: Option<&str>| HeaderEdit {
            name: "x-a".into(),
            value: value.map(str::to_owned),
        };
        let whole = Payload {
            body: Some(Bytes::from_static(b"\0\xff")),
            content_type: Some("a/b".into()),
            kind: None,
            headers: vec![edit(Some("1")), edit(None)],
        };
        for one in [whole, Payload::default()] {
            assert_eq!(payload(from_payload(&one)).unwrap(), one);
        }
        let answered = |retry_after_s| Outcome::Answered {
            status: 503,
            retry_after_s,
            excerpt: Bytes::from_static(b"\0no"),
        };
        let failed = |cause| Outcome::Failed { cause, message: "why".into() };
        let all = [answered(Some(3)), answered(None), Outcome::Accepted];
        for outcome in all.into_iter().chain(Cause::ALL.map(failed)) {
            let one = Attempt { number: 7, at_ms: 1, took_us: 2, outcome };
            let read = attempt(7, from_attempt(&one)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{one:?}"));
        }
        assert!(attempt(1, vec![9; 17]).is_err() && attempt(1, vec![0; 3]).is_err());
        assert!(payload(vec![0, 0, 0, 9]).is_err() && headers(vec![0, 0, 0, 1, 2]).is_err());
    }
}
