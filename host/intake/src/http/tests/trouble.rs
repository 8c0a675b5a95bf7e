//! Slow, broken and vanishing senders, and the stop.
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::server_kit::kit::{soon, until};
use super::{serve, serve_with, sources};
use hookwright_settings::SourceOptions;

const HEAD: &str = "POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n";

#[tokio::test]
async fn a_slow_body_is_cut_at_the_deadline_however_it_drips() {
    let ingress = serve_with(sources([("s", SourceOptions::default())]), |setup| {
        setup.http.body_timeout = Duration::from_millis(300);
    });
    let mut wire = ingress.server.connect().await;
    wire.send(HEAD).await;
    let mut answer = Box::pin(async {
        let (mut read, mut write) = wire.io.split();
        let mut first = [0; 12];
        let drip = async {
            loop {
                let _ = write.write_all(b"x").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            _ = drip => unreachable!("the drip has no end"),
            read = tokio::io::AsyncReadExt::read_exact(&mut read, &mut first) => read.unwrap(),
        };
        first
    });
    assert_eq!(&soon(&mut answer).await, b"HTTP/1.1 408");
    assert_eq!(ingress.store.count(), 0);
}

#[tokio::test]
async fn a_truncated_body_is_refused_and_not_kept() {
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    wire.send(format!("{HEAD}only this")).await;
    wire.io.shutdown().await.unwrap();
    let answer = wire.answer().await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"body-incomplete".into()));
    assert_eq!(ingress.store.count(), 0);
}

#[tokio::test]
async fn an_event_is_kept_though_its_sender_goes_away_during_the_append() {
    let ingress = serve(SourceOptions::default());
    let gate = Arc::new(Semaphore::new(0));
    *ingress.store.gate.lock() = Some(gate.clone());
    let mut wire = ingress.server.connect().await;
    wire.send("POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx").await;
    until(|| ingress.store.count() == 1).await;
    drop(wire);
    gate.add_permits(2);
    assert_eq!(ingress.server.connect().await.post("/in/s", "", "y").await.status, 202);
    assert_eq!(ingress.store.count(), 2);
}

#[tokio::test]
async fn the_answer_waits_for_the_append_and_the_stop_for_the_answer() {
    let ingress = serve(SourceOptions::default());
    let gate = Arc::new(Semaphore::new(0));
    *ingress.store.gate.lock() = Some(gate.clone());
    let mut wire = ingress.server.connect().await;
    wire.send("POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx").await;
    until(|| ingress.store.count() == 1).await;
    let early = tokio::time::timeout(Duration::from_millis(50), wire.try_answer()).await;
    assert!(early.is_err(), "{early:?}");
    ingress.server.stop.cancel();
    gate.add_permits(1);
    assert_eq!(wire.answer().await.status, 202);
    soon(ingress.server.task).await.unwrap();
}

#[tokio::test]
async fn one_source_does_not_take_the_whole_queue() {
    let both = [("flood", SourceOptions::default()), ("quiet", SourceOptions::default())];
    let ingress = serve_with(sources(both), |_| {});
    let mut wire = ingress.server.connect().await;
    let large = "x".repeat(1024 * 1024);
    for _ in 0..3 {
        assert_eq!(wire.post("/in/flood", "", &large).await.status, 202, "there is room");
    }
    *ingress.store.fullness.lock() = 0.6;
    let mut refused = None;
    for _ in 0..3 {
        refused = Some(wire.post("/in/flood", "", &large).await).filter(|it| it.status != 202);
    }
    let refused = refused.expect("more than a turn's share");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"store-busy".into()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(wire.post("/in/quiet", "", "small").await.status, 202);
}

#[tokio::test]
async fn a_thousand_slow_bodies_do_not_stop_a_good_one() {
    let ingress = serve_with(sources([("s", SourceOptions::default())]), |setup| {
        setup.http.body_timeout = Duration::from_secs(1);
    });
    let mut slow = Vec::new();
    for _ in 0..1_000 {
        let mut wire = ingress.server.connect().await;
        wire.send(format!("{HEAD}x")).await;
        slow.push(wire);
    }
    assert_eq!(ingress.server.connect().await.post("/in/s", "", "good").await.status, 202);
    for wire in &mut slow {
        assert_eq!(wire.answer().await.status, 408);
    }
    assert_eq!(ingress.store.count(), 1);
}
