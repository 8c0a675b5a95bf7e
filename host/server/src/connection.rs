//! One connection, from the accepted socket to its end.
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ::metrics::counter;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::arriving::{Arriving, Guard};
use super::head::{self, Limits};
use super::pulse::{Answer, Arrival, Pulse, Tracked};
use super::socket::Watched;
use super::watch::{Stuck, Watch};
use super::{
    Certificate, DEFAULT_MAX_HEADERS, ErrorCode, Options, Peer, Service, Unread, proxy, spare,
};
use hookwright_model::metrics::HEADS_REFUSED;

/// HTTP/2 flow-control windows, in bytes, for one request and for a connection: so much
/// may be unread in memory.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of an HTTP/2 response that may wait for the client to read.
const SEND_BUFFER: usize = 64 * 1024;
/// The HTTP/2 library's limit on a head, as a multiple of our own: up to it, a
/// refusal has a body, is counted and is reported.
const LIST_FACTOR: usize = 4;

/// The parts that all connections of a listener share.
pub(super) struct Shared<S> {
    pub(super) options: Options,
    limits: Limits,
    pub(super) service: S,
    builder: Builder<TokioExecutor>,
}

impl<S: Service> Shared<S> {
    pub(super) fn new(options: Options, service: S) -> Self {
        Self { builder: builder(&options), limits: Limits::of(&options), options, service }
    }

    /// Serves an accepted socket until it closes, is stuck, or has finished its requests
    /// after `stop`.
    pub(super) async fn run(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        reserved: bool,
        stop: CancellationToken,
    ) {
        // A response is one small write: waiting to fill a packet would only delay it.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(listener = self.options.name, peer = %address, %cause, "TCP_NODELAY failed");
        }
        let Some(address) = self.introduce(&mut stream, address, &stop).await else { return };
        let mut peer = Peer { reserved, ..Peer::plain(address) };
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

    /// The address of the client: from a trusted proxy's header, else the peer's own.
    /// None if the proxy's header can't be read.
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
        let raw = self.options.budget.charge(peer.address.ip(), None);
        let pulse = Arc::new(Pulse::new(raw, peer.hangup.clone()));
        let mut watch = Watch::new(
            pulse.clone(),
            self.options.limits.header_timeout,
            self.options.limits.idle_timeout,
        );
        let io = TokioIo::new(Watched::new(io, pulse.clone(), self.limits));
        let service = service_fn(|request| self.answer(&pulse, &peer, request));
        let mut connection = pin!(self.builder.serve_connection(io, service));
        let mut stopped = pin!(stop.cancelled());
        let mut closing = false;
        let ended = poll_fn(|cx| {
            if !closing && stopped.as_mut().poll(cx).is_ready() {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            loop {
                let polled = connection.as_mut().poll(cx);
                if let Some(unread) = pulse.take_refused() {
                    self.report(&peer, &unread);
                }
                if let Poll::Ready(result) = polled {
                    return Poll::Ready(result.map_err(Ended::Failed));
                }
                match watch.poll(cx) {
                    Poll::Ready(Stuck::Idle) if !closing => {
                        // Tells the peer, and polls again.
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

    /// Answers a request: with the service or, if it exceeds a limit, with a refusal.
    fn answer(
        &self,
        pulse: &Arc<Pulse>,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Tracked<S::Body>>, Infallible>> + use<S> {
        let shared = request.version() == Version::HTTP_2;
        let (head, body) = request.into_parts();
        let bytes = head::bytes(&head);
        let (in_flight, room) = pulse.begin(shared, bytes);
        let full = peer.reserved && !self.options.reserved.contains(&head.uri.path());
        let over = self.limits.over(&head, bytes);
        let over = over.or(room.err().map(|_| ErrorCode::MemoryFull));
        let over = over.or(full.then_some(ErrorCode::TooManyConnections));
        let arrival = Arrival::new(pulse, !shared && !body.is_end_stream());
        let guarded =
            self.options.body_timeout.filter(|_| !body.is_end_stream()).map(|within| {
                Guard::new(self.options.budget.charge(peer.address.ip(), None), within)
            });
        let (guard, verdict) = guarded.unzip();
        let body = Arriving::new(body, arrival, self.limits, guard);
        let (limits, reserved) = (self.limits, peer.reserved);
        let call = match over {
            None => Ok(self.service.call(peer.clone(), Request::from_parts(head, body))),
            Some(code) => {
                let problem = limits.problem(code);
                self.report(peer, &Unread::from_head(code, problem.request(), &head));
                spare(Request::from_parts(head, body));
                Err(problem.response())
            }
        };
        async move {
            let mut response = match call {
                Err(own) => own.map(Answer::Own),
                Ok(call) => match (call.await, verdict.and_then(|verdict| verdict.code())) {
                    // Whatever the service made of a body that was taken from it.
                    (_, Some(code)) => limits.problem(code).response().map(Answer::Own),
                    (response, None) => response.map(Answer::Service),
                },
            };
            if reserved && !shared {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| in_flight.answer(body)))
        }
    }

    fn report(&self, peer: &Peer, unread: &Unread) {
        let (listener, reason) = (self.options.name, unread.code.as_str());
        counter!(HEADS_REFUSED, "listener" => listener, "reason" => reason).increment(1);
        self.service.unread(listener, peer, unread);
    }
}

/// Why a connection ended other than by agreement.
#[derive(Debug)]
enum Ended {
    Failed(#[allow(dead_code, reason = "shown by Debug")] super::BodyFailure),
    Stuck(#[allow(dead_code, reason = "shown by Debug")] Stuck),
}

fn builder(options: &Options) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let mut http1 = builder.http1();
    // The watch does this, and knows an idle connection from a slow head.
    http1.header_read_timeout(None).max_buf_size(options.limits.max_header_bytes.max(8192));
    if options.limits.max_headers != DEFAULT_MAX_HEADERS {
        http1.max_headers(options.limits.max_headers);
    }
    // The library refuses without a word, so it gets the larger limit.
    let list = options.limits.max_header_bytes.saturating_mul(LIST_FACTOR);
    let list = u32::try_from(list).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(list)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(options.limits.idle_timeout)
        .keep_alive_timeout(options.limits.header_timeout);
    if options.http2 { builder } else { builder.http1_only() }
}
