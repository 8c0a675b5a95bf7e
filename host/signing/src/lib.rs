//! Signs and verifies bytes. Pure: no clock, no I/O.
//!
//! A provider is an entry of the table in `presets`; `verifier` reads the table, and
//! `sign` takes from it the formats that deliveries can be signed in.
#![deny(missing_docs)]

mod authorization;
mod aws;
mod certified;
mod check;
mod credential;
mod fetched;
mod handshake;
pub mod hops;
mod jwt;
mod keyed;
mod message;
mod oauth;
mod preset;
pub mod presets;
mod provider;
mod refusal;
mod request;
mod scheme;
mod secret;
mod setup;
mod sign;
mod signed;
mod signer;
mod template;
mod token;
mod url;
mod verifier;

#[cfg(test)]
mod tests;

pub use authorization::{basic, bearer, plain};
pub use aws::{Aws, BadCredentials};
pub use credential::{Credential, Ed25519Key, Key, KeyError, KeyForm, SigningKey, standard_key};
pub use fetched::{Fetched, Wanted};
pub use jwt::{Claim, Jwk, JwksError, jwks};
pub use oauth::{Grant, Token, TokenError, token_refusal};
pub use preset::{
    Handshake, OtherAlgorithm, Part, Place, Preset, Proof, Signature, Signed, Time, TokenPlace,
    Unit,
};
pub use provider::{Draft, Sent, sign_as_provider, sign_with};
pub use refusal::Refusal;
pub use request::{Answer, Request};
pub use scheme::{
    Algorithm, ApiKeyPlace, ApiKeyScheme, CertifiedScheme, Encoding, HmacScheme, Issuer, JwtKeys,
    JwtScheme, PresetScheme, Verify,
};
pub use secret::Secret;
pub use setup::{setup, title};
pub use sign::{Format, Sign, formats};
pub use signer::{NoKey, Signer};
pub use template::{Template, TemplateError};
pub use token::is_credential;
pub use verifier::{Verified, Verifier};
