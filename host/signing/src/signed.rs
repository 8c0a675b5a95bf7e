//! Verification of a signature scheme: finds the signatures in a request, builds the signed text, and tries the keys.
use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::keyed::Keys;
use super::message::{self, Message};
use super::preset::OtherAlgorithm;
use super::request::{Request, in_body, in_form, single};

use super::url::Urls;
use super::{
    Credential, Encoding, HmacScheme, Key, Part, Place, PresetScheme, Proof, Refusal, Unit,
};
use hookwright_model::date::parse_moment;

/// Headers of one signature each, where a scheme has them numbered.
const MAX_NUMBER: u8 = 100;

/// A signature scheme with parsed header names and prepared keys. A source's verifier makes it once, and uses it
/// for every request.
pub(super) struct Signed {
    headers: Vec<HeaderName>,
    numbered: Option<&'static str>,
    json: Option<&'static str>,
    form: Option<&'static str>,
    separator: Option<u8>,
    prefix: Cow<'static, str>,
    public_prefix: &'static str,
    message: &'static [Part],
    encoding: Encoding,
    time: Option<(Spot, Unit, Window)>,
    id: Option<Spot>,
    pub(super) urls: Urls,
    pub(super) keys: Keys,
    /// The keys for requests that name another algorithm.
    other: Option<(OtherAlgorithm, HeaderName, Keys)>,
}

/// How far the signed time may be from now, in seconds.
struct Window {
    past_s: u64,
    ahead_s: u64,
}

/// A [`Place`] with parsed header names.
enum Spot {
    Header(Vec<HeaderName>),
    Entry(&'static str),
    Json(&'static str),
    Form(&'static str),
    First(Vec<Spot>),
}

impl Spot {
    fn new(place: &Place) -> Self {
        match place {
            Place::Header(names) => {
                Self::Header(names.iter().map(|name| HeaderName::from_static(name)).collect())
            }
            Place::HeaderIs(name, _) => Self::Header(vec![HeaderName::from_static(name)]),
            Place::Entry(prefix) => Self::Entry(prefix),
            Place::Json(pointer) => Self::Json(pointer),
            Place::Form(name) => Self::Form(name),
            Place::First(places) => Self::First(places.iter().map(Self::new).collect()),
        }
    }

    /// The value at the place.
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
            Self::Form(name) => in_form(request, name)?,
            Self::First(spots) => {
                let mut found = None;
                for spot in spots {
                    found = match spot.look(request) {
                        Err(Refusal::Missing) => continue,
                        other => Some(other?),
                    };
                    break;
                }
                found
            }
            // Read together with the signature.
            Self::Entry(_) => None,
        };
        found.ok_or(Refusal::Missing)
    }
}

impl Signed {
    pub(super) fn of(signed: &super::Signed, scheme: &PresetScheme) -> Self {
        let name = |name: &&'static str| HeaderName::from_static(name);
        let other = |other: OtherAlgorithm| {
            let keys = Keys::new(other.algorithm, &scheme.secrets);
            (other, HeaderName::from_static(other.header), keys)
        };
        let preset = scheme.preset;
        let id = preset.signs(Part::Id).then_some(preset.id.as_ref()).flatten();
        let (past_s, ahead_s) = (scheme.tolerance.as_secs(), scheme.ahead.as_secs());
        let window = |place: &Place, unit| (Spot::new(place), unit, Window { past_s, ahead_s });
        Self {
            headers: signed.signature.headers.iter().map(name).collect(),
            numbered: signed.signature.numbered,
            json: signed.signature.json,
            form: signed.signature.form,
            separator: signed.signature.separator,
            prefix: signed.signature.prefix.into(),
            public_prefix: signed.signature.public_prefix,
            message: signed.message,
            encoding: signed.encoding,
            time: preset.time.map(|time| window(&time.place, time.unit)),
            id: id.map(Spot::new),
            urls: Urls::new(signed.message, scheme.url.as_deref().unwrap_or_default()),
            keys: Keys::new(signed.algorithm, &scheme.secrets),
            other: signed.other.map(other),
        }
    }

    /// The other scheme of a provider whose secrets are of that one: the places of the secrets
    /// stay. None where there is none, or no such secret.
    pub(super) fn also(scheme: &PresetScheme) -> Option<Self> {
        let other = scheme.preset.also?;
        let Proof::Signed(signed) = &other.proof else { return None };
        let mut any = false;
        let secrets: Vec<Credential> = scheme
            .secrets
            .iter()
            .map(|secret| {
                let key = match &secret.key {
                    Key::Shared(text) if text.expose().starts_with(b"whsec_") => {
                        other.key.read(text.expose()).ok()
                    }
                    _ => None,
                };
                any |= key.is_some();
                Credential { key: key.unwrap_or_else(|| secret.key.clone()), ..secret.clone() }
            })
            .collect();
        any.then(|| Self::of(signed, &PresetScheme::new(other, secrets)))
    }

    /// Whether the request has a header for the scheme's signature.
    pub(super) fn is_there(&self, request: &Request<'_>) -> bool {
        self.headers.iter().any(|name| request.headers.contains_key(name))
    }

    pub(super) fn of_hmac(scheme: &HmacScheme) -> Self {
        Self {
            headers: vec![scheme.header.clone()],
            numbered: None,
            json: None,
            form: None,
            separator: None,
            prefix: scheme.prefix.clone().into(),
            public_prefix: "",
            message: &[Part::Body],
            encoding: scheme.encoding,
            time: None,
            id: None,
            urls: Urls::default(),
            keys: Keys::new(scheme.algorithm, &scheme.secrets),
            other: None,
        }
    }

