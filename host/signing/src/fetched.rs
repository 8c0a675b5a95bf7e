//! Keys that are not in the settings: what must be fetched before a request can be checked.
use std::borrow::Cow;

use super::certified::CertifiedKey;
use super::jwt::Jwk;

/// What was fetched, made ready for use.
#[derive(Debug)]
pub struct Fetched(pub(super) Material);

#[derive(Debug)]
pub(super) enum Material {
    Certificate(CertifiedKey),
    Set(Vec<Jwk>),
}

/// What must be fetched before a request can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'r> {
    /// Where it is fetched from.
    pub url: Cow<'r, str>,
    /// The request named the URL, and nothing proves the request yet: anybody can make up
    /// many of them. Otherwise it is in the settings.
    pub named: bool,
    /// The key of the set that the request was signed by, where it says so.
    pub key_id: Option<String>,
}

impl Fetched {
    /// Whether the key of that name is in the set; a certificate is the only one at its URL.
    pub fn has(&self, key_id: &str) -> bool {
        match &self.0 {
            Material::Set(keys) => keys.iter().any(|key| key.is_named(key_id)),
            Material::Certificate(_) => true,
        }
    }
}
