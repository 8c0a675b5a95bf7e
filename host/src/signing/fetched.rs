//! Keys that are not in the settings: what must be fetched before a request can be checked.
use std::borrow::Cow;
use std::time::Duration;

use super::certified::CertifiedKey;
use super::request::Request;
use super::verifier::{Check, Verifier};
use super::{Jwk, JwtKeys, JwtScheme, Refusal, jwks};

/// A certificate is another one under another URL.
const CERTIFICATE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Issuers show a new key some time before they use it.
const SET_AGE: Duration = Duration::from_secs(300);

/// What was fetched, made ready for use.
#[derive(Debug)]
pub struct Fetched(pub(super) Material);

#[derive(Debug)]
pub(super) enum Material {
    Certificate(CertifiedKey),
    Set(Vec<Jwk>),
}

impl Verifier {
    /// The URL of what must be at hand to check this request; none where nothing must.
    ///
    /// # Errors
    /// The request does not say, or names a place that is not its provider's.
    pub fn wants<'r>(&'r self, request: &Request<'r>) -> Result<Option<Cow<'r, str>>, Refusal> {
        match &self.check {
            Check::Certified(scheme) => scheme.issuer.certificate(request).map(Some),
            Check::Jwt(JwtScheme { keys: JwtKeys::Url(url), .. }) => Ok(Some(url.as_str().into())),
            _ => Ok(None),
        }
    }

    /// Makes what a URL of [`Verifier::wants`] gave ready for use; none where it is of no use.
    pub fn read(&self, bytes: &[u8]) -> Option<Fetched> {
        let material = match &self.check {
            Check::Certified(_) => Material::Certificate(CertifiedKey::read(bytes)?),
            Check::Jwt(_) => Material::Set(jwks(bytes).ok()?),
            _ => return None,
        };
        Some(Fetched(material))
    }

    /// How long it may be used before it is fetched again.
    pub fn age(&self) -> Duration {
        if matches!(self.check, Check::Certified(_)) { CERTIFICATE_AGE } else { SET_AGE }
    }
}
