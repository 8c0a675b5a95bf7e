//! Credentials as an `authorization` header carries them.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use zeroize::Zeroizing;

use super::Secret;

/// `Basic` (RFC 7617) of `user:password`; marked as sensitive.
pub fn basic(user_password: &Secret) -> HeaderValue {
    let digits = Zeroizing::new(STANDARD.encode(user_password.expose()));
    sensitive(&["Basic ".as_bytes(), digits.as_bytes()]).expect("base64 is ASCII")
}

/// `Bearer` (RFC 6750) of a token; marked as sensitive.
///
/// # Errors
/// The token is not valid in a header.
pub fn bearer(token: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(&[b"Bearer ", token])
}

/// The secret itself; marked as sensitive.
///
/// # Errors
/// The value is not valid in a header.
pub fn plain(secret: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(&[secret.expose()])
}

fn sensitive(parts: &[&[u8]]) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_bytes(&Zeroizing::new(parts.concat()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfcs() {
        assert_eq!(
            basic(&Secret::new("Aladdin:open sesame")),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        let value = bearer(b"mF_9.B5f-4.1JqM").expect("a token");
        assert_eq!(value, "Bearer mF_9.B5f-4.1JqM");
        assert!(value.is_sensitive() && !format!("{value:?}").contains("mF_9"));
        assert!(bearer(b"a\r\nb: c").is_err());
    }
}
