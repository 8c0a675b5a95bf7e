//! The HTTP client: one deadline, bounded reads, no redirects, no private addresses.
#![deny(missing_docs)]

mod addresses;
mod blocked;
mod body;
mod client;
mod connect_error;
mod connector;
mod failure;
mod fetch;
mod frames;
mod guard;
mod limits;
mod literal;
mod permits;
mod proxy;
mod reach;
mod resolver;
mod retry_after;
mod status_line;
mod stream;
mod tls;
mod unprocessed;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Uri;

use hookwright_settings::{NetworkPolicy, Transport};

pub use client::{Client, Request};
pub use fetch::{Fetch, FetchError, Fetched, Fetcher};
pub use frames::Frames;
pub use reach::{ReachError, Reached};
pub use resolver::{Resolver, Resolving, SystemResolver};
pub use status_line::StatusLine;

/// What one destination's client needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The value of the metrics' label `destination`.
    pub name: String,
    /// `http` or `https`, without user and password.
    pub url: Uri,
    /// How it is connected to.
    pub transport: Transport,
    /// How many requests may be in flight at once; as many connections are kept
    /// idle. Default 8.
    pub in_flight: usize,
    /// How many bytes of an answer's body are kept. Default 4 KiB.
    pub excerpt: usize,
}

impl Options {
    /// The defaults for a URL.
    pub fn new(name: impl Into<String>, url: Uri) -> Self {
        Self {
            name: name.into(),
            url,
            transport: Transport::default(),
            in_flight: 8,
            excerpt: 4 * 1024,
        }
    }
}

/// Why no client can be made of a destination's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Not `http` or `https`, or without a host.
    #[error("the URL must start with `http://` or `https://` and name a host")]
    Url,
    /// User or password in the URL.
    #[error(
        "the URL must not hold a user or password; put an `authorization` header in the settings"
    )]
    Credentials,
    /// The authorities can't be read.
    #[error("the CA is no list of certificates in PEM: {0}")]
    Ca(String),
    /// The client certificate or its key can't be used.
    #[error("the client certificate and its key can't be used: {0}")]
    Identity(String),
    /// Not an HTTP proxy's URL.
    #[error("the proxy must be `http://HOST:PORT`")]
    Proxy,
}

/// A URL as others than its owner may see it: path and query may be secrets, as
/// those of a chat's incoming webhook are.
pub fn shown(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or_default();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let plain = url.path().len() <= 1 && url.query().is_none();
    format!("{scheme}://{authority}/{}", if plain { "" } else { "…" })
}

/// Makes clients that share the trusted certificates and the resolver.
pub struct Egress {
    tls: tls::Tls,
    resolver: Arc<dyn Resolver>,
    guard: guard::Guard,
}

impl Egress {
    /// With another resolver than the system's.
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { tls: tls::Tls::default(), resolver, guard: guard::refusal }
    }

    /// A client with a connection pool of its own.
    ///
    /// # Errors
    /// Where the URL, a certificate or the proxy can't be used.
    pub fn client(&self, options: Options) -> Result<Client, SetupError> {
        Client::new(options, self.guard, Arc::clone(&self.resolver), &self.tls)
    }

    /// A client for any URL, with a connection pool of its own, for answers of at most `most`
    /// bytes. `name` is its value of the metrics' label `destination`.
    ///
    /// # Errors
    /// Where the machine's certificates can't be used.
    pub fn fetcher(
        &self,
        name: &'static str,
        network: NetworkPolicy,
        most: usize,
    ) -> Result<Fetcher, SetupError> {
        Fetcher::new(name, network, most, self)
    }

    /// So that tests can tell loopback addresses apart.
    #[cfg(test)]
    pub(crate) fn with_guard(self, guard: guard::Guard) -> Self {
        Self { guard, ..self }
    }
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Arc::new(SystemResolver))
    }
}
