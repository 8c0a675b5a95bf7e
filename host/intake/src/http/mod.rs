//! The way in by HTTP: `POST /in/<source>` is verified, taken in, and answered with a status.
//!
//! [`Handle`] is the service to serve. A request becomes a [`Candidate`](super::Candidate) once the path names a
//! source, the client may post there and the signature is right; a refusal, whether it is HTTP's or the
//! [intake's](super::Refusal), becomes an `application/problem+json`.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use rustls::pki_types::ServerName;

use super::{Rate, SourceOptions};
use hookwright_model::Name;
use hookwright_server::Certificate;
use hookwright_signing::{Secret, Verify};

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

/// A fixed answer, for providers that look at it. `webhook-id` names the event all the same.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 to 299: the event is on the disk.
    pub status: StatusCode,
    /// The `content-type`, where the answer has one.
    pub content_type: Option<HeaderValue>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// The proxies between the clients and the host.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The networks of proxies whose header is believed. Default none.
    pub trusted: Vec<IpNet>,
    /// The header that they write.
    pub told_by: ToldBy,
}

/// The one header by which the trusted proxies name their client. Any other header of the kind may be
/// the client's own invention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToldBy {
    /// `x-forwarded-for` and `x-forwarded-proto`.
    #[default]
    XForwardedFor,
    /// `forwarded` (RFC 7239).
    Forwarded,
}

/// How one source is reached by HTTP, and what its clients must prove.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// What holds for its events whatever protocol they come by.
    pub source: SourceOptions,
    /// The scheme by which requests are verified. Default: none, all are believed.
    pub verify: Verify,
    /// Any one of them must stand in the path, behind the name. Empty, the default: none may.
    pub tokens: Vec<Secret>,
    /// Refuses what did not come encrypted. Default false.
    pub require_tls: bool,
    /// Which client certificates are asked for. None, the default: none.
    pub client: Option<ClientPins>,
    /// Which clients may post. Empty, the default: all.
    pub allow: Vec<IpNet>,
    /// Requests of each client by itself; an IPv6 network of 64 bits is one client. None, the default: any number.
    pub rate_per_address: Option<Rate>,
    /// Takes anything of any method unverified, and keeps the method and the query with it. Default false.
    pub bin: bool,
    /// The methods by which events come. Default POST. A bin takes any.
    pub methods: Vec<Method>,
    /// What an accepted event is answered with. None, the default: `success` or, for a duplicate,
    /// 200, and the event's id as JSON.
    pub answer: Option<Answer>,
    /// A status that the provider counts as success. Default 202.
    pub success: StatusCode,
    /// Waits so long for what a plugin answers, where one may. None, the default: does not wait.
    pub respond_within: Option<Duration>,
}

impl Default for EndpointOptions {
    /// Takes anything from anybody, up to 1 MiB.
    fn default() -> Self {
        SourceOptions::default().into()
    }
}

impl From<SourceOptions> for EndpointOptions {
    /// An endpoint without any protection, for these events.
    fn from(source: SourceOptions) -> Self {
        Self {
            source,
            verify: Verify::None,
            tokens: Vec::new(),
            require_tls: false,
            client: None,
            allow: Vec::new(),
            rate_per_address: None,
            bin: false,
            methods: vec![Method::POST],
            answer: None,
            success: StatusCode::ACCEPTED,
            respond_within: None,
        }
    }
}

/// The client certificates that a source knows, among those that the listener's
/// authorities vouch for. With nothing in it: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientPins {
    /// One of them must be among the certificate's alternative names.
    pub names: Vec<ServerName<'static>>,
    /// Or its SHA-256, of the whole in DER, must be one of these.
    pub fingerprints: Vec<[u8; 32]>,
}

impl ClientPins {
    /// Whether the certificate is one of these.
    fn know(&self, certificate: &Certificate) -> bool {
        let any = self.names.is_empty() && self.fingerprints.is_empty();
        any || self.names.iter().any(|name| certificate.is_for(name))
            || self.fingerprints.contains(&certificate.fingerprint())
    }
}
