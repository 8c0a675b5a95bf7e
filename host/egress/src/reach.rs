//! Connects as a delivery would and sends nothing: whether a destination can be reached.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Counter;
use tower_service::Service;

use super::connector::Connector;
use super::failure::chain;
use super::{Egress, Options, SetupError};

/// A connection that stood.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The destination's, or that of the proxy before it.
    pub address: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Lookup, connection and TLS together.
    pub took: Duration,
}

/// Why none did.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// No client can be made of the settings.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The connection failed; why, in one line.
    #[error("{0}")]
    Connect(String),
    /// The time was over first.
    #[error("no connection within {0:?}")]
    Slow(Duration),
}

impl Egress {
    /// Connects to the URL of `options` under the same guard as its deliveries,
    /// and closes the connection again.
    ///
    /// # Errors
    /// If no connection is made within `timeout`.
    pub async fn reach(&self, options: &Options, timeout: Duration) -> Result<Reached, ReachError> {
        let resolver = Arc::clone(&self.resolver);
        let mut connector =
            Connector::new(options, self.guard, resolver, &self.tls, Counter::noop())?;
        let began = Instant::now();
        let stream = tokio::time::timeout(timeout, connector.call(options.url.clone()))
            .await
            .map_err(|_| ReachError::Slow(timeout))?
            .map_err(|error| ReachError::Connect(chain(&error)))?;
        let (took, stream) = (began.elapsed(), stream.inner());
        let address = stream.address().map_err(|error| ReachError::Connect(error.to_string()))?;
        Ok(Reached { address, tls: stream.is_encrypted(), took })
    }
}
