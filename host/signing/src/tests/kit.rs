//! What the tests of signing share.
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;

/// What was sent, as a receiver has it.
pub(super) fn map(sent: &Sent) -> HeaderMap {
    let name = |text: &str| text.parse::<HeaderName>().unwrap();
    sent.headers.iter().map(|(key, text)| (name(key), text.parse().unwrap())).collect()
}

/// A scheme with a public key, and what signs for it.
pub(super) fn ed25519(preset: &'static Preset) -> (Verify, impl Fn(&[u8]) -> Vec<u8>) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = Key::Ed25519(pair.public_key().as_ref().try_into().unwrap());
    (Verify::preset(preset, [key]), move |message: &[u8]| pair.sign(message).as_ref().to_vec())
}
