//! The schemes by which sources sign, as the settings name them.
use std::time::Duration;

use super::{Claim, Credential, Handshake, Jwk, Key, Preset, Proof, Secret, presets};

/// How a source proves that a request is its own. Several secrets: any one of
/// them may match, so that a new one can come before the old one goes.
#[derive(Debug, Clone)]
pub enum Verify {
    /// Anybody may post.
    None,
    /// As one provider does it.
    Preset(PresetScheme),
    /// An HMAC over the body in a header of the user's choice.
    Hmac(HmacScheme),
    /// The secret itself, in a header or query parameter of the user's choice.
    ApiKey(ApiKeyScheme),
    /// A JSON Web Token as bearer token, by one of a set of public keys.
    Jwt(JwtScheme),
    /// By a certificate that the request names.
    Certified(CertifiedScheme),
}

/// Signatures by a certificate that the request names.
#[derive(Debug, Clone)]
pub struct CertifiedScheme {
    /// Whose certificates they are.
    pub issuer: Issuer,
    /// How far the signed time may be from now.
    pub tolerance: Duration,
}

/// Who signs with a certificate of its own.
#[derive(Debug, Clone)]
pub enum Issuer {
    /// AWS SNS, signature versions 1 and 2.
    Sns {
        /// ARNs of the topics that may post here.
        topics: Vec<String>,
    },
    /// PayPal.
    PayPal {
        /// As PayPal names this webhook; a part of what is signed.
        webhook_id: String,
    },
}

impl Issuer {
    /// As `scheme` names it in the settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sns { .. } => "sns",
            Self::PayPal { .. } => "paypal",
        }
    }
}

/// A provider's scheme with one source's settings.
#[derive(Debug, Clone)]
pub struct PresetScheme {
    /// The provider.
    pub preset: &'static Preset,
    /// In the order of the settings.
    pub secrets: Vec<Credential>,
    /// How old the signed time may be, where the scheme has one.
    pub tolerance: Duration,
    /// How far it may be ahead of now.
    pub ahead: Duration,
    /// The URL that the provider posts to, without a query. Needed by those that sign it.
    pub url: Option<String>,
    /// What the provider has to know for the handshake by GET.
    pub verify_token: Option<Secret>,
}

/// An HMAC over the body, in a header of the user's choice.
#[derive(Debug, Clone)]
pub struct HmacScheme {
    /// In lower case.
    pub header: http::HeaderName,
    /// The hash, one of SHA-1, SHA-256 and SHA-512.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// Stands before the signature in the header, `sha256=` for example; may be empty.
    pub prefix: String,
    /// In the order of the settings.
    pub secrets: Vec<Credential>,
}

/// The secret itself, in a place of the user's choice.
#[derive(Debug, Clone)]
pub struct ApiKeyScheme {
    /// Where it stands.
    pub place: ApiKeyPlace,
    /// In the order of the settings.
    pub secrets: Vec<Credential>,
}

/// Tokens by RS256, ES256 or EdDSA (RFC 7518, RFC 8037), as the key says.
#[derive(Debug, Clone)]
pub struct JwtScheme {
    /// The public keys that tokens are verified with.
    pub keys: JwtKeys,
    /// Must be the token's `iss`, where it is given.
    pub issuer: Option<String>,
    /// Must be among the token's `aud`: a token for somebody else is not for us.
    pub audience: String,
    /// All of these must be in the token, too: who among those that the issuer makes tokens for.
    pub claims: Vec<Claim>,
    /// For `exp` and `nbf`.
    pub tolerance: Duration,
}

/// The issuer's public keys.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// They are in the settings.
    Set(Vec<Jwk>),
    /// Where the set is fetched, `https`.
    Url(String),
}

/// Where a request carries an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyPlace {
    /// A header.
    Header(http::HeaderName),
    /// A parameter of the query.
    Query(String),
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-1.
    Sha1,
    /// HMAC with SHA-256.
    Sha256,
    /// HMAC with SHA-512.
    Sha512,
    /// Public key: the secret is its public half.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER.
    EcdsaP256,
}

/// How a signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl Verify {
    /// A provider's scheme with its defaults.
    pub fn preset<C: Into<Credential>>(
        preset: &'static Preset,
        secrets: impl IntoIterator<Item = C>,
    ) -> Self {
        Self::Preset(PresetScheme::new(preset, secrets))
    }

    /// As the settings name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Preset(scheme) => scheme.preset.name,
            Self::Hmac(_) => "hmac",
            Self::ApiKey(_) => "api-key",
            Self::Jwt(_) => "jwt",
            Self::Certified(scheme) => scheme.issuer.name(),
        }
    }

    /// In the order of the settings.
    pub fn secrets(&self) -> &[Credential] {
        match self {
            Self::None | Self::Jwt(_) | Self::Certified(_) => &[],
            Self::Preset(scheme) => &scheme.secrets,
            Self::Hmac(scheme) => &scheme.secrets,
            Self::ApiKey(scheme) => &scheme.secrets,
        }
    }

    /// Secrets that a request carries as they are, in its query, a header or its body: whoever
    /// copies one of those copies the secret.
    pub fn carried(&self) -> Vec<Secret> {
        let carries = match self {
            Self::ApiKey(_) => true,
            Self::Preset(scheme) => matches!(scheme.preset.proof, Proof::Token(_)),
            Self::None | Self::Hmac(_) | Self::Jwt(_) | Self::Certified(_) => false,
        };
        let shared = |credential: &Credential| match &credential.key {
            Key::Shared(secret) | Key::Either(secret, _) => Some(secret.clone()),
            Key::Ed25519(_) | Key::P256(_) => None,
        };
        let mut all: Vec<Secret> = Vec::new();
        if carries {
            all.extend(self.secrets().iter().filter_map(shared));
        }
        if let Self::Preset(scheme) = self {
            all.extend(scheme.verify_token.clone());
        }
        all
    }

    /// How many secrets or keys a request may be proved by.
    pub fn keys(&self) -> usize {
        match self {
            Self::Jwt(JwtScheme { keys: JwtKeys::Set(keys), .. }) => keys.len(),
            // One certificate, or keys that come and go: counted together.
            Self::Jwt(_) | Self::Certified(_) => 1,
            other => other.secrets().len(),
        }
    }

    pub(super) fn handshake(&self) -> Handshake {
        match self {
            Self::Preset(scheme) => scheme.preset.handshake,
            _ => Handshake::None,
        }
    }
}

impl PresetScheme {
    /// The provider's scheme with its defaults.
    pub fn new<C: Into<Credential>>(
        preset: &'static Preset,
        secrets: impl IntoIterator<Item = C>,
    ) -> Self {
        let tolerance_s = preset.time.map_or(presets::TOLERANCE_S, |time| time.tolerance_s);
        Self {
            preset,
            secrets: secrets.into_iter().map(Into::into).collect(),
            tolerance: Duration::from_secs(tolerance_s),
            // Retries make a time old, and nothing makes it early but a clock.
            ahead: Duration::from_secs(tolerance_s.min(presets::TOLERANCE_S)),
            url: None,
            verify_token: None,
        }
    }
}
