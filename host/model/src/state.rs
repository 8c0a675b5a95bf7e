//! What a plugin keeps from one event to the next: keys and values.
use bytes::Bytes;

use super::Name;

/// A value as a plugin keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateValue {
    /// A count, which plugins may raise without reading it.
    Number(i64),
    /// Anything else, as the plugin wrote it.
    Bytes(Bytes),
}

impl StateValue {
    /// Bytes that it counts for.
    pub fn size(&self) -> usize {
        match self {
            Self::Number(_) => 8,
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// One key of a plugin's state, as it is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The plugin that keeps it; no other sees it.
    pub plugin: Name,
    /// The key, as the plugin names it.
    pub key: Box<str>,
    /// None where the key is deleted.
    pub value: Option<StateValue>,
    /// Gone from then on, milliseconds since 1970; none: never.
    pub expires_ms: Option<u64>,
}
