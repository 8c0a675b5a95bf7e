//! Keyed HMAC states, made once, and the search for the one that made a tag.
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::{Algorithm, Secret};

/// The longest tag, that of SHA-512.
pub(super) const MAX_TAG: usize = 64;

/// A tag as a request carries it, decoded.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    bytes: [u8; MAX_TAG],
    len: usize,
}

impl Tag {
    /// None where it is longer than any tag.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_TAG];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() })
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One state for each secret: the key schedule is paid for once, a request
/// only clones.
pub(super) enum Keys {
    Sha1(Vec<Hmac<Sha1>>),
    Sha256(Vec<Hmac<Sha256>>),
    Sha512(Vec<Hmac<Sha512>>),
}

impl Keys {
    pub(super) fn new(algorithm: Algorithm, secrets: &[Secret]) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(states(secrets)),
            Algorithm::Sha256 => Self::Sha256(states(secrets)),
            Algorithm::Sha512 => Self::Sha512(states(secrets)),
        }
    }

    /// The first secret under which the message has one of the tags. Always
    /// tries every secret with every tag.
    pub(super) fn find(&self, message: &[&[u8]], tags: &[Tag]) -> Option<usize> {
        match self {
            Self::Sha1(keys) => find(keys, message, tags),
            Self::Sha256(keys) => find(keys, message, tags),
            Self::Sha512(keys) => find(keys, message, tags),
        }
    }
}

pub(super) fn states<M: KeyInit>(secrets: &[Secret]) -> Vec<M> {
    let state = |secret: &Secret| M::new_from_slice(secret.expose());
    secrets.iter().map(|secret| state(secret).expect("HMAC takes a key of any length")).collect()
}

/// The tag's bytes over the parts, one after the other.
pub(super) fn digest<M: Mac + Clone>(key: &M, message: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut state = key.clone();
    for part in message {
        state.update(part);
    }
    state.finalize().into_bytes()
}

fn find<M: Mac + Clone>(keys: &[M], message: &[&[u8]], tags: &[Tag]) -> Option<usize> {
    let mut first = First::default();
    for key in keys {
        let own = digest(key, message);
        let mut same = Choice::from(0);
        for tag in tags {
            same |= own.ct_eq(tag.as_slice());
        }
        first.note(same);
    }
    first.index()
}

/// Finds the first match without a branch that tells which it was.
#[derive(Default)]
pub(super) struct First {
    next: u64,
    /// One more than the index of the match; 0 before there is one.
    found: u64,
}

impl First {
    pub(super) fn note(&mut self, same: Choice) {
        self.next += 1;
        let news = same & self.found.ct_eq(&0);
        self.found.conditional_assign(&self.next, news);
    }

    pub(super) fn index(self) -> Option<usize> {
        usize::try_from(self.found).ok()?.checked_sub(1)
    }
}
