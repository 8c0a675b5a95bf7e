//! Signs what leaves.
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use http::HeaderValue;
use sha2::Sha256;

use super::Sign;
use super::keyed::{digest, states};

/// `v1,` and the base64 of 32 bytes.
const SIGNATURE: usize = 3 + 44;

/// Signs deliveries by one destination's settings. Make it once: it holds the
/// keyed states.
pub struct Signer {
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    pub fn new(sign: &Sign) -> Self {
        let keys = match sign {
            Sign::None => Vec::new(),
            Sign::Standard { secrets } => states(secrets),
        };
        Self { keys }
    }

    /// The value of `webhook-signature`: `v1,base64` for each secret, in the
    /// order of the settings, separated by spaces; none where nothing is to be
    /// signed. `timestamp_s` is the attempt's, seconds since 1970.
    ///
    /// Signs `id.timestamp.body`, see <https://www.standardwebhooks.com>.
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> Option<HeaderValue> {
        if self.keys.is_empty() {
            return None;
        }
        let mut digits = [0; 20];
        let mut rest = &mut digits[..];
        write!(rest, "{timestamp_s}").expect("a u64 has at most 20 digits");
        let unused = rest.len();
        let timestamp = &digits[..digits.len() - unused];

        let mut text = Vec::with_capacity(self.keys.len() * (SIGNATURE + 1));
        for key in &self.keys {
            let tag = digest(key, &[id.as_bytes(), b".", timestamp, b".", body]);
            if !text.is_empty() {
                text.push(b' ');
            }
            text.extend_from_slice(b"v1,");
            let start = text.len();
            text.resize(start + SIGNATURE - 3, 0);
            STANDARD.encode_slice(tag, &mut text[start..]).expect("32 bytes are 44 in base64");
        }
        Some(HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("base64 is ASCII"))
    }
}
