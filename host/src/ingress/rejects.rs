//! The last refused requests of a source, so that a person can see why a provider is refused.
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Rate;
use super::rate::Bucket;
use super::refused::Refused;
use crate::model::Rejected;
use crate::server::RequestId;
use crate::signing::is_credential;

/// Requests kept for one source, and for all those that named none.
const KEPT: usize = 50;
/// Bytes of a request's body, of one header's value, and of all its headers.
const BODY: usize = 512;
const VALUE: usize = 256;
const HEADERS: usize = 4096;
/// Under a flood so many are looked at; the rest are only counted.
const LOOKS: Rate = Rate { per_s: 20.0, burst: KEPT as u32 };

/// Parts of header names whose values may be secrets, or help to forge them.
const SENSITIVE: [&str; 11] = [
    "auth",
    "cookie",
    "credential",
    "hmac",
    "key",
    "pass",
    "secret",
    "session",
    "sign",
    "token",
    "hub-challenge",
];

pub(super) struct Rejects {
    kept: Mutex<VecDeque<Rejected>>,
    looks: Bucket,
}

/// What is known once the request is answered.
pub(super) struct Refusal<'r> {
    pub(super) request: RequestId,
    pub(super) at_ms: u64,
    pub(super) client: IpAddr,
    pub(super) refused: &'r Refused,
    pub(super) status: StatusCode,
}

/// What is kept of a request, taken before it is gone.
#[derive(Debug)]
pub(super) struct Seen {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    body_bytes: Option<usize>,
}

impl Default for Rejects {
    fn default() -> Self {
        Self { kept: Mutex::default(), looks: Bucket::new(LOOKS) }
    }
}

impl Rejects {
    /// None under a flood: then it is not worth the time. `credential` is the
    /// header that carries the source's own, whatever its name.
    pub(super) fn look(
        &self,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        body: Option<&[u8]>,
        credential: Option<&HeaderName>,
        now: Instant,
    ) -> Option<Box<Seen>> {
        self.looks.take(now).ok()?;
        let start = body.unwrap_or_default();
        Some(Box::new(Seen {
            method: cut(method.as_str(), 32),
            path: shown(uri),
            headers: redacted(headers, credential),
            body: String::from_utf8_lossy(&start[..start.len().min(BODY)]).into_owned(),
            body_bytes: body.map(<[u8]>::len),
        }))
    }

    pub(super) fn keep(&self, seen: Seen, refusal: Refusal<'_>) {
        let Seen { method, path, headers, body, body_bytes } = seen;
        let Refusal { request, at_ms, client, refused, status } = refusal;
        self.push(Rejected {
            request: request.to_string(),
            at_ms,
            client,
            reason: refused.reason(),
            cause: refused.to_string(),
            status: status.as_u16(),
            method,
            path,
            headers,
            body,
            body_bytes,
        });
    }

    /// Where there is no more room, the oldest one goes of those that are
    /// refused for the most frequent reason: a flood leaves the rare ones.
    fn push(&self, rejected: Rejected) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            for one in kept.iter() {
                *counts.entry(one.reason).or_default() += 1;
            }
            let most = counts.values().copied().max().unwrap_or(0);
            let oldest = kept.iter().position(|one| counts[one.reason] == most);
            kept.remove(oldest.unwrap_or(0));
        }
        kept.push_back(rejected);
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<Rejected> {
        self.kept.lock().iter().rev().cloned().collect()
    }
}

/// Two segments of the path: behind them may be a token, as in the query.
fn shown(uri: &Uri) -> String {
    let path = uri.path();
    let mut ends = path.match_indices('/').map(|(at, _)| at).skip(2);
    let mut text = match ends.next() {
        Some(end) => format!("{}/…", cut(&path[..end], 100)),
        None => cut(path, 100),
    };
    if uri.query().is_some() {
        text.push_str("?…");
    }
    text
}

