//! Checks that a request comes from whom it says: one reader of the table of providers.
use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::certified::{self, Certified};
use super::fetched::{Fetched, Material};
use super::handshake::Handshakes;
use super::jwt;
use super::request::{Answer, Request};
use super::signed::Signed;
use super::token::Token;
use super::{CertifiedScheme, JwtKeys, JwtScheme, Proof, Verify};
use hookwright_model::form::{self, Field};
use hookwright_model::pointer;

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
    /// For providers that sign where they have another sort of secret.
    also: Option<Box<Signed>>,
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
        let also = match verify {
            Verify::Preset(scheme) => Signed::also(scheme).map(Box::new),
            _ => None,
        };
        Self { check, also, handshakes: Handshakes::new(verify) }
    }

    /// Whether a request of this method may be a handshake.
    pub fn greets(&self, method: &Method) -> bool {
        self.greeting() == Some(method)
    }

    /// The method of handshakes, where that is another than POST.
    pub fn greeting(&self) -> Option<&Method> {
        self.handshakes.method()
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
        let secret = match &self.check {
            Check::Nothing => return Ok(Verified::Event { secret: None }),
            Check::Signed(signed) => signed.find(request, now_s)?,
            Check::Token(token) => match &self.also {
                Some(signed) if signed.is_there(request) => signed.find(request, now_s)?,
                _ => token.find(request, now_s)?,
            },
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

    /// The query's parameter in which the secret itself comes.
    pub fn parameter(&self) -> Option<&str> {
        match &self.check {
            Check::Token(token) => token.parameter(),
            Check::Nothing | Check::Signed(_) | Check::Jwt(_) | Check::Certified(_) => None,
        }
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

pub(super) fn in_body<'b>(body: &'b [u8], pointer: &str) -> Option<Cow<'b, [u8]>> {
    pointer::plain(pointer::at(body, pointer)?)
}

/// A field of the body, where it is a form.
///
/// # Errors
/// It stands there twice.
pub(super) fn in_form<'r>(
    request: &Request<'r>,
    name: &str,
) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    match form::field(request.headers, request.body, name) {
        Field::None => Ok(None),
        Field::One(value) => Ok(Some(value)),
        Field::Several(_) => Err(Refusal::Malformed),
    }
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
