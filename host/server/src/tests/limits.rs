//! Limits on connections and heads, over real sockets.
use std::time::Duration;

use super::Echo;
use crate::Options;
use crate::kit::{Running, soon};
use hookwright_settings::ListenerLimits;

#[tokio::test]
async fn a_connection_over_the_limit_is_told_so() {
    let options = Options {
        limits: ListenerLimits { max_connections: 1, ..ListenerLimits::default() },
        ..Options::new("test")
    };
    let server = Running::start(options, Echo::new());
    let mut first = server.connect().await;
    assert_eq!(first.post("/", "", "").await.status, 200);

    let mut second = server.connect().await;
    let answer = second.post("/", "", "body").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["code"], "too-many-connections");
    assert_eq!(answer.json()["type"], "urn:hookwright:error:too-many-connections");
    let id = answer.json()["request"].clone();
    assert_eq!(answer.header("x-request-id"), id.as_str());
    soon(second.closed()).await;

    // The slot is free again once the first connection is gone.
    drop(first);
    soon(async {
        loop {
            let answer = server.connect().await.post("/", "", "").await;
            if answer.status == 200 {
                break;
            }
        }
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn a_thousand_slow_connections_do_not_stop_a_good_one() {
    let options = Options {
        limits: ListenerLimits {
            header_timeout: Duration::from_millis(500),
            ..ListenerLimits::default()
        },
        ..Options::new("test")
    };
    let server = Running::start(options, Echo::new());
    let mut slow = Vec::new();
    for _ in 0..1_000 {
        let mut wire = server.connect().await;
        wire.send("POST / HTTP/1.1\r\nx: ").await;
        slow.push(wire);
    }
    assert_eq!(server.connect().await.post("/", "", "abc").await.body, "Ok(3)");
    for wire in &mut slow {
        soon(wire.closed()).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let options = Options {
        limits: ListenerLimits { max_header_bytes: 16 * 1024, ..ListenerLimits::default() },
        ..Options::new("test")
    };
    let server = Running::start(options, Echo::new());
    let mut wire = server.connect().await;
    let huge = format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    wire.send(huge).await;
    assert_eq!(wire.answer().await.status, 431);
    soon(wire.closed()).await;
    server.finish().await;
}

#[tokio::test]
async fn too_many_header_fields_are_refused() {
    for (limit, fields, status) in [(100, 90, 200), (100, 200, 431), (20, 30, 431), (20, 10, 200)] {
        let options = Options {
            limits: ListenerLimits { max_headers: limit, ..ListenerLimits::default() },
            ..Options::new("test")
        };
        let server = Running::start(options, Echo::new());
        let answer = server.connect().await.post("/", &"x: y\r\n".repeat(fields), "").await;
        assert_eq!(answer.status, status, "{fields} of {limit}");
        server.finish().await;
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused_without_harm() {
    let server = Running::start(Options::new("test"), Echo::new());
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut wire = server.connect().await;
        wire.send(bytes).await;
        let answer = soon(wire.try_answer()).await;
        assert_eq!(answer.map(|answer| answer.status), Some(400));
    }
    assert_eq!(server.connect().await.post("/", "", "a").await.body, "Ok(1)");
    server.finish().await;
}
