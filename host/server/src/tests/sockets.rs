//! Requests, keep-alive, HTTP/2 and the stop, over real sockets.
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;

use super::Echo;
use crate::kit::{Running, post, soon, until, whole};
use crate::{Options, Peer, Tower};

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut wire = server.connect().await;
    for body in ["", "one", "three"] {
        let answer = wire.post("/", "", body).await;
        assert_eq!((answer.status, answer.body), (200, format!("Ok({})", body.len())));
    }
    server.finish().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut wire = server.connect().await;
    let one = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\na";
    let two = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nbb";
    wire.send(format!("{one}{two}")).await;
    assert_eq!(wire.answer().await.body, "Ok(1)");
    assert_eq!(wire.answer().await.body, "Ok(2)");
    server.finish().await;
}

#[tokio::test]
async fn http2_is_served_without_asking() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut sender = server.http2().await;
    for _ in 0..3 {
        let uri = format!("http://{}/", server.address);
        let response = soon(sender.send_request(post(&uri, "four"))).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(whole(response).await, (200, "Ok(4)".into()));
    }
    server.finish().await;
}

#[tokio::test]
async fn http2_can_be_switched_off() {
    let options = Options { http2: false, ..Options::new("test") };
    let server = Running::start(options, Echo::new());
    let mut sender = server.http2().await;
    let uri = format!("http://{}/", server.address);
    assert!(soon(sender.send_request(post(&uri, "x"))).await.is_err());
    server.finish().await;
}

#[tokio::test]
async fn an_axum_router_is_served_and_sees_its_peer() {
    let show = |Extension(peer): Extension<Peer>| async move { peer.address.to_string() };
    let server = Running::start(Options::new("test"), Tower(Router::new().route("/", get(show))));
    let mut wire = server.connect().await;
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert_eq!(wire.answer().await.body, wire.io.local_addr().unwrap().to_string());
    server.finish().await;
}

#[tokio::test]
async fn a_panic_ends_only_its_own_connection() {
    let server = Running::start(Options::new("test"), Echo::new());
    let mut good = server.connect().await;
    assert_eq!(good.post("/", "", "a").await.status, 200);
    let mut bad = server.connect().await;
    bad.send("GET /panic HTTP/1.1\r\nhost: h\r\n\r\n").await;
    soon(bad.closed()).await;
    assert_eq!(good.post("/", "", "a").await.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn the_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let echo = Echo::new();
    let server = Running::start(Options::new("test"), echo.clone());
    let mut idle = server.connect().await;
    assert_eq!(idle.post("/", "", "").await.status, 200);
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let mut shared = server.http2().await;
    let uri = format!("http://{}/wait", server.address);
    let asked = tokio::spawn(async move { shared.send_request(post(&uri, "xx")).await });
    until(|| echo.begun() == 3).await;

    server.stop.cancel();
    soon(idle.closed()).await;
    until(|| std::net::TcpStream::connect(server.address).is_err()).await;
    assert!(!server.task.is_finished());
    echo.gate.add_permits(10);
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(whole(soon(asked).await.unwrap().unwrap()).await, (200, "Ok(2)".into()));
    soon(server.task).await.unwrap();
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let echo = Echo::new();
    let options = Options { drain: Duration::from_millis(50), ..Options::new("test") };
    let server = Running::start(options, echo.clone());
    let mut stuck = server.connect().await;
    stuck.send("GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await;
    until(|| echo.begun() == 1).await;
    server.finish().await;
    soon(stuck.closed()).await;
}
