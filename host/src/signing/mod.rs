//! Signs and verifies bytes. Pure: no clock, no I/O.
mod keyed;
mod provider;
mod request;
mod scheme;
mod secret;
mod signer;
mod verifier;

#[cfg(test)]
mod tests;

pub use provider::sign_as_provider;
pub use request::{Answer, Request};
pub use scheme::{Algorithm, Encoding, HmacScheme, Sign, Verify};
pub use secret::Secret;
pub use signer::Signer;
pub use verifier::{Refusal, Verified, Verifier, is_credential};

/// Why a text is no Standard Webhooks secret. Never shows the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a Standard Webhooks secret is base64, with or without `whsec_` before it")]
    NotBase64,
    #[error("a Standard Webhooks secret has 24 to 64 bytes, this one has {0}")]
    Length(usize),
}

/// Decodes a Standard Webhooks secret: `whsec_` (which may be missing) and base64 of 24 to 64 bytes.
pub fn standard_key(text: &str) -> Result<Secret, KeyError> {
    use base64::Engine;
    let digits = text.trim().trim_start_matches("whsec_");
    let engine = base64::engine::general_purpose::STANDARD;
    let key = engine.decode(digits).map_err(|_| KeyError::NotBase64)?;
    match key.len() {
        24..=64 => Ok(Secret::new(key)),
        length => Err(KeyError::Length(length)),
    }
}
