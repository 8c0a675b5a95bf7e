//! Takes webhooks in: checks, verifies, has them written down, and only then answers 2xx.
use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use crate::model::Name;
use crate::signing::Verify;

mod facts;
mod handle;
mod headers;
mod meters;
mod path;
mod rate;
mod refused;
mod source;

#[cfg(test)]
mod tests;

pub use handle::Handle;
pub use path::source_name;

/// How webhooks are taken in.
#[derive(Debug, Clone)]
pub struct Options {
    pub sources: Sources,
    /// For the whole body of one request. Default 10 s.
    pub body_timeout: Duration,
}

/// The sources by name: `POST /in/<name>`.
pub type Sources = BTreeMap<Name, SourceOptions>;

impl Options {
    /// The defaults, with these sources.
    pub fn new(sources: Sources) -> Self {
        Self { sources, body_timeout: Duration::from_secs(10) }
    }
}

/// How one source's webhooks are taken in.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    pub verify: Verify,
    pub kind: KindFrom,
    pub dedupe: Option<DedupeFrom>,
    /// Who may post, by the address at the other end of the connection. Empty: anybody.
    pub allow: Vec<IpNet>,
    pub rate: Option<Rate>,
    /// Bytes. Default 1 MiB.
    pub max_body: usize,
}

impl Default for SourceOptions {
    /// Takes anything from anybody, up to 1 MiB.
    fn default() -> Self {
        Self {
            verify: Verify::None,
            kind: KindFrom::None,
            dedupe: None,
            allow: Vec::new(),
            rate: None,
            max_body: 1024 * 1024,
        }
    }
}

/// Where the provider's name for what happened stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindFrom {
    None,
    Header(HeaderName),
    /// A JSON pointer into the body.
    Pointer(String),
}

/// Events with the same key within the window are one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeFrom {
    pub key: KeyFrom,
    pub window: Duration,
}

/// Where the key stands. An event without it is taken as new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFrom {
    /// The id of Standard Webhooks: `webhook-id`, or `svix-id`.
    Id,
    Header(HeaderName),
    /// A JSON pointer into the body.
    Pointer(String),
}

/// How many requests a source may make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// In the long run, a second.
    pub per_s: f64,
    /// At once, after a pause. At least 1.
    pub burst: u32,
}
