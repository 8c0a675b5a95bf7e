//! What a receiver takes back over HTTP/2: streams that it resets or refuses, connections that it gives notice of.
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

use super::*;
use hookwright_settings::TlsOptions;
use hookwright_testkit::receiver::{TEST_CA, tls_settings};

const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
const HTTP_1_1_REQUIRED: u32 = 13;

/// What becomes of a request that came whole.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answer,
    /// Answers 500, and resets the stream where its body would be.
    Break(u32),
    Reset(u32),
    /// Answers once it is let go.
    Hold,
    /// Gives notice of the connection's end, with the last stream that it looked at, and ends it.
    GoAway(u32, u32),
    /// Answers, allows no more streams, and ends the connection once it is let go.
    Shut,
    /// As `GoAway`, and leaves the connection open.
    Notice(u32, u32),
}

/// Frames of HTTP/2 by a script: by the number of the connection and that of the request on it, from 0.
struct Scripted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    held: Arc<Semaphore>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn write(to: &Mutex<impl AsyncWrite + Unpin>, bytes: &[u8]) {
    let mut to = to.lock().await;
    // The client may have gone.
    let _ = to.write_all(bytes).await;
    let _ = to.flush().await;
}

/// `:status: 200` and `:status: 500` of HPACK's table.
const STATUS_200: [u8; 1] = [0x88];
const STATUS_500: [u8; 1] = [0x8e];

impl Scripted {
    async fn start(
        settings: &'static [u8],
        script: impl Fn(usize, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let server = Self {
            address: listener.local_addr().expect("bound"),
            connections: Arc::default(),
            requests: Arc::default(),
            held: Arc::new(Semaphore::new(0)),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let (held, script) = (server.held.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (connections, requests) = (connections.clone(), requests.clone());
                let (held, script) = (held.clone(), script.clone());
                tokio::spawn(async move {
                    let mut tls = tls_settings();
                    tls.alpn_protocols = vec![b"h2".to_vec()];
                    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    let seen = |on_it| {
                        requests.fetch_add(1, Ordering::SeqCst);
                        script(number, on_it)
                    };
                    // Ends where the client does.
                    let _ = serve(stream, settings, seen, held).await;
                });
            }
        });
        server
    }

    fn client(&self) -> Client {
        let mut options = options(&format!("https://{}/", self.address));
        let ca = Some(pem(TEST_CA));
        options.transport.tls = TlsOptions { ca, ..TlsOptions::default() };
        Egress::default().client(options).expect("good settings")
    }

    /// Connections and requests so far.
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

async fn serve(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    settings: &[u8],
    seen: impl Fn(usize) -> Does,
    held: Arc<Semaphore>,
) -> io::Result<()> {
    let (mut from, to) = tokio::io::split(stream);
    let to = Arc::new(Mutex::new(to));
    write(&to, &frame(4, 0, 0, settings)).await;
    let mut preface = [0; 24];
    from.read_exact(&mut preface).await?;
    let mut number = 0;
    loop {
        let mut head = [0; 9];
        from.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let stream = u32::from_be_bytes(stream);
        let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
        from.read_exact(&mut payload).await?;
        match (kind, flags & 1) {
            (6, 0) => write(&to, &frame(6, 1, 0, &payload)).await,
            // Headers or data that end the request.
            (0 | 1, 1) => {
                let does = seen(number);
                number += 1;
                let two = |a: u32, b: u32| [a.to_be_bytes(), b.to_be_bytes()].concat();
                match does {
                    Does::Answer => write(&to, &frame(1, 5, stream, &STATUS_200)).await,
                    Does::Break(why) => {
                        let answer = frame(1, 4, stream, &STATUS_500);
                        let reset = frame(3, 0, stream, &why.to_be_bytes());
                        write(&to, &[answer, reset].concat()).await;
                    }
                    Does::Reset(why) => {
                        write(&to, &frame(3, 0, stream, &why.to_be_bytes())).await;
                    }
                    Does::Hold => {
                        let (to, held) = (to.clone(), held.clone());
                        tokio::spawn(async move {
                            held.acquire().await.expect("never closed").forget();
                            write(&to, &frame(1, 5, stream, &STATUS_200)).await;
                        });
                    }
                    Does::Shut => {
                        let answer = frame(1, 5, stream, &STATUS_200);
                        let none = frame(4, 0, 0, &[0, 3, 0, 0, 0, 0]);
                        write(&to, &[none, answer].concat()).await;
                        held.acquire().await.expect("never closed").forget();
                        return to.lock().await.shutdown().await;
                    }
                    Does::Notice(last, why) => {
                        write(&to, &frame(7, 0, 0, &two(last, why))).await;
                    }
                    Does::GoAway(last, why) => {
                        write(&to, &frame(7, 0, 0, &two(last, why))).await;
                        return to.lock().await.shutdown().await;
                    }
                }
            }
            _ => {}
        }
    }
}

/// A connection reset every stream: all attempts went down it until the delivery was dead.
#[tokio::test]
async fn regression_a_connection_that_resets_its_streams_gets_no_second_attempt() {
    let reasons =
        [PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED, 0xffff];
    for why in reasons {
        let script = move |number, _| if number == 0 { Does::Reset(why) } else { Does::Answer };
        let server = Scripted::start(&[], script).await;
        let client = server.client();
        let outcome = client.send(request(AMPLE)).await;
        assert_eq!(cause(&outcome), Cause::Protocol, "{why}: {outcome:?}");
        assert_eq!(server.counts(), (1, 1), "it may have been processed: not sent again");
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""), "{why}");
        assert_eq!(server.counts(), (2, 2), "{why}");
    }
}

