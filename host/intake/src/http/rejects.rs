//! The last refused requests of a source, so that a person can see why a provider is refused.
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Uri};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::addresses::Addresses;
use super::url_tokens::UrlTokens;
use crate::Rate;
use hookwright_model::Rejected;
use hookwright_model::token_bucket::TokenBucket;
use hookwright_server::{RequestId, Unread, network};
use hookwright_signing::is_credential;

/// Requests kept for one source, and for all those that named none.
const KEPT: usize = 50;
/// Bytes of a request's body, of one header's value, and of all its headers.
const BODY: usize = 512;
const VALUE: usize = 256;
const HEADERS: usize = 4096;
/// Bytes of the longest token, percent-encoded three times over.
const MARGIN: usize = 200 * 7;
/// Under a flood so many are looked at; the rest are only counted.
const SAMPLES: Rate = Rate { per_s: 20.0, burst: KEPT as u32 };
/// And so many of one address, of those that were not verified.
const UNVERIFIED: Rate = Rate { per_s: 1.0, burst: KEPT as u32 / 2 };
/// Eight addresses each.
const SETS: usize = 16;

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
    kept: Mutex<VecDeque<Kept>>,
    /// Of verified requests, and of all others: strangers take nothing from the source's own.
    samples: [TokenBucket; 2],
    unverified: Addresses,
}

#[derive(Debug)]
struct Kept {
    rejected: Rejected,
    verified: bool,
}

/// What is known once the request is answered.
pub(super) struct Refusal {
    pub(super) request: RequestId,
    pub(super) at_ms: u64,
    pub(super) reason: &'static str,
    pub(super) cause: String,
    pub(super) status: u16,
}

/// What is kept of a request, taken before it is gone.
#[derive(Debug)]
pub(super) struct Sample {
    client: IpAddr,
    verified: bool,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    body_bytes: Option<usize>,
}

impl Default for Rejects {
    fn default() -> Self {
        let unverified = Addresses::sized(UNVERIFIED, SETS);
        Self {
            kept: Mutex::default(),
            samples: [SAMPLES; 2].map(|rate| TokenBucket::new(rate.pace())),
            unverified,
        }
    }
}

impl Rejects {
    /// None under a flood: then it is not worth the time. `credential` is the
    /// header that carries the source's own, whatever its name; no token of a
    /// URL is kept, wherever it stands. `client` asked, and was `verified` or not.
    pub(super) fn sample(
        &self,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        body: Option<&[u8]>,
        (credential, tokens): (Option<&HeaderName>, &UrlTokens),
        (client, verified): (IpAddr, bool),
        now: Instant,
    ) -> Option<Box<Sample>> {
        self.admit(client, verified, now)?;
        let start = body.unwrap_or_default();
        // Some more than is kept, so that no token is cut before it is found.
        let start = tokens.bare_bytes(&start[..start.len().min(BODY + MARGIN)]);
        Some(Box::new(Sample {
            client,
            verified,
            method: cut(&tokens.bare(method.as_str()), 32),
            path: shown(&tokens.bare(uri.path()), uri.query().is_some()),
            headers: redacted(headers, credential, tokens),
            body: String::from_utf8_lossy(&start[..start.len().min(BODY)]).into_owned(),
            body_bytes: body.map(<[u8]>::len),
        }))
    }

    /// The same of one whose head the server refused.
    pub(super) fn sample_unread(
        &self,
        unread: &Unread,
        tokens: &UrlTokens,
        client: IpAddr,
        now: Instant,
    ) -> Option<Box<Sample>> {
        self.admit(client, false, now)?;
        Some(Box::new(Sample {
            client,
            verified: false,
            method: cut(&tokens.bare(&unread.method), 32),
            path: shown(&tokens.bare(unread.path()), unread.path().len() < unread.target.len()),
            headers: redacted(&unread.headers, None, tokens),
            body: String::new(),
            body_bytes: None,
        }))
    }

    fn admit(&self, client: IpAddr, verified: bool, now: Instant) -> Option<()> {
        if !verified {
            self.unverified.take(client, now).ok()?;
        }
        self.samples[usize::from(verified)].take(now).ok()
    }

    pub(super) fn keep(&self, sample: Sample, refusal: Refusal) {
        let Sample { client, verified, method, path, headers, body, body_bytes } = sample;
        let Refusal { request, at_ms, reason, cause, status } = refusal;
        let request = request.to_string();
        let rejected = Rejected {
            request,
            at_ms,
            client,
            reason,
            cause,
            status,
            method,
            path,
            headers,
            body,
            body_bytes,
        };
        self.push(Kept { rejected, verified });
    }

    /// Where there is no more room, one goes of the kind, verified or not, that
    /// has more than half of it: of the address that has the most, for its most
    /// frequent reason, the oldest. So a flood leaves what is rare, and a
    /// stranger pushes out nobody but itself.
    fn push(&self, new: Kept) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT {
            let strangers = kept.iter().filter(|one| !one.verified).count();
            let from_verified = strangers * 2 <= KEPT;
            let mut addresses: HashMap<u64, usize> = HashMap::new();
            let mut reasons: HashMap<(u64, &str), usize> = HashMap::new();
            for one in kept.iter().filter(|one| one.verified == from_verified) {
                let (address, reason) = (network(one.rejected.client), one.rejected.reason);
                *addresses.entry(address).or_default() += 1;
                *reasons.entry((address, reason)).or_default() += 1;
            }
            let weight = |one: &Kept| {
                let (address, reason) = (network(one.rejected.client), one.rejected.reason);
                (addresses.get(&address).copied(), reasons.get(&(address, reason)).copied())
            };
            let candidates =
                kept.iter().enumerate().filter(|(_, one)| one.verified == from_verified);
            // Of equal ones the last of this order, the oldest.
            let gone = candidates.rev().max_by_key(|(_, one)| weight(one)).map(|(place, _)| place);
            kept.remove(gone.unwrap_or(0));
        }
        kept.push_back(new);
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<Rejected> {
        self.kept.lock().iter().rev().map(|one| one.rejected.clone()).collect()
    }
}

