//! What strangers may take of a running host before it knows who they are: memory, connections, answers.
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookwright_tests::{Host, HostBuilder, eventually};
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
