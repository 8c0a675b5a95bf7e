//! JSON as text: where each value stands, and edits that leave every other byte as it came.
mod document;
mod editor;
mod pointer;
mod scan;

pub use document::{Document, Kind, Node};
pub use editor::Editor;
pub use pointer::Pointer;

use std::fmt;

use serde::de::DeserializeOwned;

/// The JSON text of one value, as it stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Wraps text that is known to be JSON.
    pub(crate) fn new(raw: String) -> Self {
        Self(raw)
    }

    /// Byte for byte as it stands in the body: numbers keep all their digits.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text of a string; none where the value is no string.
    pub fn text(&self) -> Option<String> {
        if self.0.starts_with('"') { serde_json::from_str(&self.0).ok() } else { None }
    }

    /// The nearest floating-point number; none where the value is no number.
    pub fn number(&self) -> Option<f64> {
        match self.0.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => self.0.parse().ok(),
            _ => None,
        }
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The text of a string, or the JSON text of any other value: for reasons,
    /// headers and keys.
    pub fn plain(self) -> String {
        self.text().unwrap_or(self.0)
    }

    /// The value as a type of yours.
    ///
    /// # Errors
    /// When the value is not of this shape.
    pub fn parse<T: DeserializeOwned>(&self) -> crate::Result<T> {
        Ok(serde_json::from_str(&self.0)?)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// Where it goes wrong, in bytes from the start.
    pub at: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON: {} at byte {}", self.problem, self.at)
    }
}

impl std::error::Error for JsonError {}
