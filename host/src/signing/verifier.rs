//! Checks that a request comes from whom it says: one reader of the table of providers.
use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::certified::{self, Certified};
use super::fetched::{Fetched, Material};
use super::handshake::Handshakes;
use super::jwt;
use super::keyed::Keys;
use super::message::{self, Message};
use super::request::{Answer, Request};
use super::time::seconds_of_date;
use super::token::Token;
use super::{
    CertifiedScheme, Encoding, HmacScheme, JwtKeys, JwtScheme, Part, Place, PresetScheme, Proof,
    Unit, Verify,
};
use crate::model::pointer;

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
    /// Not an event: the provider wants this URL of its own to be fetched.
    Confirm(String),
}

/// Why a request was not believed: for the log and the metrics. Whoever sent
/// it is told none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a header or field that the scheme needs is missing")]
    Missing,
    #[error("a header or field of the scheme does not have the scheme's form, or is there twice")]
    Malformed,
    #[error("the signature or credential matches none of the secrets")]
    Mismatch,
    #[error("the timestamp is further from now than the tolerance")]
    Stale,
    #[error("the secret that matches does not count yet, or no longer (`from`, `until`)")]
    Expired,
    #[error("the certificate or key set that it is signed by could not be fetched")]
    NoKeys,
}

impl Refusal {
    pub const ALL: [Self; 6] =
        [Self::Missing, Self::Malformed, Self::Mismatch, Self::Stale, Self::Expired, Self::NoKeys];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing-header",
            Self::Malformed => "malformed-header",
            Self::Mismatch => "bad-signature",
            Self::Stale => "stale-timestamp",
            Self::Expired => "expired-secret",
            Self::NoKeys => "keys-unavailable",
        }
    }
}

/// Checks requests by one source's settings. Make it once: it holds the keyed
/// states. Every secret is tried on every request, in constant time.
pub struct Verifier {
    pub(super) check: Check,
    handshakes: Handshakes,
}

pub(super) enum Check {
    Nothing,
    Signed(Box<Signed>),
    Token(Token),
    Jwt(JwtScheme),
    Certified(CertifiedScheme),
}

impl Verifier {
    pub fn new(verify: &Verify) -> Self {
        let check = match verify {
            Verify::None => Check::Nothing,
            Verify::Hmac(scheme) => Check::Signed(Box::new(Signed::of_hmac(scheme))),
            Verify::ApiKey(scheme) => Check::Token(Token::of_key(&scheme.place, &scheme.secrets)),
            Verify::Jwt(scheme) => Check::Jwt(scheme.clone()),
            Verify::Certified(scheme) => Check::Certified(scheme.clone()),
            Verify::Preset(scheme) => match &scheme.preset.proof {
                Proof::Signed(signed) => Check::Signed(Box::new(Signed::of(signed, scheme))),
                Proof::Token(places) => Check::Token(Token::new(places, &scheme.secrets)),
            },
        };
        Self { check, handshakes: Handshakes::new(verify) }
    }

    /// Whether a request of this method may be a handshake. Events come by POST.
    pub fn greets(&self, method: &Method) -> bool {
        self.handshakes.by(method)
    }

    /// Checks one request; `now_s` is seconds since 1970. Pure, and safe with
    /// any bytes.
    ///
    /// # Errors
    /// The reason, which must not reach whoever sent the request.
    pub fn verify(&self, request: &Request<'_>, now_s: u64) -> Result<Verified, Refusal> {
        self.verify_with(request, now_s, None)
    }

    /// The same with what [`Verifier::wants`] asked for.
    ///
    /// # Errors
    /// As `verify`; `NoKeys` where it is missing.
    pub fn verify_with(
        &self,
        request: &Request<'_>,
        now_s: u64,
        fetched: Option<&Fetched>,
    ) -> Result<Verified, Refusal> {
        if let Some(answer) = self.handshakes.unsigned(request, &self.check, now_s)? {
            return Ok(Verified::Handshake(answer));
        }
        if request.method != Method::POST {
            return Err(Refusal::Malformed);
        }
        let secret = match &self.check {
            Check::Nothing => return Ok(Verified::Event { secret: None }),
            Check::Signed(signed) => signed.find(request, now_s)?,
            Check::Token(token) => token.find(request, now_s)?,
            Check::Jwt(scheme) => {
                let token = jwt::Token::of(request)?;
                let keys = match (&scheme.keys, fetched) {
                    (JwtKeys::Set(keys), _) => keys,
                    (JwtKeys::Url(_), Some(Fetched(Material::Set(keys)))) => keys,
                    (JwtKeys::Url(_), _) => return Err(Refusal::NoKeys),
                };
                let place = token.verify(scheme, keys, now_s)?;
                // Places in a set that changes by itself mean nothing.
                if matches!(scheme.keys, JwtKeys::Set(_)) { place } else { 0 }
            }
            Check::Certified(scheme) => {
                let Some(Fetched(Material::Certificate(key))) = fetched else {
                    return Err(Refusal::NoKeys);
                };
                match certified::verify(scheme, key, request, now_s)? {
                    Certified::Event => 0,
                    Certified::Confirm(url) => return Ok(Verified::Confirm(url)),
                }
            }
        };
        match self.handshakes.signed(request, &self.check, secret) {
            Some(answer) => Ok(Verified::Handshake(answer)),
            None => Ok(Verified::Event { secret: Some(secret) }),
        }
    }

