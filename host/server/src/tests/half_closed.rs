//! Senders that close their half of the connection after the request, and senders that are gone.
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Echo, tls};
use crate::Options;
use crate::kit::{Running, Wire, frame, soon, until};
use hookwright_settings::ListenerLimits;

const WAIT: &str = "POST /wait HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc";

/// Twenty of twenty senders that closed their half got no answer: the end of
/// what they send was taken for the end of the connection.
#[tokio::test]
async fn regression_whoever_closes_its_half_gets_its_answer() {
    let echo = Echo::new();
    let server = Running::start(Options::new("test"), echo.clone());
    for round in 0..20 {
        let mut wire = server.connect().await;
        wire.send(WAIT).await;
        wire.io.shutdown().await.unwrap();
        until(|| echo.begun() == round + 1).await;
        echo.gate.add_permits(1);
        assert_eq!(wire.answer().await.body, "Ok(3)");
        soon(wire.closed()).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn regression_pipelined_requests_before_the_end_are_all_answered() {
    let echo = Echo::new();
    let server = Running::start(Options::new("test"), echo.clone());
    let mut wire = server.connect().await;
    wire.send(WAIT.repeat(5)).await;
    wire.io.shutdown().await.unwrap();
    until(|| echo.begun() == 1).await;
    echo.gate.add_permits(5);
    for _ in 0..5 {
        assert_eq!(wire.answer().await.body, "Ok(3)");
    }
    soon(wire.closed()).await;
    server.finish().await;
}

#[tokio::test]
async fn regression_a_large_answer_reaches_a_half_closed_sender_whole() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut wire = server.connect().await;
    wire.send("GET /big HTTP/1.1\r\nhost: h\r\n\r\n").await;
    wire.io.shutdown().await.unwrap();
    assert_eq!(wire.answer().await.body.len(), 1024 * 1024);
    soon(wire.closed()).await;
    server.finish().await;
}

#[tokio::test]
async fn regression_close_notify_of_tls_is_no_end_of_the_answer() {
    let echo = Echo::new();
    let server = Running::start(tls::secure(), echo.clone());
    let mut wire = Wire::new(tls::shake(&server, &[b"http/1.1"]).await);
    wire.send(WAIT).await;
    // Says close_notify, and closes its half of the socket.
    wire.io.shutdown().await.unwrap();
    until(|| echo.begun() == 1).await;
    echo.gate.add_permits(1);
    assert_eq!(wire.answer().await.body, "Ok(3)");
    server.finish().await;
}

/// Requests were taken and their answers lost where the end came without close_notify,
/// as from small TLS libraries: that end counted as an error of the connection.
#[tokio::test]
async fn regression_an_end_without_close_notify_is_no_end_of_the_answer() {
    let echo = Echo::new();
    let server = Running::start(tls::secure(), echo.clone());
    for round in 0..5 {
        let mut wire = Wire::new(tls::shake(&server, &[b"http/1.1"]).await);
        wire.send(WAIT.repeat(2)).await;
        // The socket alone.
        wire.io.get_mut().0.shutdown().await.unwrap();
        until(|| echo.begun() > 2 * round).await;
        echo.gate.add_permits(2);
        assert_eq!(wire.answer().await.body, "Ok(3)");
        assert_eq!(wire.answer().await.body, "Ok(3)");
        soon(wire.closed()).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_request_that_an_end_without_close_notify_cuts_off_is_not_taken() {
    let server = Running::start(tls::secure(), Echo::new());
    let mut wire = Wire::new(tls::shake(&server, &[b"http/1.1"]).await);
    wire.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc").await;
    wire.io.get_mut().0.shutdown().await.unwrap();
    assert!(wire.answer().await.body.starts_with("Err("));
    soon(wire.closed()).await;
    server.finish().await;
}

#[tokio::test]
async fn regression_behind_a_proxy_header_it_is_the_same() {
    let echo = Echo::new();
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Running::start(Options { proxies, ..Options::new("test") }, echo.clone());
    let mut wire = server.connect().await;
    wire.send(format!("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n{WAIT}")).await;
    wire.io.shutdown().await.unwrap();
    until(|| echo.begun() == 1).await;
    echo.gate.add_permits(1);
    assert_eq!(wire.answer().await.body, "Ok(3)");
    server.finish().await;
}

/// `POST path`, of three bytes, as frames of HTTP/2.
fn request(stream: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let block = [&[0x83, 0x86, 0x04, length], path.as_bytes(), &[0x41, 1, b'h']].concat();
    [frame(1, 0x4, stream, &block), frame(0, 0x1, stream, b"abc")].concat()
}

#[tokio::test]
async fn regression_over_http2_a_half_closed_sender_gets_all_its_answers() {
    let echo = Echo::new();
    let server = Running::start(Options::new("test"), echo.clone());
    for round in 1..=10 {
        let mut wire = server.connect().await;
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        wire.send(frame(4, 0, 0, b"")).await;
        for stream in [1, 3, 5] {
            wire.send(request(stream, "/wait")).await;
        }
        wire.io.shutdown().await.unwrap();
        until(|| echo.begun() == 3 * round).await;
        echo.gate.add_permits(3);
        let mut told = Vec::new();
        soon(wire.io.read_to_end(&mut told)).await.unwrap();
        let answers = told.windows(5).filter(|five| five == b"Ok(3)").count();
        assert_eq!(answers, 3, "{told:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_known_at_once() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut wire = server.connect().await;
    wire.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc").await;
    wire.io.shutdown().await.unwrap();
    assert!(wire.answer().await.body.starts_with("Err("));
    soon(wire.closed()).await;
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_that_is_half_closed_ends() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut wire = server.connect().await;
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
    wire.io.shutdown().await.unwrap();
    soon(wire.closed()).await;
    let mut fresh = server.connect().await;
    fresh.io.shutdown().await.unwrap();
    soon(fresh.closed()).await;
    server.finish().await;
}

/// Half closed is not gone: whoever resets the connection gives its place up at once.
#[tokio::test]
async fn whoever_resets_the_connection_waits_for_nothing() {
    let echo = Echo::new();
    let options = Options {
        limits: ListenerLimits { max_connections: 1, ..ListenerLimits::default() },
        ..Options::new("test")
    };
    let server = Running::start(options, echo.clone());
    let mut wire = server.connect().await;
    wire.send(WAIT).await;
    until(|| echo.begun() == 1).await;
    wire.io.set_zero_linger().unwrap();
    drop(wire);
    soon(async {
        while server.connect().await.post("/", "", "").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
    server.stop.cancel();
}
