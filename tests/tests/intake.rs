//! What strangers may take of a running host before it knows who they are: memory, connections, answers.
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_tests::{Host, HostBuilder, eventually};
use hyper::Method;
use hyper::body::{Body, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;
/// Connections, tasks, buffers and the tests' own requests beside the bodies.
const BESIDE: u64 = 96 * MIB;

const TWO: &str = "[ingress]\nlisten = \"127.0.0.1:0\"\nmemory = \"32MiB\"\n\
    [sources.noisy]\nverify = { scheme = \"bearer\", secrets = [\"env:S\"] }\n\
    [sources.quiet]\nverify = { scheme = \"bearer\", secrets = [\"env:S\"] }\n";

async fn start() -> Host {
    HostBuilder::new(TWO).env("S", "right").start().await
}

async fn metric(host: &Host, line: &str) -> f64 {
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let found = page.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in {page}"))
}

const IN_FLIGHT: &str = "hookwright_bytes_in_flight{listener=\"ingress\"}";
const REFUSED: &str = "hookwright_bytes_refused_total{listener=\"ingress\"}";

/// Posts as the provider does, to a source that nobody floods.
async fn quiet_is_served(host: &Host) {
    let right = [("authorization", "Bearer right")];
    let large = vec![b'x'; 512 * 1024];
    let posted = host.client.post(host.ingress(), "/in/quiet", &right, large).await;
    assert_eq!(posted.expect("an answer").status, 202);
}

/// One request whose body lacks its last byte.
async fn one_byte_short(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("POST /in/noisy HTTP/1.1\r\nhost: h\r\ncontent-length: {MIB}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let body = vec![b'x'; MIB as usize - 1];
    // One that is refused may be closed within.
    let _ = stream.write_all(&body).await;
    Ok(stream)
}

/// 500 connections with a body one byte short held 638 MB.
#[tokio::test(flavor = "multi_thread")]
async fn regression_bodies_that_never_end_hold_no_more_than_the_budget() {
    let host = start().await;
    let before = host.resident();
    let mut all = JoinSet::new();
    for _ in 0..500 {
        all.spawn(one_byte_short(host.ingress()));
    }
    let held: Vec<_> = all.join_all().await.into_iter().flatten().collect();
    assert!(held.len() > 400, "{}", held.len());
    eventually("most are refused", DEADLINE, || async {
        (metric(&host, REFUSED).await > 300.0).then_some(())
    })
    .await;
    let (now, in_flight) = (host.resident(), metric(&host, IN_FLIGHT).await);
    assert!(in_flight > 5e6 && in_flight <= 32.0 * MIB as f64, "{in_flight}");
    let grown = now.saturating_sub(before);
    assert!(grown < 32 * MIB + BESIDE, "{} MiB", grown / MIB);
    quiet_is_served(&host).await;
    drop(held);
    eventually("all is given back", DEADLINE, || async {
        (metric(&host, IN_FLIGHT).await == 0.0).then_some(())
    })
    .await;
}

/// So many pieces of 16 KiB, and then neither more nor an end.
struct Short(usize);

impl Body for Short {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Pending };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024])))))
    }
}

/// Ten HTTP/2 connections held 1,435 MB.
#[tokio::test(flavor = "multi_thread")]
async fn regression_streams_that_never_end_hold_no_more_than_the_budget() {
    let host = start().await;
    let before = host.resident();
    let mut kept = Vec::new();
    for _ in 0..10 {
        let stream = TcpStream::connect(host.ingress()).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("a handshake");
        kept.push(tokio::spawn(async move { drop(connection.await) }));
        for _ in 0..100 {
            let request = http::Request::post(format!("http://{}/in/noisy", host.ingress()));
            let request = request.header("content-length", MIB).body(Short(63)).expect("a request");
            let asked = sender.send_request(request);
            kept.push(tokio::spawn(async move { drop(asked.await) }));
        }
    }
    eventually("most are refused", DEADLINE, || async {
        (metric(&host, REFUSED).await > 500.0).then_some(())
    })
    .await;
    let grown = host.resident().saturating_sub(before);
    assert!(grown < 32 * MIB + BESIDE, "{} MiB", grown / MIB);
    quiet_is_served(&host).await;
    for task in kept {
        task.abort();
    }
}