fn redacted(headers: &HeaderMap, credential: Option<&HeaderName>) -> Vec<(String, String)> {
    let mut room = HEADERS;
    let mut all = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = if is_sensitive(name) || credential == Some(name) {
            format!("[{} bytes]", value.len())
        } else {
            let bytes = value.as_bytes();
            cut(&String::from_utf8_lossy(&bytes[..bytes.len().min(VALUE)]), VALUE)
        };
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else { break };
        room = left;
        all.push((name.to_string(), value));
    }
    all
}

fn is_sensitive(name: &HeaderName) -> bool {
    is_credential(name) || SENSITIVE.iter().any(|part| name.as_str().contains(part))
}

/// At most so many bytes, cut between two characters.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn rejected(reason: &'static str, request: usize) -> Rejected {
        Rejected {
            request: request.to_string(),
            at_ms: 0,
            client: [127, 0, 0, 1].into(),
            reason,
            cause: String::new(),
            status: 401,
            method: String::new(),
            path: String::new(),
            headers: Vec::new(),
            body: String::new(),
            body_bytes: None,
        }
    }

    fn look(uri: &str, headers: &HeaderMap, body: Option<&[u8]>) -> Seen {
        let uri: Uri = uri.parse().unwrap();
        let rejects = Rejects::default();
        let own = HeaderName::from_static("x-own");
        *rejects.look((&Method::POST, &uri, headers), body, Some(&own), Instant::now()).unwrap()
    }

    #[test]
    fn a_flood_of_one_reason_leaves_the_others() {
        let rejects = Rejects::default();
        rejects.push(rejected("rare", 0));
        for number in 1..1_000 {
            rejects.push(rejected("bad-signature", number));
        }
        let list = rejects.list();
        assert_eq!((list.len(), list[0].request.as_str()), (KEPT, "999"));
        assert_eq!(list.last().unwrap().reason, "rare");
    }

    #[test]
    fn secrets_tell_their_length_only() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "x-hub-signature-256",
            "x-api-key",
            "x-gitlab-token",
            "webhook-signature",
            "x-my-secret",
            "x-password",
            "x-amz-security-token",
            "x-own",
        ] {
            headers.insert(name, HeaderValue::from_static("SECRET"));
        }
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        let seen = look("/in/s/SECRET?key=SECRET", &headers, Some(b"body"));
        assert!(!format!("{seen:?}").contains("SECRET"), "{seen:?}");
        assert_eq!(seen.path, "/in/s/…?…");
        assert!(seen.headers.contains(&("x-api-key".into(), "[6 bytes]".into())));
        assert!(seen.headers.contains(&("content-type".into(), "text/plain".into())));
        assert_eq!((seen.body.as_str(), seen.body_bytes), ("body", Some(4)));
        assert_eq!(look("/in/SECRET", &headers, None).path, "/in/SECRET", "a name is no secret");
    }

    #[test]
    fn what_is_kept_has_a_bounded_size() {
        let mut headers = HeaderMap::new();
        for number in 0..100 {
            let name: HeaderName = format!("x-{number}").parse().unwrap();
            headers.insert(name, HeaderValue::from_bytes(&[0xff; 5_000]).unwrap());
        }
        let long = format!("/{}", "ü".repeat(500).replace('ü', "%C3%BC"));
        let seen = look(&long, &headers, Some(&[0xff; 100_000]));
        let all = seen.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        // A byte that is no UTF-8 becomes three.
        assert!(all <= HEADERS && seen.path.len() <= 110 && seen.body.len() <= 3 * BODY);
        assert_eq!(seen.body_bytes, Some(100_000));
    }

    #[test]
    fn under_a_flood_few_are_looked_at() {
        let rejects = Rejects::default();
        let (uri, headers, now) = (Uri::from_static("/in/s"), HeaderMap::new(), Instant::now());
        let looks = (0..10_000)
            .filter(|_| rejects.look((&Method::POST, &uri, &headers), None, None, now).is_some())
            .count();
        assert_eq!(looks, KEPT);
    }
}
