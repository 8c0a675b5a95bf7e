//! Keys made ready for use, and the search for the one that made a signature.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::{Algorithm, Credential, Encoding, Key, Refusal, Secret};

/// The longest signature: ECDSA on P-256 in DER.
const MAX_TAG: usize = 72;
/// So many signatures of one request are looked at: Docusign has up to a hundred keys.
const MAX_TAGS: usize = 128;
/// The same of those by a private key: each costs a verification.
const MAX_PUBLIC_TAGS: usize = 16;

/// A signature as a request carries it, decoded.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    bytes: [u8; MAX_TAG],
    len: usize,
}

impl Tag {
    /// None where it is not in that encoding, or longer than any signature.
    pub(super) fn decode(text: &[u8], encoding: Encoding) -> Option<Self> {
        // Room for base64's estimate, which rounds up.
        let mut room = [0; MAX_TAG + 8];
        let len = match encoding {
            Encoding::Hex => {
                let len = text.len() / 2;
                hex::decode_to_slice(text, room.get_mut(..len)?).ok()?;
                len
            }
            Encoding::Base64 => STANDARD.decode_slice(text, &mut room).ok()?,
        };
        let mut bytes = [0; MAX_TAG];
        bytes.get_mut(..len)?.copy_from_slice(&room[..len]);
        Some(Self { bytes, len })
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One state for each secret: the key schedule is paid for once, a request
/// only clones.
enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Either(Box<[Hmac<Sha256>; 2]>),
    Sha512(Hmac<Sha512>),
    Ed25519([u8; 32]),
    P256([u8; 65]),
}

impl State {
    fn new(algorithm: Algorithm, key: &Key) -> Self {
        match (key, algorithm) {
            (Key::Ed25519(key), _) => Self::Ed25519(*key),
            (Key::P256(key), _) => Self::P256(*key),
            (Key::Either(plain, decoded), _) => {
                Self::Either(Box::new([state(plain), state(decoded)]))
            }
            (Key::Shared(secret), Algorithm::Sha1) => Self::Sha1(state(secret)),
            (Key::Shared(secret), Algorithm::Sha512) => Self::Sha512(state(secret)),
            (Key::Shared(secret), _) => Self::Sha256(state(secret)),
        }
    }

    fn is_public(&self) -> bool {
        matches!(self, Self::Ed25519(_) | Self::P256(_))
    }

    /// Whether the message has one of the signatures under this key; looks at all of them.
    fn signed(&self, message: &[&[u8]], tags: impl Iterator<Item = Tag>) -> Choice {
        match self {
            Self::Sha1(key) => among(&digest(key, message), tags),
            Self::Sha256(key) => among(&digest(key, message), tags),
            Self::Either(keys) => {
                let own = keys.each_ref().map(|key| digest(key, message));
                tags.fold(Choice::from(0), |same, tag| {
                    same | own[0].ct_eq(tag.as_slice()) | own[1].ct_eq(tag.as_slice())
                })
            }
            Self::Sha512(key) => among(&digest(key, message), tags),
            Self::Ed25519(key) => public(&ED25519, key, message, tags),
            Self::P256(key) => public(&ECDSA_P256_SHA256_ASN1, key, message, tags),
        }
    }
}

fn among(own: &[u8], tags: impl Iterator<Item = Tag>) -> Choice {
    tags.fold(Choice::from(0), |same, tag| same | own.ct_eq(tag.as_slice()))
}

/// Here nothing is secret, and the message has to be in one piece.
fn public(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[&[u8]],
    mut tags: impl Iterator<Item = Tag>,
) -> Choice {
    let (key, message) = (UnparsedPublicKey::new(algorithm, key), message.concat());
    Choice::from(u8::from(tags.any(|tag| key.verify(&message, tag.as_slice()).is_ok())))
}

/// A source's keys, in the order of its settings.
pub(super) struct Keys(Vec<(State, Credential)>);

impl Keys {
    pub(super) fn new(algorithm: Algorithm, secrets: &[Credential]) -> Self {
        let key = |secret: &Credential| (State::new(algorithm, &secret.key), secret.clone());
        Self(secrets.iter().map(key).collect())
    }

    /// The first key under which the message has one of the signatures.
    /// `entries` gives them as they stand in the request; its argument says
    /// whether those made with a private key are wanted.
    ///
    /// Always tries every key with every signature.
    ///
    /// # Errors
    /// There is no such key, or no signature of the scheme's form at all.
    pub(super) fn find<'e, E: Iterator<Item = &'e [u8]>>(
        &self,
        message: &[&[u8]],
        encoding: Encoding,
        entries: impl Fn(bool) -> E,
        now_s: u64,
    ) -> Result<usize, Refusal> {
        let (mut first, mut seen) = (First::default(), self.0.is_empty());
        for (state, credential) in &self.0 {
            let entries = entries(state.is_public());
            let most = if state.is_public() { MAX_PUBLIC_TAGS } else { MAX_TAGS };
            let tags = entries.filter_map(|text| Tag::decode(text, encoding)).take(most);
            let tags = tags.inspect(|_| seen = true);
            first.note(state.signed(message, tags), credential.counts(now_s));
        }
        if seen { first.result() } else { Err(Refusal::Malformed) }
    }

    /// The message's HMAC under the first key that counts now, or under one of them.
    pub(super) fn sign(&self, key: Option<usize>, now_s: u64, message: &[u8]) -> Option<Vec<u8>> {
        let index = key.or_else(|| self.0.iter().position(|(_, key)| key.counts(now_s)))?;
        match &self.0.get(index)?.0 {
            State::Sha1(key) => Some(digest(key, &[message]).to_vec()),
            State::Sha256(key) => Some(digest(key, &[message]).to_vec()),
            State::Either(keys) => Some(digest(&keys[0], &[message]).to_vec()),
            State::Sha512(key) => Some(digest(key, &[message]).to_vec()),
            State::Ed25519(_) | State::P256(_) => None,
        }
    }
}

pub(super) fn state<M: KeyInit>(secret: &Secret) -> M {
    M::new_from_slice(secret.expose()).expect("HMAC takes a key of any length")
}

/// The tag's bytes over the parts, one after the other.
pub(super) fn digest<M: Mac + Clone>(key: &M, message: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut state = key.clone();
    for part in message {
        state.update(part);
    }
    state.finalize().into_bytes()
}

/// Finds the first match without a branch that tells which it was.
#[derive(Default)]
pub(super) struct First {
    next: u64,
    /// One more than the index of the match; 0 before there is one.
    found: u64,
    /// A key matched whose time is not now.
    untimely: u64,
}

impl First {
    pub(super) fn note(&mut self, same: Choice, counts: bool) {
        self.next += 1;
        let counts = Choice::from(u8::from(counts));
        let news = same & counts & self.found.ct_eq(&0);
        self.found.conditional_assign(&self.next, news);
        self.untimely.conditional_assign(&1, same & !counts);
    }

    /// # Errors
    /// None matched, or only one that does not count now.
    pub(super) fn result(self) -> Result<usize, Refusal> {
        match usize::try_from(self.found).unwrap_or_default().checked_sub(1) {
            Some(index) => Ok(index),
            None if self.untimely == 1 => Err(Refusal::Expired),
            None => Err(Refusal::Mismatch),
        }
    }
}