    pub(super) fn find(&self, request: &Request<'_>, now_s: u64) -> Result<usize, Refusal> {
        let mut in_body = self.json.and_then(|pointer| in_body(request.body, pointer));
        if let (None, Some(name)) = (&in_body, self.form) {
            in_body = in_form(request, name)?;
        }
        let mut there = in_body.is_some();
        for name in self.headers.iter().chain(self.numbered_headers(request)) {
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
        if let Some((_, unit, window)) = &self.time {
            fresh(&time, *unit, now_s, window)?;
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
        let keys = self.keys_for(request)?;
        let made = self.made(request)?;
        let mut refusal = Refusal::Mismatch;
        for way in 0.. {
            let Some(url) = self.urls.at(request, way) else { break };
            let parts = Parts { id: &id, time: &time, url: &url, made: &made };
            let message = self.message(request, &parts);
            let entries = |public| entries(prefix(public));
            match keys.find(message.parts(), self.encoding, entries, now_s) {
                // The URL may have been signed in another way.
                Err(Refusal::Mismatch) => {}
                Err(Refusal::Expired) => refusal = Refusal::Expired,
                found => return found,
            }
        }
        Err(refusal)
    }

    /// Those for the algorithm that the request names, or the usual ones.
    fn keys_for(&self, request: &Request<'_>) -> Result<&Keys, Refusal> {
        let Some((other, header, keys)) = &self.other else { return Ok(&self.keys) };
        let Some(text) = single(request.headers, header)? else { return Ok(&self.keys) };
        let text = std::str::from_utf8(text).map_err(|_| Refusal::Malformed)?;
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim() == "algorithm");
        match named.next().map(|(_, value)| value.trim()) {
            None | Some("") => Ok(&self.keys),
            Some(name) if name.eq_ignore_ascii_case(other.usual) => Ok(&self.keys),
            Some(name) if name.eq_ignore_ascii_case(other.name) => Ok(keys),
            Some(_) => Err(Refusal::Malformed),
        }
    }

    /// The headers of the request that have a number behind the scheme's name.
    fn numbered_headers<'r>(
        &self,
        request: &Request<'r>,
    ) -> impl Iterator<Item = &'r HeaderName> + use<'r> {
        let start = self.numbered;
        let names = request.headers.keys().filter(move |name| {
            let number = start.and_then(|start| name.as_str().strip_prefix(start));
            number.is_some_and(|text| {
                let known = text.parse::<u8>().is_ok_and(|it| (2..=MAX_NUMBER).contains(&it));
                known && !text.starts_with(['0', '+'])
            })
        });
        names.take(MAX_NUMBER.into())
    }

    /// What stands behind the prefix, wherever the scheme's signatures stand.
    fn entries<'r>(
        &'r self,
        request: &'r Request<'r>,
        in_body: Option<&'r [u8]>,
        prefix: &'r str,
    ) -> impl Iterator<Item = &'r [u8]> {
        let header = |name: &HeaderName| request.headers.get(name).map(HeaderValue::as_bytes);
        let names = self.headers.iter().chain(self.numbered_headers(request));
        let texts = in_body.into_iter().chain(names.filter_map(header));
        let split = |text: &'r [u8]| {
            let separator = self.separator;
            text.split(move |byte| Some(*byte) == separator).map(<[u8]>::trim_ascii)
        };
        texts.flat_map(split).filter_map(|entry| entry.strip_prefix(prefix.as_bytes()))
    }

    /// What is signed of the body, where that is not the body as it came.
    ///
    /// # Errors
    /// The request can't have been signed.
    pub(super) fn made(&self, request: &Request<'_>) -> Result<Vec<u8>, Refusal> {
        let made = self.message.iter().find_map(|part| match part {
            Part::TwilioForm => Some(message::twilio_form(request)),
            Part::AdyenItem => Some(message::adyen_item(request.body)),
            _ => None,
        });
        made.unwrap_or_else(|| Ok(Vec::new()))
    }

    /// What is signed, in its parts.
    pub(super) fn message<'m>(&self, request: &Request<'m>, parts: &Parts<'m>) -> Message<'m> {
        let mut message = Message::default();
        for part in self.message {
            message.push(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Id => parts.id,
                Part::Time => parts.time,
                Part::Method => request.method.as_str().as_bytes(),
                Part::Body => request.body,
                Part::Url | Part::HubspotUrl | Part::TwilioUrl => parts.url,
                Part::TwilioForm | Part::AdyenItem => parts.made,
            });
        }
        message
    }
}

/// What of a message is found or made before it is put together.
pub(super) struct Parts<'m> {
    pub(super) id: &'m [u8],
    pub(super) time: &'m [u8],
    pub(super) url: &'m [u8],
    pub(super) made: &'m [u8],
}

/// Refuses a timestamp that is too old or too far ahead.
fn fresh(timestamp: &[u8], unit: Unit, now_s: u64, window: &Window) -> Result<(), Refusal> {
    let text = std::str::from_utf8(timestamp).map_err(|_| Refusal::Malformed)?;
    // `parse` alone would take a sign.
    let digits =
        || if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let seconds: Option<u64> = match unit {
        Unit::Seconds => digits(),
        Unit::Millis => digits().map(|millis: u64| millis / 1_000),
        Unit::Date => parse_moment(text),
    };
    let seconds = seconds.ok_or(Refusal::Malformed)?;
    let old = now_s.saturating_sub(seconds) > window.past_s;
    let early = seconds.saturating_sub(now_s) > window.ahead_s;
    if old || early { Err(Refusal::Stale) } else { Ok(()) }
}