/// The same where an answer has begun.
#[tokio::test]
async fn regression_a_connection_that_resets_answers_gets_no_second_attempt() {
    let script = |number, _| match number {
        0 => Does::Break(INTERNAL_ERROR),
        _ => Does::Answer,
    };
    let server = Scripted::start(&[], script).await;
    let client = server.client();
    assert_eq!(client.send(request(AMPLE)).await, answered(500, ""));
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    assert_eq!(server.counts(), (2, 2));
}

/// Requests that are under way on such a connection end there.
#[tokio::test]
async fn a_request_under_way_goes_on_where_another_is_reset() {
    let script = |number, on_it| match (number, on_it) {
        (0, 0) => Does::Answer,
        (0, 1) => Does::Hold,
        (0, _) => Does::Reset(CANCEL),
        _ => Does::Answer,
    };
    let server = Scripted::start(&[], script).await;
    let client = server.client();
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(request(AMPLE)).await }
    });
    let arrives = async {
        while server.counts().1 < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, arrives).await.expect("it arrives");
    assert_eq!(cause(&client.send(request(AMPLE)).await), Cause::Protocol);
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    assert_eq!(server.counts(), (2, 4));
    server.held.add_permits(1);
    assert_eq!(first.await.expect("no panic"), answered(200, ""));
}

/// A stream that was refused before the limit was known was a failed attempt. The connection is well.
#[tokio::test]
async fn regression_a_stream_refused_above_a_limit_not_known_yet_uses_up_no_attempt() {
    // SETTINGS_MAX_CONCURRENT_STREAMS = 1.
    let script = |_, on_it| if on_it == 0 { Does::Reset(REFUSED_STREAM) } else { Does::Answer };
    let server = Scripted::start(&[0, 3, 0, 0, 0, 1], script).await;
    let client = server.client();
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    assert_eq!(server.counts(), (1, 2));
}

/// Whoever refuses although no more are under way than it allows is asked over a new connection, and once.
#[tokio::test]
async fn regression_a_connection_that_refuses_streams_gets_no_second_try() {
    let script = |number, on_it| match (number, on_it) {
        (0, 0) | (1, _) => Does::Answer,
        _ => Does::Reset(REFUSED_STREAM),
    };
    let server = Scripted::start(&[0, 3, 0, 0, 0, 1], script).await;
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    }
    assert_eq!(server.counts(), (2, 3));

    let server = Scripted::start(&[], |_, _| Does::Reset(REFUSED_STREAM)).await;
    let client = server.client();
    for sent in [2, 4] {
        assert_eq!(cause(&client.send(request(AMPLE)).await), Cause::Protocol);
        assert_eq!(server.counts().1, sent, "two tries, not more");
    }
}

/// Requests behind the last stream of a GOAWAY were failed attempts.
#[tokio::test]
async fn regression_a_request_behind_the_last_of_a_goaway_uses_up_no_attempt() {
    for why in [NO_ERROR, ENHANCE_YOUR_CALM] {
        for does in [Does::GoAway, Does::Notice] {
            for behind in 0..2 {
                let script = move |number, on_it| match (number, on_it) {
                    // The first stream is 1.
                    (0, on_it) if on_it == behind => does(if behind == 0 { 0 } else { 1 }, why),
                    _ => Does::Answer,
                };
                let server = Scripted::start(&[], script).await;
                let client = server.client();
                for _ in 0..=behind {
                    let outcome = client.send(request(AMPLE)).await;
                    assert_eq!(outcome, answered(200, ""), "{why}, after {behind}");
                }
                assert_eq!(server.counts(), (2, behind + 2));
            }
        }
    }
}

/// What a GOAWAY's last stream covers may have been processed: a failed attempt, and not sent again at once.
#[tokio::test]
async fn a_request_that_a_goaway_covers_is_not_sent_again_within_its_attempt() {
    for why in [NO_ERROR, INTERNAL_ERROR] {
        let script = move |number, _| match number {
            0 => Does::GoAway(1, why),
            _ => Does::Answer,
        };
        let server = Scripted::start(&[], script).await;
        let client = server.client();
        let outcome = client.send(request(AMPLE)).await;
        assert_eq!(cause(&outcome), Cause::Protocol, "{outcome:?}");
        assert_eq!(server.counts(), (1, 1));
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    }
}

/// A request that waited for a free stream when the connection ended was taken for one that can't be
/// sent at all, and its delivery was dead at once.
#[tokio::test]
async fn regression_a_request_that_waits_for_a_stream_outlives_the_connection() {
    for body in [&b"{}"[..], b""] {
        let script = |number, _| if number == 0 { Does::Shut } else { Does::Answer };
        let server = Scripted::start(&[], script).await;
        let client = server.client();
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
        let waiting = client.send(Request { body: Bytes::from_static(body), ..request(AMPLE) });
        let end = async {
            // It is on its way to the connection.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            server.held.add_permits(1);
        };
        let (outcome, ()) = tokio::join!(waiting, end);
        // One without a body may have been sent, for all that the library tells.
        if body.is_empty() && matches!(outcome, Outcome::Failed { .. }) {
            assert_eq!(cause(&outcome), Cause::Protocol, "{outcome:?}");
        } else {
            assert_eq!(outcome, answered(200, ""));
        }
    }
}