/// Two segments of the path: behind them may be a token, as in the query.
fn shown(path: &str, query: bool) -> String {
    let mut ends = path.match_indices('/').map(|(at, _)| at).skip(2);
    let mut text = match ends.next() {
        Some(end) => format!("{}/…", cut(&path[..end], 100)),
        None => cut(path, 100),
    };
    if query {
        text.push_str("?…");
    }
    text
}

fn redacted(
    headers: &HeaderMap,
    credential: Option<&HeaderName>,
    tokens: &UrlTokens,
) -> Vec<(String, String)> {
    let mut room = HEADERS;
    let mut all = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = if is_sensitive(name) || credential == Some(name) {
            format!("[{} bytes]", value.len())
        } else {
            let bytes = tokens.bare_bytes(value.as_bytes());
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

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn rejected(reason: &'static str, request: usize) -> Kept {
        from(LOCAL, reason, request)
    }

    fn from(client: IpAddr, reason: &'static str, request: usize) -> Kept {
        let rejected = Rejected {
            request: request.to_string(),
            at_ms: 0,
            client,
            reason,
            cause: String::new(),
            status: 401,
            method: String::new(),
            path: String::new(),
            headers: Vec::new(),
            body: String::new(),
            body_bytes: None,
        };
        Kept { rejected, verified: false }
    }

    fn sampled(uri: &str, headers: &HeaderMap, body: Option<&[u8]>) -> Sample {
        let uri: Uri = uri.parse().unwrap();
        let rejects = Rejects::default();
        let own = HeaderName::from_static("x-own");
        let head = (&Method::POST, &uri, headers);
        let own = (Some(&own), &UrlTokens::default());
        *rejects.sample(head, body, own, (LOCAL, false), Instant::now()).unwrap()
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
        let sample = sampled("/in/s/SECRET?key=SECRET", &headers, Some(b"body"));
        assert!(!format!("{sample:?}").contains("SECRET"), "{sample:?}");
        assert_eq!(sample.path, "/in/s/…?…");
        assert!(sample.headers.contains(&("x-api-key".into(), "[6 bytes]".into())));
        assert!(sample.headers.contains(&("content-type".into(), "text/plain".into())));
        assert_eq!((sample.body.as_str(), sample.body_bytes), ("body", Some(4)));
        assert_eq!(sampled("/in/SECRET", &headers, None).path, "/in/SECRET", "a name is no secret");
    }

    #[test]
    fn what_is_kept_has_a_bounded_size() {
        let mut headers = HeaderMap::new();
        for number in 0..100 {
            let name: HeaderName = format!("x-{number}").parse().unwrap();
            headers.insert(name, HeaderValue::from_bytes(&[0xff; 5_000]).unwrap());
        }
        let long = format!("/{}", "ü".repeat(500).replace('ü', "%C3%BC"));
        let sample = sampled(&long, &headers, Some(&[0xff; 100_000]));
        let all =
            sample.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        // A byte that is no UTF-8 becomes three.
        assert!(all <= HEADERS && sample.path.len() <= 110 && sample.body.len() <= 3 * BODY);
        assert_eq!(sample.body_bytes, Some(100_000));
    }

    #[test]
    fn under_a_flood_few_are_looked_at() {
        let rejects = Rejects::default();
        let (uri, headers, now) = (Uri::from_static("/in/s"), HeaderMap::new(), Instant::now());
        let count = |client: IpAddr, verified| {
            let head = (&Method::POST, &uri, &headers);
            let (none, who) = (UrlTokens::default(), (client, verified));
            let sampled = |_: &u32| rejects.sample(head, None, (None, &none), who, now).is_some();
            (0..10_000).filter(sampled).count()
        };
        assert_eq!(count(LOCAL, false), KEPT / 2);
        assert_eq!(count([10, 0, 0, 1].into(), false), KEPT / 2);
        assert_eq!(count([10, 0, 0, 2].into(), false), 0, "all strangers have used theirs up");
        assert_eq!(count([10, 0, 0, 3].into(), true), KEPT, "the source's own are apart");
    }

    /// A stranger's thousand refusals used to push the provider's own out of the list.
    #[test]
    fn regression_a_stranger_pushes_nobody_else_out_of_the_list() {
        let rejects = Rejects::default();
        let provider = IpAddr::from([192, 0, 2, 7]);
        rejects.push(from(provider, "bad-signature", 0));
        rejects.push(Kept { verified: true, ..from(provider, "invalid", 1) });
        for number in 2..1_000 {
            rejects.push(rejected("bad-signature", number));
        }
        let list = rejects.list();
        assert_eq!(list.len(), KEPT);
        let own: Vec<_> = list.iter().filter(|one| one.client == provider).collect();
        assert_eq!(own.len(), 2, "{list:?}");
        for number in 1_000..2_000u32 {
            let client = IpAddr::V4(number.into());
            rejects.push(from(client, "bad-signature", number as usize));
        }
        assert!(
            rejects.list().iter().any(|one| one.reason == "invalid"),
            "strangers from everywhere"
        );
    }
}
