//! Standard Webhooks signatures, checked apart from the host's own code.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Received;

/// Whether the delivery is signed with the secret. Text goes through the crate
/// `standardwebhooks`, which takes only UTF-8; other bytes are computed here.
///
/// # Panics
/// Where the secret is none.
pub fn is_signed(got: &Received, secret: &str) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
    if std::str::from_utf8(&got.body).is_ok() {
        return webhook.verify(&got.body, &got.headers).is_ok();
    }
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("a secret");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    let stamp = got.header("webhook-timestamp");
    for part in [got.header("webhook-id").as_bytes(), b".", stamp.as_bytes(), b".", &got.body] {
        mac.update(part);
    }
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    got.header("webhook-signature").split(' ').any(|signature| signature == expected)
}
