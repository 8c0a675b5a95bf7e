//! One connection, from the accepted socket to its end.
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::watch::{Pulse, Stuck, Watch, Watched};
use super::{Certificate, DEFAULT_MAX_HEADERS, Options, Peer, Service, proxy};

/// What all connections of a listener share.
pub(super) struct Shared<S> {
    pub(super) options: Options,
    pub(super) service: S,
    builder: Builder<TokioExecutor>,
}

impl<S: Service> Shared<S> {
    pub(super) fn new(options: Options, service: S) -> Self {
        Self { builder: builder(&options), options, service }
    }

    /// Serves an accepted socket until it closes, is stuck, or `stop` lets its
    /// requests finish.
    pub(super) async fn run(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        stop: CancellationToken,
    ) {
        // An answer is one small write: waiting to fill a packet only delays it.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(listener = self.options.name, peer = %address, %cause, "TCP_NODELAY failed");
        }
        let Some(address) = self.introduce(&mut stream, address, &stop).await else { return };
        let mut peer = Peer::plain(address);
        let Some(tls) = &self.options.tls else { return self.drive(stream, peer, stop).await };
        let handshake = tls.acceptor(self.options.http2).accept(stream);
        let handshake = tokio::time::timeout(self.options.handshake_timeout, handshake);
        let Some(shaken) = stop.run_until_cancelled(handshake).await else { return };
        match shaken {
            Ok(Ok(stream)) => {
                peer.secure = true;
                let own = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                peer.certificate = own.map(Certificate::new);
                self.drive(stream, peer, stop).await
            }
            Ok(Err(cause)) => {
                tracing::debug!(listener = self.options.name, peer = %address, %cause, "TLS handshake failed");
            }
            Err(_) => {
                tracing::debug!(listener = self.options.name, peer = %address, "TLS handshake timed out");
            }
        }
    }

    /// Whom the connection speaks for: a trusted proxy tells, all others are
    /// themselves. None where that can't be known.
    async fn introduce(
        &self,
        stream: &mut TcpStream,
        address: SocketAddr,
        stop: &CancellationToken,
    ) -> Option<SocketAddr> {
        let ip = address.ip().to_canonical();
        if !self.options.proxies.iter().any(|net| net.contains(&ip)) {
            return Some(address);
        }
        let header = tokio::time::timeout(self.options.handshake_timeout, proxy::read(stream));
        let (listener, peer) = (self.options.name, address);
        match stop.run_until_cancelled(header).await? {
            Ok(Ok(told)) => Some(told.unwrap_or(address)),
            Ok(Err(cause)) => {
                tracing::warn!(listener, %peer, %cause, "a proxy's connection was closed");
                None
            }
            Err(_) => {
                tracing::debug!(listener, %peer, "the PROXY header did not come in time");
                None
            }
        }
    }

    /// Speaks HTTP over any stream.
    pub(super) async fn drive<IO>(&self, io: IO, peer: Peer, stop: CancellationToken)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let pulse = Arc::new(Pulse::default());
        let mut watch =
            Watch::new(pulse.clone(), self.options.header_timeout, self.options.idle_timeout);
        let io = TokioIo::new(Watched { io, pulse: pulse.clone() });
        let service = service_fn(|request| answer(&self.service, &pulse, &peer, request));
        let mut connection = pin!(self.builder.serve_connection(io, service));
        let mut stopped = pin!(stop.cancelled());
        let mut closing = false;
        let ended = poll_fn(|cx| {
            if !closing && stopped.as_mut().poll(cx).is_ready() {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            loop {
                if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(Ended::Failed));
                }
                match watch.poll(cx) {
                    Poll::Ready(Stuck::Idle) if !closing => {
                        // Lets the peer know, and asks once more.
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                        watch.restart();
                    }
                    Poll::Ready(stuck) => return Poll::Ready(Err(Ended::Stuck(stuck))),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        if let Err(ended) = ended.await {
            let address = peer.address;
            tracing::debug!(listener = self.options.name, peer = %address, ?ended, "connection closed");
        }
    }
}

/// Why a connection ended other than by agreement.
#[derive(Debug)]
enum Ended {
    Failed(#[allow(dead_code, reason = "shown by Debug")] super::BodyFailure),
    Stuck(#[allow(dead_code, reason = "shown by Debug")] Stuck),
}

fn answer<S: Service>(
    service: &S,
    pulse: &Arc<Pulse>,
    peer: &Peer,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<super::watch::Tracked<S::Body>>, Infallible>> + use<S> {
    let underway = pulse.begin(request.version() == Version::HTTP_2);
    let call = service.call(peer.clone(), request);
    async move { Ok(call.await.map(|body| underway.answer(body))) }
}

fn builder(options: &Options) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    // The watch does this, and knows an idle connection from a slow head.
    http1.header_read_timeout(None).max_buf_size(options.max_header_bytes.max(8192));
    if options.max_headers != DEFAULT_MAX_HEADERS {
        http1.max_headers(options.max_headers);
    }
    let list = u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(list)
        .keep_alive_interval(options.idle_timeout)
        .keep_alive_timeout(options.header_timeout);
    if options.http2 { builder } else { builder.http1_only() }
}