/// Twenty of twenty senders that closed their half got no answer, and fourteen events were stored.
#[tokio::test(flavor = "multi_thread")]
async fn regression_half_closed_senders_are_answered_and_stored_once() {
    let settings = "[sources.s]\nverify = { scheme = \"none\" }\n";
    let host = HostBuilder::new(settings).start().await;
    let request = "POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi";
    let ask = async |address: SocketAddr, text: String| {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut told = String::new();
        stream.read_to_string(&mut told).await.expect("an answer");
        told
    };
    for _ in 0..20 {
        let told = ask(host.ingress(), request.to_owned()).await;
        assert!(told.starts_with("HTTP/1.1 202 "), "{told}");
    }
    let told = ask(host.ingress(), request.repeat(5)).await;
    assert_eq!(told.matches("HTTP/1.1 202 ").count(), 5, "{told}");
    let told = ask(host.admin(), "GET /api/v1/stats HTTP/1.1\r\nhost: localhost\r\n\r\n".into());
    let told = told.await;
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("\"events\":25"), "{told}");
}

const READER: &str = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"env:ADMIN\"\n\
    [admin.tokens.reader]\ntoken = \"env:READ\"\nscope = \"read\"\n\
    [sources.s]\nverify = { scheme = \"none\" }\n";
const READ: &str = "Bearer 0123456789abcdef-read";

async fn admin() -> Host {
    let builder = HostBuilder::new(READER).env("ADMIN", "0123456789abcdef-admin");
    builder.env("READ", "0123456789abcdef-read").start().await
}

/// Asks so often at once over one connection, with the token of a reader; gives
/// the connection, nothing more of which is read, and each status: 200, or 0 for any other.
async fn ask_by_http2(address: SocketAddr, path: &str, times: u32) -> (TcpStream, Vec<u16>) {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    // GET and http by the static table; path, authority and authorization as literals.
    let fields = [
        vec![0x82, 0x86],
        [vec![0x04], text(path)].concat(),
        [vec![0x01], text("localhost")].concat(),
        [vec![0x0f, 0x08], text(READ)].concat(),
    ]
    .concat();
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let start = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b"")].concat();
    stream.write_all(&start).await.expect("sent");
    let (mut told, mut statuses) = (Vec::new(), Vec::new());
    for number in 0..times {
        stream.write_all(&frame(1, 0x5, 2 * number + 1, &fields)).await.expect("sent");
    }
    while statuses.len() < times as usize {
        let mut piece = [0; 16 * 1024];
        let read = stream.read(&mut piece).await.expect("answers");
        assert!(read > 0, "{} answers and an end", statuses.len());
        told.extend_from_slice(&piece[..read]);
        while let Some(length) =
            told.get(..3).map(|head| u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize)
            && told.len() >= 9 + length
        {
            let frame: Vec<u8> = told.drain(..9 + length).collect();
            if frame[3] == 1 {
                statuses.push(if frame.get(9) == Some(&0x88) { 200 } else { 0 });
            }
        }
    }
    (stream, statuses)
}

