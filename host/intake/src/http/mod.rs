//! The way in by HTTP: `POST /in/<source>` is verified, taken in, and answered with a status.
//!
//! [`Handle`] is the service to serve. A request becomes a [`Candidate`](super::Candidate) once the path names a
//! source, the client may post there and the signature is right; a refusal, whether it is HTTP's or the
//! [intake's](super::Refusal), becomes an `application/problem+json`.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::Name;
use hookwright_server::Certificate;
use hookwright_settings::{ClientPins, EndpointOptions, Proxies};

mod activity;
mod addresses;
mod anomaly;
mod answers;
mod client;
mod endpoint;
mod handle;
mod headers;
mod keys;
mod known;
mod meters;
mod path;
mod refused;
mod rejects;
mod url_tokens;

#[cfg(test)]
mod tests;

pub use activity::watch;
pub use anomaly::Anomaly;
pub use handle::Handle;
pub use keys::{Fetch, Fetching, NoFetch};
pub use path::target;
pub use url_tokens::UrlTokens;

/// How webhooks are taken in by HTTP.
#[derive(Clone)]
pub struct Options {
    /// The sources, and how each is reached.
    pub sources: Sources,
    /// Who may speak for other clients.
    pub proxies: Proxies,
    /// Fetches the keys of schemes that have them at a URL. Default: nothing can be fetched.
    pub fetch: Arc<dyn Fetch>,
    /// For the whole body of one request. Default 10 s.
    pub body_timeout: Duration,
}

/// The sources by name: `POST /in/<name>`.
pub type Sources = BTreeMap<Name, EndpointOptions>;

impl Options {
    /// The defaults, with these sources.
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            proxies: Proxies::default(),
            fetch: Arc::new(NoFetch),
            body_timeout: Duration::from_secs(10),
        }
    }
}

/// Whether the certificate is one of those that the source knows.
fn knows(pins: &ClientPins, certificate: &Certificate) -> bool {
    let any = pins.names.is_empty() && pins.fingerprints.is_empty();
    any || pins.names.iter().any(|name| certificate.is_for(name))
        || pins.fingerprints.contains(&certificate.fingerprint())
}
