//! Checks that a request comes from whom it says.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use super::keyed::{First, Keys, MAX_TAG, Tag};
use super::{Algorithm, Answer, Encoding, HmacScheme, Request, Secret, Verify};

/// The headers of Standard Webhooks: id, timestamp, signature.
static STANDARD_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];
/// The same under the names that came before the standard.
static SVIX_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];
static GITHUB_HEADER: HeaderName = HeaderName::from_static("x-hub-signature-256");
static STRIPE_HEADER: HeaderName = HeaderName::from_static("stripe-signature");

/// The request is the source's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    Event {
        /// Which secret it proved to know, by its place in the settings; none
        /// where the scheme asks for none.
        secret: Option<usize>,
    },
    /// Not an event: the provider wants this answer.
    Handshake(Answer),
}

/// Why a request was not believed: for the log and the metrics. Whoever sent
/// it is told none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a header that the scheme needs is missing")]
    Missing,
    #[error("a header of the scheme does not have the scheme's form")]
    Malformed,
    #[error("the signature or credential matches none of the secrets")]
    Mismatch,
    #[error("the timestamp is further from now than the tolerance")]
    Stale,
}

impl Refusal {
    pub const ALL: [Self; 4] = [Self::Missing, Self::Malformed, Self::Mismatch, Self::Stale];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing-header",
            Self::Malformed => "malformed-header",
            Self::Mismatch => "bad-signature",
            Self::Stale => "stale-timestamp",
        }
    }
}

/// Checks requests by one source's settings. Make it once: it holds the keyed
/// states. Every secret is tried on every request, in constant time.
pub struct Verifier(Scheme);

enum Scheme {
    None,
    Standard { keys: Keys, tolerance_s: u64 },
    Stripe { keys: Keys, tolerance_s: u64 },
    Hmac { header: HeaderName, encoding: Encoding, prefix: String, keys: Keys },
    Basic(Vec<Secret>),
    Bearer(Vec<Secret>),
}

impl Verifier {
    pub fn new(verify: &Verify) -> Self {
        let sha256 = |secrets: &[Secret]| Keys::new(Algorithm::Sha256, secrets);
        Self(match verify {
            Verify::None => Scheme::None,
            Verify::Standard { secrets, tolerance } => {
                Scheme::Standard { keys: sha256(secrets), tolerance_s: tolerance.as_secs() }
            }
            Verify::Github { secrets } => Scheme::Hmac {
                header: GITHUB_HEADER.clone(),
                encoding: Encoding::Hex,
                prefix: "sha256=".into(),
                keys: sha256(secrets),
            },
            Verify::Stripe { secrets, tolerance } => {
                Scheme::Stripe { keys: sha256(secrets), tolerance_s: tolerance.as_secs() }
            }
            Verify::Hmac(HmacScheme { header, algorithm, encoding, prefix, secrets }) => {
                Scheme::Hmac {
                    header: header.clone(),
                    encoding: *encoding,
                    prefix: prefix.clone(),
                    keys: Keys::new(*algorithm, secrets),
                }
            }
            Verify::Basic { secrets } => Scheme::Basic(secrets.clone()),
            Verify::Bearer { secrets } => Scheme::Bearer(secrets.clone()),
        })
    }

    /// Checks one request; `now_s` is seconds since 1970. Pure, and safe with
    /// any bytes.
    ///
    /// # Errors
    /// The reason, which must not reach whoever sent the request.
    pub fn verify(&self, request: &Request<'_>, now_s: u64) -> Result<Verified, Refusal> {
        let Request { headers, body, .. } = *request;
        let secret = match &self.0 {
            Scheme::None => return Ok(Verified::Event { secret: None }),
            Scheme::Standard { keys, tolerance_s } => {
                standard(headers, body, keys, now_s, *tolerance_s)?
            }
            Scheme::Stripe { keys, tolerance_s } => {
                stripe(headers, body, keys, now_s, *tolerance_s)?
            }
            Scheme::Hmac { header, encoding, prefix, keys } => {
                let text = value(headers, header)?;
                let text = text.strip_prefix(prefix.as_bytes()).ok_or(Refusal::Malformed)?;
                let tag = decode(text, *encoding).ok_or(Refusal::Malformed)?;
                keys.find(&[body], &[tag])
            }
            Scheme::Basic(secrets) => {
                let digits = authorization(headers, "basic")?;
                let text = STANDARD.decode(digits).map_err(|_| Refusal::Malformed)?;
                among(secrets, &Zeroizing::new(text))
            }
            Scheme::Bearer(secrets) => among(secrets, authorization(headers, "bearer")?),
        };
        let secret = secret.ok_or(Refusal::Mismatch)?;
        Ok(Verified::Event { secret: Some(secret) })
    }