/// 240 streams over two connections of a `read` token took 300 MB that did not come back.
#[tokio::test(flavor = "multi_thread")]
async fn regression_streams_of_one_token_are_bounded() {
    let host = admin().await;
    for number in 0..1_000 {
        let body = format!("{number}");
        host.client.post(host.ingress(), "/in/s", &[], body).await.expect("an answer");
    }
    let before = host.resident();
    let (mut open, mut refused, mut kept) = (0, 0, Vec::new());
    for _ in 0..2 {
        let (stream, statuses) = ask_by_http2(host.admin(), "/api/v1/stream?since=0", 120).await;
        kept.push(stream);
        open += statuses.iter().filter(|status| **status == 200).count();
        refused += statuses.iter().filter(|status| **status != 200).count();
    }
    assert!(open <= 32 && refused >= 200, "{open} open, {refused} refused");
    let grown = host.resident().saturating_sub(before);
    assert!(grown < 100 * MIB, "{} MiB", grown / MIB);
    // Where one ends, another may begin.
    drop(kept);
    let uri = format!("http://{}/api/v1/stream", host.admin());
    eventually("there is room again", DEADLINE, || async {
        let mut stream = TcpStream::connect(host.admin()).await.ok()?;
        let head = format!("GET {uri} HTTP/1.1\r\nhost: h\r\nauthorization: {READ}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.ok()?;
        (&start == b"HTTP/1.1 200").then_some(())
    })
    .await;
}

/// One `read` token that waited in the feed took the place of all others behind its address, and kept it after it hung up.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_token_leaves_room_for_others_and_gives_its_places_back() {
    let host = admin().await;
    let asked = |token: &'static str, path: String| {
        let (host, header) = (&host, [("authorization", token)]);
        async move {
            let asked = host.client.ask(Method::GET, host.admin(), &path, &header, Bytes::new());
            asked.await.expect("an answer")
        }
    };
    let now = asked(READ, "/api/v1/feed".to_owned()).await;
    let now = now.json();
    let path = format!("/api/v1/feed?wait_s=30&after={}", now["position"].as_str().expect("one"));
    let since = Instant::now();
    let mut waiting = Vec::new();
    // More than there are places: the requests that look take one for a moment, too.
    for _ in 0..80 {
        let mut stream = TcpStream::connect(host.admin()).await.expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: {READ}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        waiting.push(stream);
    }
    let access = || "/api/v1/access".to_owned();
    eventually("the token's places are taken", DEADLINE, || async {
        (asked(READ, access()).await.status == 429).then_some(())
    })
    .await;
    let other = asked("Bearer 0123456789abcdef-admin", access()).await;
    assert_eq!(other.status, 200, "another token from the same address has room");
    // All but one say that they send nothing more and are told what there is; one goes away.
    drop(waiting.pop());
    for stream in &mut waiting {
        stream.shutdown().await.expect("a half-closed connection");
        let mut told = String::new();
        stream.read_to_string(&mut told).await.expect("an answer");
        assert!(told.starts_with("HTTP/1.1 200 ") || told.starts_with("HTTP/1.1 429 "), "{told}");
    }
    eventually("the places are back", DEADLINE, || async {
        (asked(READ, access()).await.status == 200).then_some(())
    })
    .await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(28), "they came back only as the waits ended: {took:?}");
}

/// Whoever takes all connections of the admin side must not blind the monitors.
#[tokio::test(flavor = "multi_thread")]
async fn regression_monitors_are_served_beside_all_that_is_taken() {
    let host = admin().await;
    let mut taken = Vec::new();
    for _ in 0..600 {
        taken.push(TcpStream::connect(host.admin()).await.expect("a connection"));
    }
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(host.admin()).await.expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut told = String::new();
        stream.read_to_string(&mut told).await.expect("an answer, and the end");
        told
    };
    for _ in 0..50 {
        let told = ask("/healthz").await;
        assert!(told.starts_with("HTTP/1.1 200 ") && told.ends_with("ok\n"), "{told}");
        let told = ask("/readyz").await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    }
    let told = ask("/api/v1/stats").await;
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("too-many-connections"), "{told}");
    drop(taken);
    eventually("there is room again", DEADLINE, || async {
        ask("/api/v1/stats").await.starts_with("HTTP/1.1 401 ").then_some(())
    })
    .await;
}

/// An admin body was held open for 100 s, read before the scope was looked at.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_body_is_not_read_for_whom_it_is_not_and_not_for_ever() {
    let host = admin().await;
    let post = async |path: &str, token: &str| {
        let mut stream = TcpStream::connect(host.admin()).await.expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer 0123456789abcdef-{token}\r\n\
             content-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut start = vec![0; 12];
        stream.read_exact(&mut start).await.expect("an answer");
        String::from_utf8(start).expect("text")
    };
    let asked = std::time::Instant::now();
    assert_eq!(post("/api/v1/replays", "none").await, "HTTP/1.1 401");
    assert_eq!(post("/api/v1/replays", "read").await, "HTTP/1.1 403");
    assert!(asked.elapsed() < Duration::from_secs(9), "nobody waited for the body");
    assert_eq!(post("/api/v1/replays", "admin").await, "HTTP/1.1 408");
}
