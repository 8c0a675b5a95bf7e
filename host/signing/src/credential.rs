//! Keys, the forms in which people write them, and the time in which each counts.
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use ring::signature::Ed25519KeyPair;

use super::Secret;

/// One entry of a source's or destination's `secrets`.
#[derive(Debug, Clone)]
pub struct Credential<K = Key> {
    /// The secret or key.
    pub key: K,
    /// Counts from here on, seconds since 1970.
    pub from_s: u64,
    /// No longer counts from here on.
    pub until_s: u64,
}

impl<K> Credential<K> {
    /// Counts always.
    pub fn always(key: K) -> Self {
        Self { key, from_s: 0, until_s: u64::MAX }
    }

    pub(super) fn counts(&self, now_s: u64) -> bool {
        self.from_s <= now_s && now_s < self.until_s
    }
}

impl From<Key> for Credential {
    fn from(key: Key) -> Self {
        Self::always(key)
    }
}

impl From<Secret> for Credential {
    fn from(secret: Secret) -> Self {
        Key::Shared(secret).into()
    }
}

impl From<SigningKey> for Credential<SigningKey> {
    fn from(key: SigningKey) -> Self {
        Self::always(key)
    }
}

impl From<Secret> for SigningKey {
    fn from(secret: Secret) -> Self {
        Self::Shared(secret)
    }
}

impl From<Secret> for Credential<SigningKey> {
    fn from(secret: Secret) -> Self {
        SigningKey::from(secret).into()
    }
}

/// A secret that both sides know, or the public half of the provider's key.
#[derive(Debug, Clone)]
pub enum Key {
    /// A secret that both sides know.
    Shared(Secret),
    /// A text with two readings: the first literal, the other decoded.
    Either(Secret, Secret),
    /// A public Ed25519 key.
    Ed25519([u8; 32]),
    /// A point of P-256, uncompressed.
    P256([u8; 65]),
}

/// A secret that both sides know, or the private half of our own key.
#[derive(Debug, Clone)]
pub enum SigningKey {
    /// A secret that both sides know.
    Shared(Secret),
    /// Our own private Ed25519 key.
    Ed25519(Ed25519Key),
}

/// A private Ed25519 key.
#[derive(Debug, Clone)]
pub struct Ed25519Key(Secret);

impl Ed25519Key {
    /// The seed alone, or the seed and the public key that belongs to it.
    ///
    /// # Errors
    /// Neither of both.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let good = match bytes.split_at_checked(32) {
            Some((_, [])) => true,
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public).is_ok(),
            None => false,
        };
        if good { Ok(Self(Secret::new(bytes))) } else { Err(KeyError::NotPrivate) }
    }

    pub(super) fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.0.expose()[..32])
            .expect("32 bytes were found when it was made, and any are a seed")
    }
}

/// How a provider hands out its secret or public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// The text itself is the key.
    Text,
    /// `whsec_` and base64, or `whpk_` and base64 for a public Ed25519 key.
    Standard,
    /// As Polar's package takes it: the text itself, or what it is the base64 of.
    Polar,
    /// Hexadecimal digits, two for each byte.
    Hex,
    /// A public Ed25519 key in hexadecimal digits.
    Ed25519,
    /// A public key on P-256: base64 of its DER, or PEM.
    P256,
    /// `user:password`.
    UserPassword,
}

/// Why a text is not a key of that form. Never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A Standard Webhooks secret that is not base64.
    #[error("a Standard Webhooks secret is base64, with or without `whsec_` before it")]
    NotBase64,
    /// A Standard Webhooks secret of another length.
    #[error("a Standard Webhooks secret has {from} to {to} bytes, this one has {bytes}")]
    Length {
        /// Bytes that it has.
        bytes: usize,
        /// The fewest that it may have.
        from: usize,
        /// The most that it may have.
        to: usize,
    },
    /// No text at all.
    #[error("is empty")]
    Empty,
    /// `whpk_` without the base64 of 32 bytes behind it.
    #[error("a public key of Standard Webhooks is `whpk_` and the base64 of 32 bytes")]
    NotPublic,
    /// `whsk_` without a private Ed25519 key behind it.
    #[error(
        "a private key of Standard Webhooks is `whsk_` and the base64 of its 32 bytes, or of them and the public key's"
    )]
    NotPrivate,
    /// A public key where a signing key is needed.
    #[error("is the public half of a key (`whpk_`), which can't sign")]
    PublicHalf,
    /// A private key where a public key is needed.
    #[error("is the private half of a key (`whsk_`), which only who signs may have")]
    PrivateHalf,
    /// Not hexadecimal digits, or an odd number of them.
    #[error("the key is to be written in hexadecimal digits, two for each byte")]
    NotHex,
    /// Not a public Ed25519 key in hexadecimal digits.
    #[error("an Ed25519 public key is 64 hexadecimal digits")]
    NotEd25519,
    /// Not a public key on P-256.
    #[error("the public key is to be one on P-256, as base64 of its DER or as PEM")]
    NotP256,
    /// No `:` between user and password.
    #[error("has no `:`")]
    NotUserPassword,
}

