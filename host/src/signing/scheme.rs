//! The schemes by which sources sign and deliveries are signed, as the settings name them.
use std::time::Duration;

use super::Secret;

/// How a source proves that a request is its own. Several secrets: any one of
/// them may match, so that a new one can come before the old one goes.
#[derive(Debug, Clone)]
pub enum Verify {
    /// Anybody may post.
    None,
    /// Standard Webhooks, symmetric (`v1`). Secrets are decoded keys, see [`super::standard_key`].
    Standard { secrets: Vec<Secret>, tolerance: Duration },
    /// `x-hub-signature-256: sha256=hex(HMAC-SHA256(body))`.
    Github { secrets: Vec<Secret> },
    /// `stripe-signature: t=…,v1=hex(HMAC-SHA256(t.body))`.
    Stripe { secrets: Vec<Secret>, tolerance: Duration },
    /// An HMAC over the body in a header of the user's choice.
    Hmac(HmacScheme),
    /// HTTP basic authentication; each secret is `user:password`.
    Basic { secrets: Vec<Secret> },
    /// `authorization: Bearer …`.
    Bearer { secrets: Vec<Secret> },
}

#[derive(Debug, Clone)]
pub struct HmacScheme {
    /// In lower case.
    pub header: http::HeaderName,
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    /// Stands before the signature in the header, `sha256=` for example; may be empty.
    pub prefix: String,
    pub secrets: Vec<Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

/// How deliveries are signed.
#[derive(Debug, Clone)]
pub enum Sign {
    /// `webhook-id` and `webhook-timestamp` only.
    None,
    /// Standard Webhooks `v1`, one signature for each secret, separated by spaces.
    Standard { secrets: Vec<Secret> },
}
