//! The HTTP server that the intake and the admin API run on: accept loop, TLS, limits, and errors as HTTP.
//!
//! [`bind`] reserves a port, [`serve`] answers requests there with a [`Service`] until it is told to stop. A service
//! reads bodies with [`read_body`] within a byte [`Budget`], and answers errors as a [`Problem`] with an [`ErrorCode`].
#![deny(missing_docs)]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use hookwright_settings::ListenerLimits;

mod arriving;
mod body;
mod budget;
mod certificate;
mod connection;
mod error_code;
mod frames;
mod head;
mod listen;
mod problem;
mod proxy;
mod pulse;
mod socket;
mod tls;
mod tower;
mod watch;

#[cfg(test)]
pub(crate) mod kit;
#[cfg(test)]
mod tests;

pub use arriving::{Arriving, BodyBroken};
pub use body::{BodyError, discard, read_body, spare};
pub use budget::{Budget, Charge, Share, Spent, network};
pub use certificate::Certificate;
pub use error_code::{ErrorCode, reference};
pub use head::Unread;
pub use listen::{BindError, Listener, bind, serve};
pub use problem::{Problem, ProblemDocument, RequestId};
pub use tls::{Tls, TlsError, certificate_end};
pub use tower::Tower;

/// Any error of a response body.
pub type BodyFailure = Box<dyn std::error::Error + Send + Sync>;

/// The client at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Of the socket, or what a proxy told of whom it speaks for
    /// ([`Options::proxies`]).
    pub address: SocketAddr,
    /// The connection is encrypted up to this host.
    pub secure: bool,
    /// The client's own, where it has one that [`TlsFiles::client_ca`](hookwright_settings::TlsFiles::client_ca) vouches for.
    pub certificate: Option<Certificate>,
    /// Cancelled once the client sends nothing more: it is gone, or takes what
    /// answers there are. A service that waits for something to tell it ends the wait.
    pub hangup: CancellationToken,
    /// On one of the connections that are kept for [`Options::reserved`].
    reserved: bool,
}

impl Peer {
    /// One at the other end of a plain connection.
    pub fn plain(address: SocketAddr) -> Self {
        let hangup = CancellationToken::new();
        Self { address, secure: false, certificate: None, hangup, reserved: false }
    }
}

/// Answers requests. It has no error: whatever goes wrong is a response.
pub trait Service: Clone + Send + Sync + 'static {
    /// The body of a response. A streaming body must send something within [`ListenerLimits::idle_timeout`], or
    /// the connection is taken for stuck.
    type Body: http_body::Body<Data = Bytes, Error: Into<BodyFailure>> + Send + Unpin + 'static;

    /// Answers one request. Dropped where the client goes away before the answer. One that closes
    /// only its own half of the connection still waits for it.
    fn call(
        &self,
        peer: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<Self>;

    /// Hears of a request that the server refused by itself, which `call` never sees.
    fn unread(&self, listener: &'static str, peer: &Peer, unread: &Unread) {
        let (request, cause) = (unread.request, unread.cause());
        let (reason, peer) = (unread.code.as_str(), peer.address);
        tracing::info!(listener, %peer, %request, reason, cause, "refused");
    }
}

/// How one listener serves.
#[derive(Clone)]
pub struct Options {
    /// The listener's name in logs and metrics.
    pub name: &'static str,
    /// What its clients may have open and send.
    pub limits: ListenerLimits,
    /// Of one address, of these (an IPv6 network of 64 bits is one). Default all.
    pub max_per_address: usize,
    /// Paths that are answered on further connections, a few at a time and for a
    /// moment each, where all others are taken: for monitors. Default none.
    pub reserved: &'static [&'static str],
    /// For what comes before HTTP: the PROXY header and the TLS handshake, each. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long requests in flight may continue after the stop. Default 10 s.
    pub drain: Duration,
    /// Whether HTTP/2 is spoken, too. Default true.
    pub http2: bool,
    /// Requests at once on one HTTP/2 connection. Default 128.
    pub max_streams: u32,
    /// Peers whose connections must begin with a header of the PROXY protocol,
    /// version 1 or 2. Nobody else's is believed. Default none.
    pub proxies: Vec<IpNet>,
    /// Of the heads that are on their way, and of the bodies where the server
    /// bounds them. Default 64 MiB.
    pub budget: Budget,
    /// Bounds each request's body for a service that does not: within that time
    /// the whole of it, by `budget` its bytes. Default none.
    pub body_timeout: Option<Duration>,
    /// None: plain HTTP.
    pub tls: Option<Tls>,
}

impl Options {
    /// The defaults.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            limits: ListenerLimits::default(),
            max_per_address: usize::MAX,
            reserved: &[],
            handshake_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            http2: true,
            max_streams: 128,
            proxies: Vec::new(),
            budget: Budget::new(name, 64 * 1024 * 1024),
            body_timeout: None,
            tls: None,
        }
    }
}

/// hyper's own: it parses into the stack with this one, and onto the heap with any other.
const DEFAULT_MAX_HEADERS: usize = 100;