impl KeyError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotBase64 | Self::Length { .. } => {
                "make one with `echo whsec_$(openssl rand -base64 32)`"
            }
            Self::PublicHalf => "give it the private half, `whsk_…`; the receiver has this one",
            Self::PrivateHalf => "give it the public half, `whpk_…`",
            Self::NotUserPassword => "a secret for basic authentication is `user:password`",
            _ => "copy it from the provider's settings as it stands there",
        }
    }
}

/// The bytes before the point in the DER of a P-256 public key (RFC 5480).
const P256_DER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl KeyForm {
    /// # Errors
    /// The text is not a key of this form.
    pub fn read(self, text: &[u8]) -> Result<Key, KeyError> {
        let utf8 = || std::str::from_utf8(text).unwrap_or("\u{fffd}").trim();
        match self {
            Self::Text => Ok(Key::Shared(Secret::new(text))),
            Self::UserPassword if text.contains(&b':') => Ok(Key::Shared(Secret::new(text))),
            Self::UserPassword => Err(KeyError::NotUserPassword),
            Self::Standard => match utf8().strip_prefix("whpk_") {
                Some(digits) => {
                    let key = STANDARD.decode(digits).ok().and_then(|key| key.try_into().ok());
                    key.map(Key::Ed25519).ok_or(KeyError::NotPublic)
                }
                None if utf8().starts_with("whsk_") => Err(KeyError::PrivateHalf),
                // Polar's secrets begin like this, and are used literally.
                None if utf8().starts_with("polar_whs_") => Self::Polar.read(text),
                None => standard_of(utf8(), TAKEN).map(Key::Shared),
            },
            Self::Polar => match (utf8(), decoded(utf8())) {
                ("", _) => Err(KeyError::Empty),
                (plain, Some(key)) if !key.is_empty() => {
                    Ok(Key::Either(Secret::new(plain), Secret::new(key)))
                }
                (plain, _) => Ok(Key::Shared(Secret::new(plain))),
            },
            Self::Hex => {
                let key = hex::decode(utf8()).map_err(|_| KeyError::NotHex)?;
                Ok(Key::Shared(Secret::new(key)))
            }
            Self::Ed25519 => {
                let mut key = [0; 32];
                let decoded = hex::decode_to_slice(utf8(), &mut key);
                decoded.map(|()| Key::Ed25519(key)).map_err(|_| KeyError::NotEd25519)
            }
            Self::P256 => p256(utf8()).map(Key::P256).ok_or(KeyError::NotP256),
        }
    }
}

impl KeyForm {
    /// The same for a key that signs deliveries.
    ///
    /// # Errors
    /// The text is not a key of this form, or can't sign.
    pub fn read_signing(self, text: &[u8]) -> Result<SigningKey, KeyError> {
        let utf8 = std::str::from_utf8(text).unwrap_or_default().trim();
        match (self, utf8.strip_prefix("whsk_")) {
            (Self::Standard, Some(digits)) => {
                let bytes = STANDARD.decode(digits).map_err(|_| KeyError::NotPrivate)?;
                Ed25519Key::new(bytes).map(SigningKey::Ed25519)
            }
            (Self::Standard, None) if !utf8.starts_with("whpk_") => {
                standard_key(utf8).map(SigningKey::Shared)
            }
            _ => match self.read(text)? {
                Key::Shared(secret) | Key::Either(secret, _) => Ok(SigningKey::Shared(secret)),
                Key::Ed25519(_) | Key::P256(_) => Err(KeyError::PublicHalf),
            },
        }
    }
}

fn p256(text: &str) -> Option<[u8; 65]> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>()).ok()?;
    let point: [u8; 65] = der.strip_prefix(&P256_DER[..])?.try_into().ok()?;
    (point[0] == 4).then_some(point)
}

/// Bytes of a Standard Webhooks secret that we make signatures with, as the specification has it.
const MADE: (usize, usize) = (24, 64);
/// The same of one that a provider made: its packages take any.
const TAKEN: (usize, usize) = (8, 1_024);

/// Base64 as the providers' packages read it: with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes a Standard Webhooks secret: `whsec_` (which may be missing) and base64 of 24 to 64 bytes.
///
/// # Errors
/// It is not base64, or too short or too long.
pub fn standard_key(text: &str) -> Result<Secret, KeyError> {
    standard_of(text, MADE)
}

fn standard_of(text: &str, (from, to): (usize, usize)) -> Result<Secret, KeyError> {
    let key = decoded(text).ok_or(KeyError::NotBase64)?;
    let bytes = key.len();
    let fits = (from..=to).contains(&bytes);
    if fits { Ok(Secret::new(key)) } else { Err(KeyError::Length { bytes, from, to }) }
}

/// The text after `whsec_`, before which Supabase writes `v1,`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().trim_start_matches("v1,").trim_start_matches("whsec_");
    LENIENT.decode(digits).ok()
}
