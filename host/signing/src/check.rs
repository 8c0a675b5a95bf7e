//! How one source's requests are proved, and what has to be fetched for it.
use std::time::Duration;

use super::certified::{self, CertifiedKey};
use super::fetched::{Fetched, Material, Wanted};
use super::jwt::{self, jwks};
use super::preset::Proof;
use super::refusal::Refusal;
use super::request::Request;
use super::scheme::{CertifiedScheme, JwtKeys, JwtScheme, Verify};
use super::signed::Signed;
use super::token::Token;

/// How long a certificate may be used. One with another key has another URL.
const CERTIFICATE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// How long a set of keys may be used. Issuers show a new key some time before they use it.
const SET_AGE: Duration = Duration::from_secs(300);

/// A source's scheme, made ready: keyed states and parsed keys. Each source has one.
pub(super) enum Check {
    Nothing,
    Signed(Box<Signed>),
    Token(Token),
    Jwt(JwtScheme),
    Certified(CertifiedScheme),
}

impl Check {
    pub(super) fn new(verify: &Verify) -> Self {
        match verify {
            Verify::None => Self::Nothing,
            Verify::Hmac(scheme) => Self::Signed(Box::new(Signed::of_hmac(scheme))),
            Verify::ApiKey(scheme) => Self::Token(Token::of_key(&scheme.place, &scheme.secrets)),
            Verify::Jwt(scheme) => Self::Jwt(scheme.clone()),
            Verify::Certified(scheme) => Self::Certified(scheme.clone()),
            Verify::Preset(scheme) => match &scheme.preset.proof {
                Proof::Signed(signed) => Self::Signed(Box::new(Signed::of(signed, scheme))),
                Proof::Token(places) => Self::Token(Token::new(places, &scheme.secrets)),
            },
        }
    }

    /// What must be at hand to check this request; none where nothing must. All that can be
    /// told without it is checked first, so that a request that can't be the source's own
    /// costs no fetch.
    ///
    /// # Errors
    /// The request can't be the source's own, or names a place that is not its provider's.
    pub(super) fn wants<'r>(
        &'r self,
        request: &Request<'r>,
        now_s: u64,
    ) -> Result<Option<Wanted<'r>>, Refusal> {
        match self {
            Self::Certified(scheme) => {
                let url = certified::wants(scheme, request, now_s)?;
                Ok(Some(Wanted { url, named: true, key_id: None }))
            }
            Self::Jwt(scheme @ JwtScheme { keys: JwtKeys::Url(url), .. }) => {
                let token = jwt::Token::of(request)?;
                token.suits(scheme, now_s)?;
                let key_id = token.key_id().map(str::to_owned);
                Ok(Some(Wanted { url: url.as_str().into(), named: false, key_id }))
            }
            _ => Ok(None),
        }
    }

    /// Makes what a URL of [`Check::wants`] gave ready for use; none where it is of no use.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Fetched> {
        let material = match self {
            Self::Certified(_) => Material::Certificate(CertifiedKey::read(bytes)?),
            Self::Jwt(_) => Material::Set(jwks(bytes).ok()?),
            _ => return None,
        };
        Some(Fetched(material))
    }

    /// How long it may be used before it is fetched again.
    pub(super) fn age(&self) -> Duration {
        if matches!(self, Self::Certified(_)) { CERTIFICATE_AGE } else { SET_AGE }
    }
}
