//! What only HTTP/2 has: many requests on one connection, and no end of it by itself.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use super::*;
use hookwright_settings::TlsOptions;
use hookwright_testkit::receiver::{TEST_CA, tls_settings};

/// Speaks HTTP/2 until it falls silent: then it reads and says nothing more, and
/// keeps its connections open.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Those before the number are silent.
    silent: Arc<AtomicUsize>,
    /// Each request takes one and answers.
    permits: Arc<Semaphore>,
    under_way: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Server {
    async fn start(streams: impl Into<Option<u32>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let server = Self {
            address: listener.local_addr().expect("bound"),
            connections: Arc::default(),
            silent: Arc::default(),
            permits: Arc::new(Semaphore::new(1_000)),
            under_way: Arc::default(),
            peak: Arc::default(),
        };
        let (own, streams) = (server.clone(), streams.into());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(own.clone().serve(stream, streams));
            }
        });
        server
    }

    async fn serve(self, stream: TcpStream, streams: Option<u32>) {
        let mut settings = tls_settings();
        settings.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
        let Ok(inner) = acceptor.accept(stream).await else { return };
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let stream = Falling { inner, number, silent: self.silent.clone() };
        let service = service_fn(move |_: http::Request<hyper::body::Incoming>| {
            let server = self.clone();
            async move {
                let now = server.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                server.peak.fetch_max(now, Ordering::SeqCst);
                server.permits.acquire().await.expect("never closed").forget();
                server.under_way.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"ok"))))
            }
        });
        let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        server.http2().max_concurrent_streams(streams);
        server.serve_connection(TokioIo::new(stream), service).await.ok();
    }

    fn fall_silent(&self) {
        self.silent.store(self.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn client(&self) -> Client {
        let mut options = options(&format!("https://{}/", self.address));
        let ca = Some(pem(TEST_CA));
        options.transport.tls = TlsOptions { ca, ..TlsOptions::default() };
        Egress::default().client(options).expect("good settings")
    }

    async fn until_under_way(&self, count: usize) {
        let waiting = async {
            while self.under_way.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(AMPLE, waiting).await.expect("they arrive");
    }
}

struct Falling {
    inner: TlsStream<TcpStream>,
    number: usize,
    silent: Arc<AtomicUsize>,
}

impl Falling {
    fn is_silent(&self) -> bool {
        self.number < self.silent.load(Ordering::SeqCst)
    }
}

impl AsyncRead for Falling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.is_silent() && buf.filled().len() > before {
            buf.set_filled(before);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        read
    }
}

impl AsyncWrite for Falling {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_silent() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A connection over HTTP/2 went silent without a reset: every retry went down
/// the same one until the delivery was dead.
#[tokio::test]
async fn regression_a_silent_connection_gets_no_second_attempt() {
    let server = Server::start(None).await;
    let client = server.client();
    for round in 1..4 {
        assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
        assert_eq!(server.connections.load(Ordering::SeqCst), round, "one serves well");
        server.fall_silent();
        let late = futures_util::future::join_all((0..8).map(|_| client.send(request(SHORT))));
        for outcome in late.await {
            assert_eq!(cause(&outcome), Cause::Timeout);
        }
    }
}

/// The same where a phase ends the attempt, and not the timeout over all.
#[tokio::test]
async fn regression_a_connection_without_a_first_byte_gets_no_second_attempt() {
    let server = Server::start(None).await;
    let mut options = options(&format!("https://{}/", server.address));
    let ca = Some(pem(TEST_CA));
    options.transport.tls = TlsOptions { ca, ..TlsOptions::default() };
    // Ample for the answers before, on a machine that is busy.
    options.transport.phases.first_byte = Some(Duration::from_secs(5));
    let client = Egress::default().client(options).expect("good settings");
    assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
    server.fall_silent();
    assert_eq!(cause(&client.send(request(AMPLE)).await), Cause::Timeout);
    assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
}

/// A long timeout does not keep a request on a connection that is dead: pings find out.
#[tokio::test]
async fn a_silent_connection_is_found_out_long_before_a_long_time_out() {
    let server = Server::start(None).await;
    let client = server.client();
    assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
    server.fall_silent();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let outcome = client.send(request(Duration::from_secs(3_600))).await;
    assert_eq!(cause(&outcome), Cause::Timeout, "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "took {:?}", began.elapsed());
    tokio::time::resume();
    assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
}

/// Where the destination allows one request at a time, those behind it timed out
/// while they waited for each other, and the destination was blamed.
#[tokio::test]
async fn regression_a_wait_for_a_stream_is_not_the_receivers_time() {
    let server = Server::start(1).await;
    let client = server.client();
    assert_eq!(client.send(request(AMPLE)).await, answered(200, "ok"));
    let many = (0..20).map(|_| client.send(request(AMPLE)));
    for outcome in futures_util::future::join_all(many).await {
        assert_eq!(outcome, answered(200, "ok"));
    }
    assert_eq!(server.peak.load(Ordering::SeqCst), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    // One is under way and takes its time.
    server.permits.forget_permits(1_000);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(request(AMPLE)).await }
    });
    server.until_under_way(1).await;
    let behind = client.send(request(SHORT)).await;
    assert_eq!(cause(&behind), Cause::Queue, "{behind:?}");
    let after = tokio::spawn({
        let client = client.clone();
        async move { client.send(request(AMPLE)).await }
    });
    server.permits.add_permits(2);
    assert_eq!(first.await.expect("no panic"), answered(200, "ok"));
    assert_eq!(after.await.expect("no panic"), answered(200, "ok"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "the connection is well");
}

/// Many at once to a destination that allows one and was never asked before: what it refused
/// before its limit was known were failed attempts.
#[tokio::test]
async fn regression_a_burst_before_the_limit_is_known_fails_no_attempt() {
    let server = Server::start(1).await;
    let client = server.client();
    let many = (0..20).map(|_| client.send(request(AMPLE)));
    for outcome in futures_util::future::join_all(many).await {
        assert_eq!(outcome, answered(200, "ok"));
    }
    assert_eq!(server.peak.load(Ordering::SeqCst), 1);
}

/// Nobody waits for ever for a connection that allows no request at all.
#[tokio::test]
async fn a_destination_that_allows_no_request_is_asked_and_answers_for_it() {
    let server = Server::start(0).await;
    let client = server.client();
    let both = [client.send(request(SHORT)), client.send(request(SHORT))];
    for outcome in futures_util::future::join_all(both).await {
        assert!(matches!(cause(&outcome), Cause::Timeout | Cause::Queue | Cause::Protocol));
    }
    let alone = client.send(request(SHORT)).await;
    assert!(matches!(cause(&alone), Cause::Timeout | Cause::Protocol), "{alone:?}");
}
