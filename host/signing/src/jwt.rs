//! JSON Web Tokens (RFC 7519) as bearer tokens, checked with a set of public keys (RFC 7517).
//!
//! They prove who sends, not what: the body is not signed.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::request::authorization;
use super::scheme::{JwtKeys, JwtScheme};
use super::{Refusal, Request};
use hookwright_model::pointer::without_mark;

/// Bytes of a token. Providers send far shorter ones.
const MAX_TOKEN: usize = 16 * 1024;

/// A public key of the set.
#[derive(Debug, Clone)]
pub struct Jwk {
    id: Option<String>,
    key: PublicKey,
}

#[derive(Debug, Clone)]
enum PublicKey {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// Why a text is not a usable set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not an object with a list `keys`.
    #[error("is no JSON Web Key Set: an object with a list `keys`")]
    NotASet,
    /// No key of an algorithm that is verified here.
    #[error("has no key for signatures by RS256, ES256 or EdDSA")]
    NoKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Member>,
}

/// Members of a key that are read (RFC 7518, 6; RFC 8037).
#[derive(Deserialize)]
struct Member {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    used_for: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// Reads a set, leaving out what can't verify.
///
/// # Errors
/// It is not a set, or none of its keys can be used.
pub fn jwks(text: &[u8]) -> Result<Vec<Jwk>, JwksError> {
    let set = serde_json::from_slice(without_mark(text));
    let set: Set = set.map_err(|_| JwksError::NotASet)?;
    let keys: Vec<Jwk> = set.keys.into_iter().filter_map(usable).collect();
    if keys.is_empty() { Err(JwksError::NoKey) } else { Ok(keys) }
}

fn usable(member: Member) -> Option<Jwk> {
    if member.used_for.as_deref().is_some_and(|use_| use_ != "sig") {
        return None;
    }
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let key = match (member.kty.as_str(), member.crv.as_str()) {
        ("RSA", _) => {
            let (n, e) = (bytes(&member.n)?, bytes(&member.e)?);
            // What ring takes: 2048 to 8192 bits.
            if !(256..=1024).contains(&n.len()) || e.is_empty() {
                return None;
            }
            PublicKey::Rsa { n, e }
        }
        ("EC", "P-256") => {
            let point = [&[4][..], &bytes(&member.x)?, &bytes(&member.y)?].concat();
            PublicKey::P256(point.try_into().ok()?)
        }
        ("OKP", "Ed25519") => PublicKey::Ed25519(bytes(&member.x)?.try_into().ok()?),
        _ => return None,
    };
    Some(Jwk { id: member.kid, key })
}

impl Jwk {
    /// Whether a token that names this key may be signed by it.
    pub(super) fn is_named(&self, id: &str) -> bool {
        self.id.as_deref().is_none_or(|own| own == id)
    }
}

impl PublicKey {
    /// The one algorithm that goes with the key: a token can't choose.
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iss: Option<String>,
    aud: Audience,
    /// All but those above.
    #[serde(flatten)]
    others: Value,
}

/// A claim that a token must have: what the settings demand beside issuer and audience.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its name; with a `/` first, a JSON pointer into the claims.
    pub name: String,
    /// One of these: a text, a number or a boolean, never a list.
    pub any_of: Vec<Value>,
}

impl Claim {
    /// Where the token has a list, one of its members is enough.
    fn holds(&self, claims: &Value) -> bool {
        let found = match self.name.starts_with('/') {
            true => claims.pointer(&self.name),
            false => claims.get(&self.name),
        };
        match found {
            Some(Value::Array(all)) => all.iter().any(|one| self.any_of.contains(one)),
            Some(one) => self.any_of.contains(one),
            None => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Several(all) => all.iter().any(|audience| audience == wanted),
        }
    }
}

/// A token as it came: read, and not proved yet.
pub(super) struct Token<'t> {
    /// What is signed, as it came.
    signed: &'t str,
    header: Header,
    claims: Claims,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// The request's bearer token.
    pub(super) fn of(request: &Request<'t>) -> Result<Self, Refusal> {
        let token = authorization(request, "bearer")?.ok_or(Refusal::Missing)?;
        let text = std::str::from_utf8(token).map_err(|_| Refusal::Malformed)?;
        if text.len() > MAX_TOKEN {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        let (header, claims, signature) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let claims = serde_json::from_slice(&claims).map_err(|_| Refusal::Malformed)?;
        Ok(Self { signed, header, claims, signature })
    }

    /// The name of the key that it says it is signed by.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether it counts now and is for us, if it is genuine.
    pub(super) fn suits(&self, scheme: &JwtScheme, now_s: u64) -> Result<(), Refusal> {
        let claims = &self.claims;
        let (now, leeway) = (now_s as f64, scheme.tolerance.as_secs() as f64);
        if now >= claims.exp + leeway || claims.nbf.is_some_and(|from| now + leeway < from) {
            return Err(Refusal::Stale);
        }
        let issued = scheme.issuer.is_none() || scheme.issuer == claims.iss;
        let demanded = |claim: &Claim| claim.holds(&claims.others);
        let ours = issued && claims.aud.has(&scheme.audience);
        let all = ours && scheme.claims.iter().all(demanded);
        all.then_some(()).ok_or(Refusal::Mismatch)
    }

    /// The place of the key that signed it, in the set.
    pub(super) fn verify(
        &self,
        scheme: &JwtScheme,
        keys: &[Jwk],
        now_s: u64,
    ) -> Result<usize, Refusal> {
        self.suits(scheme, now_s)?;
        let kid = &self.header.kid;
        let fits = |jwk: &Jwk| {
            let named = kid.is_none() || jwk.id.is_none() || jwk.id == *kid;
            named && jwk.key.algorithm() == self.header.alg
        };
        let signed_by =
            |jwk: &Jwk| fits(jwk) && jwk.key.verifies(self.signed.as_bytes(), &self.signature);
        keys.iter().position(signed_by).ok_or(Refusal::Mismatch)
    }
}

/// A token by the first key of the set, for a minute.
pub(super) fn token(
    scheme: &JwtScheme,
    at_s: u64,
    sign: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Option<String> {
    let JwtKeys::Set(keys) = &scheme.keys else { return None };
    let jwk = keys.first()?;
    let header = serde_json::json!({ "alg": jwk.key.algorithm(), "kid": jwk.id });
    let mut claims = serde_json::json!({
        "iss": scheme.issuer, "aud": scheme.audience, "exp": at_s.saturating_add(60),
    });
    for claim in &scheme.claims {
        claims[&claim.name] = claim.any_of.first().cloned().unwrap_or_default();
    }
    let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = encode(&sign(signed.as_bytes()));
    Some(format!("{signed}.{signature}"))
}
