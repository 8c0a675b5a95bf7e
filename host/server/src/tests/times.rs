//! Time-outs, in memory and with the clock paused.
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Echo;
use crate::connection::Shared;
use crate::kit::{Wire, frame, http2, post, whole};
use crate::{Options, Peer};
use hookwright_settings::ListenerLimits;

const HEADER: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);

fn connect(echo: &Echo) -> Wire<DuplexStream> {
    Wire::new(stream(echo))
}

fn stream(echo: &Echo) -> DuplexStream {
    let (near, far) = duplex(4096);
    let options = Options {
        limits: ListenerLimits {
            header_timeout: HEADER,
            idle_timeout: IDLE,
            ..ListenerLimits::default()
        },
        ..Options::new("test")
    };
    let shared = Shared::new(options, echo.clone());
    let peer = Peer::plain((Ipv4Addr::LOCALHOST, 1).into());
    tokio::spawn(async move { shared.drive(far, peer, CancellationToken::new()).await });
    near
}

/// Seconds since then, to a second.
fn seconds(start: Instant) -> u64 {
    start.elapsed().as_millis().div_ceil(1000) as u64
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut_at_the_deadline() {
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "POST / HTTP/1.1\r\nhost: h\r\n"] {
        let since = Instant::now();
        let mut wire = connect(&Echo::new());
        wire.send(start).await;
        wire.closed().await;
        assert_eq!(seconds(since), 10, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time_does_not_put_off_the_deadline() {
    let since = Instant::now();
    let mut wire = connect(&Echo::new());
    wire.send("POST / HTTP/1.1\r\nx: ").await;
    while since.elapsed() < Duration::from_millis(9_900) {
        wire.send("a").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    wire.closed().await;
    assert_eq!(seconds(since), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_for_the_idle_time_only() {
    let mut wire = connect(&Echo::new());
    for _ in 0..3 {
        assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
    }
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
    let since = Instant::now();
    wire.closed().await;
    assert_eq!(seconds(since), 60);
}

#[tokio::test(start_paused = true)]
async fn the_second_head_has_its_deadline_too() {
    let mut wire = connect(&Echo::new());
    assert_eq!(wire.post("/", "", "ab").await.body, "Ok(2)");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let since = Instant::now();
    wire.send("POST / HT").await;
    wire.closed().await;
    assert_eq!(seconds(since), 10);
}

#[tokio::test(start_paused = true)]
async fn a_service_at_work_is_left_alone() {
    let echo = Echo::new();
    let mut wire = connect(&echo);
    wire.send("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    echo.gate.add_permits(1);
    // `answer` has a deadline of its own, which paused time would jump to.
    assert_eq!(wire.try_answer().await.map(|answer| answer.status), Some(200));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_given_up() {
    let mut wire = connect(&Echo::new());
    wire.send("GET /big HTTP/1.1\r\nhost: h\r\n\r\n").await;
    tokio::time::sleep(IDLE * 3).await;
    let mut taken = Vec::new();
    let _ = wire.io.read_to_end(&mut taken).await;
    assert!(taken.len() < 1024 * 1024, "{}", taken.len());
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_peer_that_takes_nothing_is_given_up_sooner() {
    let since = Instant::now();
    let mut wire = connect(&Echo::new());
    wire.send("GET /big HTTP/1.1\r\nhost: h\r\n\r\n").await;
    wire.io.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut taken = Vec::new();
    let _ = wire.io.read_to_end(&mut taken).await;
    assert!(taken.len() < 1024 * 1024, "{}", taken.len());
    assert!(since.elapsed() < Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_arrives() {
    let mut wire = connect(&Echo::new());
    wire.send("GET /big HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut piece = vec![0; 64 * 1024];
    let mut taken = 0;
    while taken < 1024 * 1024 {
        tokio::time::sleep(IDLE / 2).await;
        let read = wire.io.read(&mut piece).await.unwrap();
        assert!(read > 0, "cut after {taken}");
        taken += read;
    }
}

/// Over HTTP/2 a head that never ended was an idle connection.
#[tokio::test(start_paused = true)]
async fn regression_a_later_head_over_http2_has_its_deadline_too() {
    let mut io = stream(&Echo::new());
    let get = frame(1, 0x5, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'h']);
    let start = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b""), &get].concat();
    io.write_all(&start).await.unwrap();
    let mut told = vec![0; 4096];
    let mut text = Vec::new();
    while !text.windows(5).any(|five| five == b"Ok(0)") {
        let read = io.read(&mut told).await.unwrap();
        text.extend_from_slice(&told[..read]);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let since = Instant::now();
    // Without its end: the fields of the next request.
    io.write_all(&frame(1, 0x1, 3, &[0x82, 0x86])).await.unwrap();
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(seconds(since), 10);
}

#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_is_closed_though_it_answers_pings() {
    let mut sender = http2(stream(&Echo::new())).await;
    let response = sender.send_request(post("http://h/", "abc")).await.unwrap();
    assert_eq!(whole(response).await, (200, "Ok(3)".into()));
    let since = Instant::now();
    while !sender.is_closed() {
        assert!(since.elapsed() < IDLE * 3);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(since.elapsed() >= IDLE);
}
