//! A body as a case writes it: a text, a file or base64.
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

/// The value of a key `body`, of an event, a request, an answer or an expectation.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, { file = \"…\" } or { base64 = \"…\" }")]
pub(super) enum Body {
    Text(String),
    File { file: PathBuf },
    Base64 { base64: String },
}

impl Body {
    /// A text over several lines ends with a newline that is the file's, not the body's.
    pub(super) fn read(self, folder: &Path) -> Result<Bytes> {
        match self {
            Self::Text(text) => {
                let text = match text.strip_suffix('\n') {
                    Some(bare) => bare.to_owned(),
                    None => text,
                };
                Ok(text.into())
            }
            Self::File { file } => {
                let path = folder.join(file);
                let read = std::fs::read(&path);
                Ok(read.with_context(|| format!("can't read {}", path.display()))?.into())
            }
            Self::Base64 { base64 } => {
                let bytes = STANDARD.decode(base64);
                Ok(bytes.context("body = { base64 = … }")?.into())
            }
        }
    }
}
