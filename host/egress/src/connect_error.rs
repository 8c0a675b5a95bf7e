//! Why a connection was not made.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Why the connector made no connection. The connector and the proxy's tunnel return it, `failure` turns it into an
/// attempt's cause and text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("`{host}` has no address: {reason}")]
    Dns { host: String, reason: String },
    #[error("`{host}` is at {address}, {kind}; {cure}")]
    Refused { host: String, address: IpAddr, kind: &'static str, cure: &'static str },
    #[error("`{host}` is {kind}: no proxy is asked for it")]
    Name { host: String, kind: &'static str },
    #[error("no connection to {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("the proxy made no tunnel: {0}")]
    Proxy(String),
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("no connection within {0:?}")]
    Slow(Duration),
    #[error("no end of the TLS handshake within {0:?}")]
    SlowTls(Duration),
}