    /// What a 401 says in `www-authenticate` (RFC 9110, 11.6.1).
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self.0 {
            Scheme::Basic(_) => "Basic realm=\"hookwright\", charset=\"UTF-8\"",
            Scheme::Bearer(_) => "Bearer",
            _ => "Signature",
        })
    }
}

/// Standard Webhooks: `id.timestamp.body`, several `v1,base64` separated by spaces.
fn standard(
    headers: &HeaderMap,
    body: &[u8],
    keys: &Keys,
    now_s: u64,
    tolerance_s: u64,
) -> Result<Option<usize>, Refusal> {
    let first = headers.contains_key(&STANDARD_HEADERS[0]);
    let [id, timestamp, signatures] = if first { &STANDARD_HEADERS } else { &SVIX_HEADERS };
    let id = value(headers, id)?;
    let timestamp = value(headers, timestamp)?;
    let signatures = value(headers, signatures)?;
    // A `.` in the id would let the bounds between the signed parts move.
    if id.is_empty() || id.contains(&b'.') {
        return Err(Refusal::Malformed);
    }
    fresh(timestamp, now_s, tolerance_s)?;
    let v1 = |one: &[u8]| decode(one.strip_prefix(b"v1,")?, Encoding::Base64);
    let tags: Vec<Tag> = signatures.split(|byte| *byte == b' ').filter_map(v1).collect();
    if tags.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(keys.find(&[id, b".", timestamp, b".", body], &tags))
}

/// Stripe: `t=timestamp,v1=hex,v1=hex`, over `timestamp.body`.
fn stripe(
    headers: &HeaderMap,
    body: &[u8],
    keys: &Keys,
    now_s: u64,
    tolerance_s: u64,
) -> Result<Option<usize>, Refusal> {
    let mut timestamp = None;
    let mut tags = Vec::with_capacity(1);
    for part in value(headers, &STRIPE_HEADER)?.split(|byte| *byte == b',') {
        let part = part.trim_ascii();
        if let Some(text) = part.strip_prefix(b"t=") {
            timestamp = timestamp.or(Some(text));
        } else if let Some(text) = part.strip_prefix(b"v1=") {
            tags.extend(decode(text, Encoding::Hex));
        }
    }
    let timestamp = timestamp.ok_or(Refusal::Malformed)?;
    fresh(timestamp, now_s, tolerance_s)?;
    if tags.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(keys.find(&[timestamp, b".", body], &tags))
}

fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Refusal> {
    headers.get(name).map(HeaderValue::as_bytes).ok_or(Refusal::Missing)
}

/// Refuses a timestamp that is too old or too far ahead.
fn fresh(timestamp: &[u8], now_s: u64, tolerance_s: u64) -> Result<(), Refusal> {
    // `parse` alone would take a sign.
    if !timestamp.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(timestamp).map_err(|_| Refusal::Malformed)?;
    let seconds: u64 = text.parse().map_err(|_| Refusal::Malformed)?;
    if now_s.abs_diff(seconds) > tolerance_s { Err(Refusal::Stale) } else { Ok(()) }
}

/// The credentials of an `authorization` header with that scheme (in lower case).
fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h [u8], Refusal> {
    let text = value(headers, &header::AUTHORIZATION)?;
    let (named, rest) = text.split_at_checked(scheme.len()).ok_or(Refusal::Malformed)?;
    let spaced = named.eq_ignore_ascii_case(scheme.as_bytes()) && rest.starts_with(b" ");
    if spaced { Ok(rest.trim_ascii()) } else { Err(Refusal::Malformed) }
}

/// The first secret that is the candidate; compares with all.
fn among(secrets: &[Secret], candidate: &[u8]) -> Option<usize> {
    let mut first = First::default();
    for secret in secrets {
        first.note(u8::from(secret.matches(candidate)).into());
    }
    first.index()
}

fn decode(text: &[u8], encoding: Encoding) -> Option<Tag> {
    // Room for base64's estimate of the longest tag, which rounds up.
    let mut bytes = [0; MAX_TAG + 8];
    let length = match encoding {
        Encoding::Hex => {
            let length = text.len() / 2;
            hex::decode_to_slice(text, bytes.get_mut(..length)?).ok()?;
            length
        }
        Encoding::Base64 => STANDARD.decode_slice(text, &mut bytes).ok()?,
    };
    Tag::new(&bytes[..length])
}

/// Whether a header carries a credential, which must not be stored, rather
/// than a signature, which tells nothing about the secret.
pub fn is_credential(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "proxy-authorization"
            | "cookie"
            | "api-key"
            | "x-api-key"
            | "x-auth-token"
            | "x-access-token"
            | "x-gitlab-token"
            | "x-goog-channel-token"
            | "x-telegram-bot-api-secret-token"
    )
}
