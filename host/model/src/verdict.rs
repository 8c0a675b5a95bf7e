//! What the plugins decided about an event, as it is kept with the event.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The SHA-256 of a component file: the version of a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes, which are a SHA-256 already.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The SHA-256 itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What one plugin said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", tag = "decision", content = "reason")]
pub enum Decision {
    /// The event continues as it is.
    Pass,
    /// The event continues with changes.
    Amend,
    /// Routing ends here for this reason: nothing is delivered.
    Drop(String),
    /// To that many destinations.
    Deliver(usize),
    /// The plugin asks for another try.
    Retry(String),
    /// Routing ends here for this reason: the event is dead.
    Reject(String),
    /// The plugin failed: a trap, a limit, an answer that breaks the contract.
    Fail(String),
}

impl Decision {
    /// As the API, the commands and the metrics write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Amend => "amend",
            Self::Drop(_) => "drop",
            Self::Deliver(_) => "deliver",
            Self::Retry(_) => "retry",
            Self::Reject(_) => "reject",
            Self::Fail(_) => "fail",
        }
    }
}

/// The record of one plugin's verdict on an event, kept with the event.
// The API's document names the type as it did before the rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Ruling)]
pub struct VerdictRecord {
    /// The plugin's name.
    pub plugin: String,
    /// The version that gave the verdict; none where no version was loaded.
    pub digest: Option<Digest>,
    /// What it said.
    #[serde(flatten)]
    pub decision: Decision,
    /// Microseconds that the call took.
    pub took_us: u64,
    /// Grants that the call made use of: what it decided may differ in a replay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<String>,
    /// The plugin's log lines, to the cap of its settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}
