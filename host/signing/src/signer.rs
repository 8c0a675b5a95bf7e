//! Signs what leaves.
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::signature::Ed25519KeyPair;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::keyed::{digest, state};
use super::sign::Format;
use super::template::{Filled, Template};

use super::{Algorithm, Credential, Encoding, Sign, SigningKey, Unit};
use hookwright_model::date::moment_s;

/// The longest signature: Ed25519 and SHA-512.
const MAX_TAG: usize = 64;

/// No key counts at the attempt's time: what is not signed is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no signing key counts now (`from`, `until`); add one to `sign.secrets`")]
pub struct NoKey;

/// Signs deliveries by one destination's settings. Make it once: it holds the
/// keyed states.
pub struct Signer(Option<Keyed>);

struct Keyed {
    format: Format,
    keys: Vec<Credential<State>>,
}

enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// None signs nothing.
    pub fn new(sign: Option<&Sign>) -> Self {
        Self(sign.map(|Sign { format, keys }| {
            let keyed = |key: &Credential<SigningKey>| Credential {
                key: State::new(format.algorithm, &key.key),
                from_s: key.from_s,
                until_s: key.until_s,
            };
            Keyed { format: format.clone(), keys: keys.iter().map(keyed).collect() }
        }))
    }

    /// The headers that it sets: nobody else may.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().flat_map(|keyed| keyed.format.headers())
    }

    /// Sets the signature's header and what the format has beside it.
    /// `timestamp_s` is the attempt's, seconds since 1970.
    ///
    /// # Errors
    /// No key counts then.
    pub fn apply(
        &self,
        headers: &mut HeaderMap,
        id: &str,
        timestamp_s: u64,
        body: &[u8],
    ) -> Result<(), NoKey> {
        let Some(Keyed { format, .. }) = &self.0 else { return Ok(()) };
        if let Some(signature) = self.sign(id, timestamp_s, body)? {
            headers.insert(format.header.clone(), signature);
        }
        if let Some(name) = &format.time_header {
            let mut room = [0; 20];
            let text = written(format.unit, timestamp_s, &mut room);
            headers.insert(name.clone(), value(text.to_vec()));
        }
        if let (Some(name), Ok(id)) = (&format.id_header, HeaderValue::from_str(id)) {
            headers.insert(name.clone(), id);
        }
        Ok(())
    }

    /// The value of the signature's header alone; none where nothing is to be signed.
    ///
    /// # Errors
    /// No key counts then.
    pub fn sign(
        &self,
        id: &str,
        timestamp_s: u64,
        body: &[u8],
    ) -> Result<Option<HeaderValue>, NoKey> {
        let Some(Keyed { format, keys }) = &self.0 else { return Ok(None) };
        let mut room = [0; 20];
        let timestamp = written(format.unit, timestamp_s, &mut room);
        let filled = Filled { id: id.as_bytes(), timestamp, body, signature: b"" };
        let mut text = Vec::with_capacity(128);
        if let Some(lead) = &format.lead {
            put(&mut text, lead, &filled);
        }
        let counting = keys.iter().filter(|key| key.counts(timestamp_s));
        let room = if format.several { usize::MAX } else { 1 };
        let mut signed = false;
        for key in counting.take(room) {
            if let (Some(separator), false) = (format.separator, text.is_empty()) {
                text.push(separator);
            }
            let mut room = [0; 2 * MAX_TAG];
            let signature = key.key.sign(&format.signed, &filled, format.encoding, &mut room);
            put(&mut text, format.value_by(&key.key), &Filled { signature, ..filled });
            signed = true;
        }
        if signed { Ok(Some(value(text))) } else { Err(NoKey) }
    }
}

impl Format {
    fn value_by(&self, key: &State) -> &Template {
        if matches!(key, State::Ed25519(_)) { &self.value_public } else { &self.value }
    }
}

impl State {
    fn new(algorithm: Algorithm, key: &SigningKey) -> Self {
        match (key, algorithm) {
            (SigningKey::Ed25519(key), _) => Self::Ed25519(key.pair()),
            (SigningKey::Shared(secret), Algorithm::Sha1) => Self::Sha1(state(secret)),
            (SigningKey::Shared(secret), Algorithm::Sha512) => Self::Sha512(state(secret)),
            (SigningKey::Shared(secret), _) => Self::Sha256(state(secret)),
        }
    }

    /// The signature in its encoding.
    fn sign<'r>(
        &self,
        signed: &Template,
        filled: &Filled<'_>,
        encoding: Encoding,
        room: &'r mut [u8; 2 * MAX_TAG],
    ) -> &'r [u8] {
        signed.with(filled, |parts| match self {
            Self::Sha1(key) => encode(&digest(key, parts), encoding, room),
            Self::Sha256(key) => encode(&digest(key, parts), encoding, room),
            Self::Sha512(key) => encode(&digest(key, parts), encoding, room),
            // A private key wants the message in one piece.
            Self::Ed25519(key) => encode(key.sign(&parts.concat()).as_ref(), encoding, room),
        })
    }
}

fn encode<'r>(tag: &[u8], encoding: Encoding, room: &'r mut [u8; 2 * MAX_TAG]) -> &'r [u8] {
    let fits = "a signature has at most 64 bytes, and twice as many digits";
    let length = match encoding {
        Encoding::Base64 => STANDARD.encode_slice(tag, room).expect(fits),
        Encoding::Hex => {
            hex::encode_to_slice(tag, &mut room[..2 * tag.len()]).expect(fits);
            2 * tag.len()
        }
    };
    &room[..length]
}

/// The time as the format writes it; all fit 20 bytes.
fn written(unit: Unit, timestamp_s: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut rest = &mut room[..];
    let put = match unit {
        Unit::Seconds => write!(rest, "{timestamp_s}"),
        Unit::Millis => write!(rest, "{}", timestamp_s.saturating_mul(1_000)),
        Unit::Date => write!(rest, "{}", moment_s(timestamp_s)),
    };
    // A date beyond the year 9999 is cut: no clock shows it.
    let unused = if put.is_ok() { rest.len() } else { 0 };
    let length = room.len() - unused;
    &room[..length]
}

fn put(text: &mut Vec<u8>, template: &Template, filled: &Filled<'_>) {
    template.with(filled, |parts| parts.iter().for_each(|part| text.extend_from_slice(part)));
}

/// The texts of templates are checked where they are read, and a delivery's id
/// stands in a header of its own: what can't is refused there.
fn value(text: Vec<u8>) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}
