//! The reasons for which verification refuses a request.

/// Why a request failed verification. For the log and the metrics: the sender is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header or field that the scheme needs is missing.
    #[error("a header or field that the scheme needs is missing")]
    Missing,
    /// A header or field of the scheme does not have the scheme's form, or is there twice.
    #[error("a header or field of the scheme does not have the scheme's form, or is there twice")]
    Malformed,
    /// The signature or credential matches none of the secrets.
    #[error("the signature or credential matches none of the secrets")]
    Mismatch,
    /// The timestamp is further from now than the tolerance.
    #[error("the timestamp is further from now than the tolerance")]
    Stale,
    /// The secret that matches does not count yet, or no longer (`from`, `until`).
    #[error("the secret that matches does not count yet, or no longer (`from`, `until`)")]
    Expired,
    /// The certificate or key set that it is signed by could not be fetched.
    #[error("the certificate or key set that it is signed by could not be fetched")]
    NoKeys,
}

impl Refusal {
    /// All of them, for a metric that has a series for each.
    pub const ALL: [Self; 6] =
        [Self::Missing, Self::Malformed, Self::Mismatch, Self::Stale, Self::Expired, Self::NoKeys];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing-header",
            Self::Malformed => "malformed-header",
            Self::Mismatch => "bad-signature",
            Self::Stale => "stale-timestamp",
            Self::Expired => "expired-secret",
            Self::NoKeys => "keys-unavailable",
        }
    }
}
