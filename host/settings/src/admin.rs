//! The admin side: who may use it.
use hookwright_model::Scope;

/// A token that the admin side believes.
///
/// Known by its hash alone: tokens are long and random, so a plain SHA-256 of one gives nothing away, and neither the
/// settings nor the process's memory need to hold the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// What the audit log calls its holder: its name in the settings, `admin.token` for the one without.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What its holder may do.
    pub scope: Scope,
}
