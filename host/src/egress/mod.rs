//! The HTTP client: one deadline, bounded reads, no redirects, no private addresses.
mod client;
mod connector;
mod failure;
mod guard;
mod reach;
mod resolver;
mod retry_after;
mod tls;

#[cfg(test)]
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;

pub use client::{Client, Request};
pub use reach::{ReachError, Reached};
pub use resolver::{Resolver, Resolving, SystemResolver};

/// What one destination's client needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The value of the metrics' label `destination`.
    pub name: String,
    /// `http` or `https`, without user and password.
    pub url: Uri,
    /// Lets it connect to private, loopback and other special addresses.
    pub allow_private: bool,
    /// Certificates in PEM that are trusted besides the machine's.
    pub ca: Option<Bytes>,
    /// How many requests may be under way at once; as many connections are kept idle.
    pub in_flight: usize,
    /// How many bytes of an answer's body are kept.
    pub excerpt: usize,
}

/// Why no client can be made of a destination's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("the URL must start with `http://` or `https://` and name a host")]
    Url,
    #[error(
        "the URL must not hold a user or password; put an `authorization` header in the settings"
    )]
    Credentials,
    #[error("the CA is no list of certificates in PEM: {0}")]
    Ca(String),
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
    /// Where the URL or the CA can't be used.
    pub fn client(&self, options: Options) -> Result<Client, SetupError> {
        let guard = (!options.allow_private).then_some(self.guard);
        Client::new(options, guard, Arc::clone(&self.resolver), &self.tls)
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
