//! A request through hyper into the store: 202 exactly where one event is kept, as sent and without credentials.
#![no_main]
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hookwright_fuzz::{Handed, run, store};
use hookwright_intake::Intake;
use hookwright_intake::http::{Handle, Options, Sources, target};
use hookwright_model::Event;
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_server::{Arriving, Peer, Service};
use hookwright_settings::{Dedupe, Selector, SourceOptions};
use hookwright_signing::is_credential;
use hookwright_store_memory::Memory;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Headers = Vec<(HeaderName, HeaderValue)>;

static INGRESS: LazyLock<(Handle, Arc<Memory>, Arc<Handed>)> = LazyLock::new(|| {
    let key = Selector::Json("/id".to_owned());
    let source = SourceOptions {
        kind: Some(Selector::Json("/type".to_owned())),
        dedupe: Some(Dedupe { key, window: Duration::from_secs(60) }),
        ..SourceOptions::default()
    };
    let sources = Sources::from([("s".parse().expect("a name"), source.into())]);
    let (store, handed) = store();
    let (options, replies) = (Options::new(sources), Replies::default());
    let intake = Intake::new(hookwright_intake::Options::default(), store.clone());
    (Handle::new(options, intake, replies, Clock::manual(0)), store, handed)
});

fuzz_target!(|input: (Option<String>, Vec<(String, Vec<u8>)>, Vec<u8>, u16)| {
    let (path, headers, body, first) = input;
    let Ok(path) = path.as_deref().unwrap_or("/in/s").parse::<PathAndQuery>() else { return };
    let Some(headers) = sendable(headers) else { return };
    let mut sent = format!("POST {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in &headers {
        sent.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    sent.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    sent.extend_from_slice(&body);

    let (first, rest) = sent.split_at(usize::from(first).min(sent.len()));
    let status = run(exchange(first, rest));
    let kept = INGRESS.2.take();
    INGRESS.1.clear();
    match (status, &kept[..]) {
        (202, [event]) => check(event, &headers, &body),
        // What the http crate takes for a path or header, hyper may yet refuse.
        (400, []) => {}
        (404, []) => assert_ne!(target(path.path()), Some(("s", None))),
        other => panic!("{other:?}"),
    }
});

/// Those headers that do not decide how the request is framed; none where there are too many.
fn sendable(headers: Vec<(String, Vec<u8>)>) -> Option<Headers> {
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];
    let parsed = |(name, value): (String, Vec<u8>)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.trim_ascii()).ok()?))
    };
    let headers: Headers = headers
        .into_iter()
        .filter_map(parsed)
        .filter(|(name, _)| !framing.contains(name))
        .collect();
    (headers.len() < 90).then_some(headers)
}

/// Sends in two steps, so that head and body come in pieces; gives the status.
async fn exchange(first: &[u8], rest: &[u8]) -> u16 {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let peer = Peer::plain(SocketAddr::from(([192, 0, 2, 1], 1)));
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let answer = INGRESS.0.call(peer.clone(), request.map(Arriving::unbounded));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = http1::Builder::new();
    let served = http.keep_alive(false).serve_connection(TokioIo::new(server), service);
    let talk = async {
        // A request that is refused early need not be read to its end.
        let _ = client.write_all(first).await;
        tokio::task::yield_now().await;
        let _ = client.write_all(rest).await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("a pipe in memory");
        answer
    };
    // The connection may end in an error where the client sent nonsense.
    let (_, answer) = tokio::join!(served, talk);
    let line = String::from_utf8_lossy(&answer);
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {line}"))
}

fn check(event: &Event, sent: &Headers, body: &[u8]) {
    assert_eq!(&event.body[..], body);
    assert_eq!(event.source.as_str(), "s");
    assert!(event.kind.len() <= 200 && !event.kind.contains(char::is_control));
    for (name, value) in &event.headers {
        let own = name == header::CONTENT_LENGTH;
        assert!(own || sent.iter().any(|pair| (&pair.0, &pair.1) == (name, value)), "{name}");
        assert!(!is_credential(name) && *name != header::CONNECTION, "{name}");
    }
}
