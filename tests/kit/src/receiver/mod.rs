//! A destination for tests, on loopback: answers by a script, however badly, and counts.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Signed what the TLS receiver shows; good for 127.0.0.1 and localhost from 2024 to 2123.
pub const TEST_CA: &str = include_str!("ca.pem");
/// What the TLS receiver shows.
pub const LEAF: &str = include_str!("leaf.pem");
/// A client's certificate, as good as long, and its key.
pub const CLIENT: (&str, &str) = (include_str!("client.pem"), include_str!("client.key"));

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request line.
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Counts the requests, from 0.
    pub number: usize,
}

/// What a receiver does with a request that it has read.
pub enum Reply {
    /// Writes this and waits for the next request.
    Write(Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this and resets the connection.
    Reset(Vec<u8>),
    /// Writes this, then nothing more, and keeps the connection open.
    Hang(Vec<u8>),
    /// Writes the first, then the second for ever.
    Repeat(Vec<u8>, Vec<u8>),
    /// Writes the first, then of the second one byte in each such time.
    Trickle(Vec<u8>, Vec<u8>, Duration),
    /// Waits before the reply.
    After(Duration, Box<Reply>),
}

/// A whole answer without headers of note.
pub fn status(code: u16) -> Reply {
    answer(code, "", "")
}

/// A whole answer. Each header line ends with `\r\n`.
pub fn answer(code: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Write(
        format!("HTTP/1.1 {code} Scripted\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            .into(),
    )
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    connections: AtomicUsize,
    open: AtomicUsize,
    under_way: AtomicUsize,
    peak: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

/// Stops when dropped.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(script, None).await
    }

    pub async fn start_tls(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(script, tls_settings()).await
    }

    /// With TLS of its own.
    pub async fn start_with(
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        tls: ServerConfig,
    ) -> Self {
        Self::listen(script, Some(Arc::new(tls).into())).await
    }

    async fn listen(
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    pub fn url(&self) -> Uri {
        format!("http://{}/hook?a=1", self.address).parse().expect("a URL")
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    shared: Arc<Shared>,
) {
    let mut serving = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket");
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        serving.spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            match tls {
                None => serve_plain(stream, &shared).await,
                Some(tls) => {
                    if let Ok(mut stream) = tls.accept(stream).await {
                        serve(&mut stream, &shared).await;
                    }
                }
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve_plain(mut stream: TcpStream, shared: &Shared) {
    if serve(&mut stream, shared).await == Some(End::Reset) {
        stream.set_zero_linger().expect("a socket");
    }
}

#[derive(PartialEq)]
enum End {
    Reset,
}

/// Until the connection ends; none where that was without violence.
async fn serve<S>(stream: &mut S, shared: &Shared) -> Option<End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::new();
    loop {
        let (line, headers, body) = read_request(stream, &mut buffer).await?;
        let seen = {
            let mut all = shared.seen.lock();
            let seen = Seen { line, headers, body, number: all.len() };
            all.push(seen.clone());
            seen
        };
        let under_way = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        shared.peak.fetch_max(under_way, Ordering::SeqCst);
        let reply = wait((shared.script)(&seen)).await;
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
        match reply {
            Reply::Write(bytes) => stream.write_all(&bytes).await.ok()?,
            other => return violent(stream, other).await,
        }
    }
}

async fn wait(mut reply: Reply) -> Reply {
    while let Reply::After(time, then) = reply {
        tokio::time::sleep(time).await;
        reply = *then;
    }
    reply
}

async fn violent<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> Option<End> {
    match reply {
        Reply::Write(bytes) | Reply::Close(bytes) => stream.write_all(&bytes).await.ok()?,
        Reply::Reset(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            return Some(End::Reset);
        }
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            // Returns once the other side has closed.
            stream.read_to_end(&mut Vec::new()).await.ok()?;
        }
        Reply::Repeat(first, again) => {
            stream.write_all(&first).await.ok()?;
            while stream.write_all(&again).await.is_ok() {}
        }
        Reply::Trickle(first, bytes, time) => {
            stream.write_all(&first).await.ok()?;
            for byte in bytes {
                stream.write_all(&[byte]).await.ok()?;
                tokio::time::sleep(time).await;
            }
        }
        Reply::After(..) => unreachable!("waited for already"),
    }
    None
}

async fn read_request<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Option<(String, HeaderMap, Bytes)>
where
    S: AsyncRead + Unpin,
{
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = buffer.split_to(end);
    buffer.advance(4);
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, rest) = head.split_once("\r\n").unwrap_or((head.as_str(), ""));
    let headers: HeaderMap = rest.split("\r\n").filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |value| {
        value.to_str().expect("text").parse().expect("the client writes a good length")
    });
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some((line.to_owned(), headers, buffer.split_to(length).freeze()))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.parse().ok()?, value.trim().parse().ok()?))
}

/// Shows the leaf, asks for nothing.
pub fn tls_settings() -> ServerConfig {
    let versions = rustls::ALL_VERSIONS;
    with_leaf(builder(versions).with_no_client_auth())
}

/// Shows the leaf, and speaks no other version.
pub fn tls_settings_of(version: &'static rustls::SupportedProtocolVersion) -> ServerConfig {
    with_leaf(builder(&[version]).with_no_client_auth())
}

/// Shows the leaf, and asks for a certificate of the clients' CA.
pub fn tls_settings_for_clients() -> ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(include_bytes!("client_ca.pem")).expect("PEM");
    roots.add(ca).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().expect("one CA");
    with_leaf(builder(rustls::ALL_VERSIONS).with_client_cert_verifier(verifier))
}

fn builder(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    builder.with_protocol_versions(versions).expect("ring speaks TLS")
}

fn with_leaf(
    builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("leaf.pem")).map(|c| c.expect("PEM"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("leaf.key")).expect("PEM");
    let made = builder.with_single_cert(chain.collect(), key);
    made.expect("key and certificate match")
}
