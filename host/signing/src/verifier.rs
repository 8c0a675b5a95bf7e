//! Checks that a request comes from whom it says: one reader of the table of providers.
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::certified::{self, Certified};
use super::check::Check;
use super::fetched::{Fetched, Material, Wanted};
use super::handshake::Handshakes;
use super::jwt;
use super::refusal::Refusal;
use super::request::{Answer, Request};
use super::scheme::{JwtKeys, Verify};
use super::signed::Signed;

/// The request is the source's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// An event.
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

/// Checks requests by one source's settings. Make it once: it holds the keyed
/// states. Every secret is tried on every request, in constant time.
pub struct Verifier {
    check: Check,
    /// For providers that sign where they have another sort of secret.
    also: Option<Box<Signed>>,
    handshakes: Handshakes,
}

impl Verifier {
    /// Makes one source's verifier: parses keys and prepares keyed states.
    pub fn new(verify: &Verify) -> Self {
        let check = Check::new(verify);
        let also = match verify {
            Verify::Preset(scheme) => Signed::also(scheme).map(Box::new),
            _ => None,
        };
        Self { check, also, handshakes: Handshakes::new(verify) }
    }

    /// Whether a request of this method may be a handshake.
    pub fn handles_handshake(&self, method: &Method) -> bool {
        self.handshake_method() == Some(method)
    }

    /// The method of handshakes, where that is another than POST.
    pub fn handshake_method(&self) -> Option<&Method> {
        self.handshakes.method()
    }

    /// Checks one request; `now_s` is seconds since 1970. Pure, and safe with
    /// any bytes.
    ///
    /// # Errors
    /// The reason, which must not reach the client.
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

    /// What must be fetched to check this request; none where nothing must. All that can be told without it is checked
    /// first, so that a request that can't be the source's own costs no fetch.
    ///
    /// # Errors
    /// The request can't be the source's own, or names a place that is not its provider's.
    pub fn wants<'r>(
        &'r self,
        request: &Request<'r>,
        now_s: u64,
    ) -> Result<Option<Wanted<'r>>, Refusal> {
        self.check.wants(request, now_s)
    }

    /// Parses what a URL of [`Verifier::wants`] gave; none where it is of no use.
    pub fn read(&self, bytes: &[u8]) -> Option<Fetched> {
        self.check.read(bytes)
    }

    /// How long what was fetched may be used before it is fetched again.
    pub fn age(&self) -> Duration {
        self.check.age()
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