    /// What a 401 says in `www-authenticate` (RFC 9110, 11.6.1).
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match &self.check {
            Check::Token(token) => token.challenge(),
            Check::Jwt(_) => "Bearer",
            Check::Nothing | Check::Signed(_) | Check::Certified(_) => "Signature",
        })
    }

    /// The header in which the secret itself comes, where [`is_credential`]
    /// does not know it.
    pub fn credential(&self) -> Option<&HeaderName> {
        match &self.check {
            Check::Token(token) => token.header(),
            Check::Nothing | Check::Signed(_) | Check::Jwt(_) | Check::Certified(_) => None,
        }
    }
}

/// A scheme of signatures, its names looked up and its keys made ready.
pub(super) struct Signed {
    headers: Vec<HeaderName>,
    json: Option<&'static str>,
    separator: Option<u8>,
    prefix: Cow<'static, str>,
    public_prefix: &'static str,
    message: &'static [Part],
    encoding: Encoding,
    time: Option<(Spot, Unit, u64)>,
    id: Option<Spot>,
    url: String,
    pub(super) keys: Keys,
}

/// A [`Place`], its names looked up.
enum Spot {
    Header(Vec<HeaderName>),
    Entry(&'static str),
    Json(&'static str),
}

impl Spot {
    fn new(place: &Place) -> Self {
        match place {
            Place::Header(names) => {
                Self::Header(names.iter().map(|name| HeaderName::from_static(name)).collect())
            }
            Place::Entry(prefix) => Self::Entry(prefix),
            Place::Json(pointer) => Self::Json(pointer),
        }
    }
}

impl Signed {
    pub(super) fn of(signed: &super::Signed, scheme: &PresetScheme) -> Self {
        let name = |name: &&'static str| HeaderName::from_static(name);
        let preset = scheme.preset;
        let id = preset.signs(Part::Id).then_some(preset.id.as_ref()).flatten();
        let tolerance_s = scheme.tolerance.as_secs();
        Self {
            headers: signed.signature.headers.iter().map(name).collect(),
            json: signed.signature.json,
            separator: signed.signature.separator,
            prefix: signed.signature.prefix.into(),
            public_prefix: signed.signature.public_prefix,
            message: signed.message,
            encoding: signed.encoding,
            time: preset.time.map(|time| (Spot::new(&time.place), time.unit, tolerance_s)),
            id: id.map(Spot::new),
            url: scheme.url.clone().unwrap_or_default(),
            keys: Keys::new(signed.algorithm, &scheme.secrets),
        }
    }

    fn of_hmac(scheme: &HmacScheme) -> Self {
        Self {
            headers: vec![scheme.header.clone()],
            json: None,
            separator: None,
            prefix: scheme.prefix.clone().into(),
            public_prefix: "",
            message: &[Part::Body],
            encoding: scheme.encoding,
            time: None,
            id: None,
            url: String::new(),
            keys: Keys::new(scheme.algorithm, &scheme.secrets),
        }
    }

    fn find(&self, request: &Request<'_>, now_s: u64) -> Result<usize, Refusal> {
        let in_body = match self.json {
            Some(pointer) => Some(in_body(request.body, pointer).ok_or(Refusal::Missing)?),
            None => None,
        };
        let mut there = in_body.is_some();
        for name in &self.headers {
            there |= single(request.headers, name)?.is_some();
        }
        if !there {
            return Err(Refusal::Missing);
        }
        let entries = |prefix| self.entries(request, in_body.as_deref(), prefix);
        let time = match &self.time {
            Some((Spot::Entry(prefix), ..)) => {
                let mut times = entries(prefix);
                let first = times.next().ok_or(Refusal::Malformed)?;
                if times.next().is_some() {
                    return Err(Refusal::Malformed);
                }
                Cow::Borrowed(first)
            }
            Some((spot, ..)) => spot.look(request)?,
            None => Cow::Borrowed(&b""[..]),
        };
        if let Some((_, unit, tolerance_s)) = &self.time {
            fresh(&time, *unit, now_s, *tolerance_s)?;
        }
        let id = match &self.id {
            Some(spot) => spot.look(request)?,
            None => Cow::Borrowed(&b""[..]),
        };
        // A `.` in the id would let the bounds between the signed parts move.
        if self.id.is_some() && (id.is_empty() || id.contains(&b'.')) {
            return Err(Refusal::Malformed);
        }
        let prefix = |public| if public { self.public_prefix } else { &*self.prefix };
        self.with_message(request, &id, &time, |message| {
            self.keys.find(message, self.encoding, |public| entries(prefix(public)), now_s)
        })?
    }

    /// What stands behind the prefix, wherever the scheme's signatures stand.
    fn entries<'r>(
        &'r self,
        request: &'r Request<'r>,
        in_body: Option<&'r [u8]>,
        prefix: &'r str,
    ) -> impl Iterator<Item = &'r [u8]> {
        let header = |name: &HeaderName| request.headers.get(name).map(HeaderValue::as_bytes);
        let texts = in_body.into_iter().chain(self.headers.iter().filter_map(header));
        let split = |text: &'r [u8]| {
            let separator = self.separator;
            text.split(move |byte| Some(*byte) == separator).map(<[u8]>::trim_ascii)
        };
        texts.flat_map(split).filter_map(|entry| entry.strip_prefix(prefix.as_bytes()))
    }

    /// Gives the parts of what is signed to `read`.
    ///
    /// # Errors
    /// The request can't have been signed.
    pub(super) fn with_message<T>(
        &self,
        request: &Request<'_>,
        id: &[u8],
        time: &[u8],
        read: impl FnOnce(&[&[u8]]) -> T,
    ) -> Result<T, Refusal> {
        let mut made: [Cow<'_, [u8]>; 2] = [Cow::Borrowed(b""), Cow::Borrowed(b"")];
        for part in self.message {
            match part {
                Part::Url => made[0] = message::url(&self.url, request),
                Part::HubspotUrl => made[0] = message::hubspot_url(&self.url, request),
                Part::TwilioForm => made[1] = message::twilio_form(request)?.into(),
                Part::AdyenItem => made[1] = message::adyen_item(request.body)?.into(),
                _ => {}
            }
        }
        let mut message = Message::default();
        for part in self.message {
            message.push(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Id => id,
                Part::Time => time,
                Part::Method => request.method.as_str().as_bytes(),
                Part::Body => request.body,
                Part::Url | Part::HubspotUrl => &made[0],
                Part::TwilioForm | Part::AdyenItem => &made[1],
            });
        }
        Ok(read(message.parts()))
    }
}

