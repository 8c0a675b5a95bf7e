//! Keys that are not in the settings: what must be fetched before a request can be checked.
use std::borrow::Cow;
use std::time::Duration;

use super::certified::CertifiedKey;
use super::request::Request;
use super::verifier::{Check, Verifier};
use super::{Jwk, JwtKeys, JwtScheme, Refusal, certified, jwks, jwt};

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

/// What must be fetched before a request can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'r> {
    pub url: Cow<'r, str>,
    /// The request named the URL, and nothing proves the request yet: anybody can make up
    /// many of them. Else it stands in the settings.
    pub named: bool,
    /// The key of the set that the request was signed by, where it says so.
    pub key_id: Option<String>,
}

impl Fetched {
    /// Whether the key of that name is in the set; a certificate is the only one at its URL.
    pub fn has(&self, key_id: &str) -> bool {
        match &self.0 {
            Material::Set(keys) => keys.iter().any(|key| key.is_named(key_id)),
            Material::Certificate(_) => true,
        }
    }
}

impl Verifier {
    /// What must be at hand to check this request; none where nothing must. All that can be
    /// told without it is checked first, so that a request that can't be the source's own
    /// costs no fetch.
    ///
    /// # Errors
    /// The request can't be the source's own, or names a place that is not its provider's.
    pub fn wants<'r>(
        &'r self,
        request: &Request<'r>,
        now_s: u64,
    ) -> Result<Option<Wanted<'r>>, Refusal> {
        match &self.check {
            Check::Certified(scheme) => {
                let url = certified::wants(scheme, request, now_s)?;
                Ok(Some(Wanted { url, named: true, key_id: None }))
            }
            Check::Jwt(scheme @ JwtScheme { keys: JwtKeys::Url(url), .. }) => {
                let token = jwt::Token::of(request)?;
                token.suits(scheme, now_s)?;
                let key_id = token.key_id().map(str::to_owned);
                Ok(Some(Wanted { url: url.as_str().into(), named: false, key_id }))
            }
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