impl Spot {
    /// What stands there.
    fn look<'r>(&self, request: &Request<'r>) -> Result<Cow<'r, [u8]>, Refusal> {
        let found = match self {
            Self::Header(names) => {
                let mut found = None;
                for name in names {
                    found = found.or(single(request.headers, name)?);
                }
                found.map(Cow::Borrowed)
            }
            Self::Json(pointer) => in_body(request.body, pointer),
            // Read together with the signature.
            Self::Entry(_) => None,
        };
        found.ok_or(Refusal::Missing)
    }
}

pub(super) fn in_body<'b>(body: &'b [u8], pointer: &str) -> Option<Cow<'b, [u8]>> {
    pointer::plain(pointer::at(body, pointer)?)
}

/// The value of a header that may be there once.
///
/// # Errors
/// It is there twice: which one was signed, nobody knows.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
}

/// Refuses a timestamp that is too old or too far ahead.
fn fresh(timestamp: &[u8], unit: Unit, now_s: u64, tolerance_s: u64) -> Result<(), Refusal> {
    let text = std::str::from_utf8(timestamp).map_err(|_| Refusal::Malformed)?;
    // `parse` alone would take a sign.
    let digits =
        || if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let seconds: Option<u64> = match unit {
        Unit::Seconds => digits(),
        Unit::Millis => digits().map(|millis: u64| millis / 1_000),
        Unit::Date => seconds_of_date(text),
    };
    let seconds = seconds.ok_or(Refusal::Malformed)?;
    if now_s.abs_diff(seconds) > tolerance_s { Err(Refusal::Stale) } else { Ok(()) }
}
