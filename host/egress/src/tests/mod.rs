//! The client against receivers that answer well, badly, slowly, and without end.
mod http2;
mod phases;
mod resets;
mod sloppy;
mod tls;
mod tunnel;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::{Client, Egress, Options, Request, Resolver, Resolving, SetupError};
use hookwright_model::{Cause, Outcome};
use hookwright_settings::{Pem, Transport};
use hookwright_testkit::receiver::{Receiver, Reply, Seen, answer, status};

/// As if it had been read from a file.
fn pem(text: &str) -> Pem {
    Pem { file: "test.pem".into(), text: text.to_owned().into() }
}

fn options(url: &str) -> Options {
    let transport = Transport::to_any_address();
    Options { transport, excerpt: 16, ..Options::new("test", url.parse().expect("a URL")) }
}

/// Public addresses only.
fn guarded(url: &str) -> Options {
    Options { transport: Transport::default(), ..options(url) }
}

fn client(url: &str) -> Client {
    Egress::default().client(options(url)).expect("good settings")
}

fn request(timeout: Duration) -> Request {
    Request { headers: HeaderMap::new(), body: Bytes::from_static(b"{\"a\": 1.50}"), timeout }
}

const AMPLE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(600);

async fn outcome(
    timeout: Duration,
    script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Outcome {
    let receiver = Receiver::start(script).await;
    client(&receiver.url().to_string()).send(request(timeout)).await
}

fn cause(outcome: &Outcome) -> Cause {
    match outcome {
        Outcome::Failed { cause, message } => {
            assert!(!message.contains('\n') && message.len() < 2_000, "{message}");
            *cause
        }
        other => panic!("{other:?}"),
    }
}

fn answered(status: u16, excerpt: &'static str) -> Outcome {
    Outcome::Answered {
        status,
        retry_after_s: None,
        excerpt: Bytes::from_static(excerpt.as_bytes()),
    }
}

/// Ends at its deadline, not long after.
async fn punctual(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Outcome {
    let start = Instant::now();
    let outcome = outcome(SHORT, script).await;
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    outcome
}

#[tokio::test]
async fn the_bytes_and_headers_arrive_as_they_were_given() {
    let receiver = Receiver::start(|_| answer(202, "", "taken")).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-odd", HeaderValue::from_static("a \t b"));
    let sent = Request { headers, ..request(AMPLE) };
    assert_eq!(client(&receiver.url().to_string()).send(sent).await, answered(202, "taken"));
    let seen = &receiver.seen()[0];
    assert_eq!(seen.line, "POST /hook?a=1 HTTP/1.1");
    assert_eq!(&seen.body[..], b"{\"a\": 1.50}");
    assert_eq!(seen.headers["x-odd"], "a \t b");
    assert_eq!(seen.headers["host"], receiver.address.to_string());
    assert_eq!(seen.headers["content-length"], "11");
    assert_eq!(seen.headers.len(), 3, "{:?}", seen.headers);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::start(|_| status(200)).await;
    let location = format!("location: {}\r\n", target.url());
    for code in [301, 302, 303, 307, 308] {
        let location = location.clone();
        assert_eq!(outcome(AMPLE, move |_| answer(code, &location, "")).await, answered(code, ""));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn retry_after_is_read() {
    for (value, expected) in
        [("7", Some(7)), ("inf", None), ("99999999999999999999", Some(u64::MAX))]
    {
        let outcome =
            outcome(AMPLE, move |_| answer(503, &format!("retry-after: {value}\r\n"), "")).await;
        assert_eq!(
            outcome,
            Outcome::Answered { status: 503, retry_after_s: expected, excerpt: Bytes::new() }
        );
    }
}

#[tokio::test]
async fn the_excerpt_has_a_cap_and_the_connection_is_used_again() {
    let receiver = Receiver::start(|_| answer(200, "", &"x".repeat(40_000))).await;
    let client = client(&receiver.url().to_string());
    for _ in 0..20 {
        assert_eq!(client.send(request(AMPLE)).await, answered(200, "xxxxxxxxxxxxxxxx"));
    }
    // The answer is in before the connection is back in the pool; now and then one more is opened.
    assert!(receiver.connections() <= 8, "{} connections", receiver.connections());
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_its_connection_closed() {
    let receiver = Receiver::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        Reply::Repeat(head, [&b"400\r\n"[..], &[b'x'; 0x400], b"\r\n"].concat())
    })
    .await;
    let outcome = client(&receiver.url().to_string()).send(request(AMPLE)).await;
    assert_eq!(outcome, answered(200, "xxxxxxxxxxxxxxxx"));
    closed(&receiver).await;
}

async fn closed(receiver: &Receiver) {
    let waiting = async {
        while receiver.open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it is closed");
}

#[tokio::test]
async fn a_body_that_stops_is_cut_at_the_deadline() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    assert_eq!(punctual(|_| Reply::Hang(half.to_vec())).await, answered(200, "half"));
    assert_eq!(outcome(AMPLE, |_| Reply::Close(half.to_vec())).await, answered(200, "half"));
    let code = match outcome(AMPLE, |_| Reply::Reset(half.to_vec())).await {
        Outcome::Answered { status, .. } => status,
        // The reset may overtake what was sent before it.
        failed => {
            assert_eq!(cause(&failed), Cause::Protocol);
            200
        }
    };
    assert_eq!(code, 200);
}

#[tokio::test]
async fn a_body_of_one_byte_a_while_is_cut_at_the_deadline() {
    let head = b"HTTP/1.1 503 No\r\ncontent-length: 1000\r\n\r\n";
    let slow = Duration::from_millis(5);
    let outcome = punctual(move |_| Reply::Trickle(head.to_vec(), vec![b'y'; 1_000], slow)).await;
    assert!(matches!(outcome, Outcome::Answered { status: 503, .. }), "{outcome:?}");
}

#[tokio::test]
async fn silence_and_slow_heads_end_at_the_deadline() {
    let silence = punctual(|_| Reply::Hang(vec![])).await;
    assert_eq!(cause(&silence), Cause::Timeout);
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let slow =
        punctual(move |_| Reply::Trickle(vec![], head.clone(), Duration::from_millis(100))).await;
    assert_eq!(cause(&slow), Cause::Timeout);
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n\
                HTTP/1.1 204 Done\r\n\r\n";
    assert_eq!(outcome(AMPLE, |_| Reply::Write(text.into())).await, answered(204, ""));
}

#[tokio::test]
async fn interim_answers_without_end_are_cut_long_before_the_deadline() {
    let flood = || Reply::Repeat(vec![], b"HTTP/1.1 102 Wait\r\n\r\n".repeat(100));
    let outcome = outcome(Duration::from_secs(600), move |_| flood()).await;
    assert_eq!(cause(&outcome), Cause::Protocol);
    assert!(format!("{outcome:?}").contains("without a whole answer"), "{outcome:?}");
}

#[tokio::test]
async fn what_is_no_http_is_a_protocol_failure() {
    let bad = [
        Reply::Close(vec![]),
        Reply::Close(b"HTTP/1.1 20".to_vec()),
        Reply::Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        Reply::Reset(vec![]),
    ];
    for reply in bad {
        let once = parking_lot::Mutex::new(Some(reply));
        let script = move |_: &Seen| once.lock().take().unwrap_or(Reply::Close(vec![]));
        assert_eq!(cause(&outcome(AMPLE, script).await), Cause::Protocol);
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_failure() {
    let receiver =
        Receiver::start(|_| Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()))
            .await;
    let client = client(&receiver.url().to_string());
    for _ in 0..5 {
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
        closed(&receiver).await;
    }
    assert_eq!(receiver.connections(), 5);
}

#[tokio::test]
async fn nobody_listens() {
    let receiver = Receiver::start(|_| status(200)).await;
    let url = format!("http://127.0.0.9:{}/", receiver.address.port());
    let outcome = client(&url).send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Connect);
    assert!(format!("{outcome:?}").contains("127.0.0.9"), "{outcome:?}");
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let receiver = Receiver::start(|_| status(200)).await;
    let port = receiver.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
    ] {
        let options = guarded(&format!("http://{host}:{port}/"));
        let client = Egress::default().client(options).expect("good settings");
        let outcome = client.send(request(AMPLE)).await;
        // A host that the resolver does not take for an address is no danger either.
        assert!(matches!(cause(&outcome), Cause::Refused | Cause::Dns), "{host}: {outcome:?}");
        if host.starts_with('[') || host.contains("127") {
            assert_eq!(cause(&outcome), Cause::Refused, "{host}: {outcome:?}");
        }
    }
    assert_eq!(receiver.connections(), 0);
}

/// Answers with the next list at each lookup, the last one for ever.
struct Turning(Vec<Vec<IpAddr>>, AtomicUsize);

impl Resolver for Turning {
    fn resolve(&self, _: &str) -> Resolving {
        let turn = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        let found = self.0[turn].clone();
        Box::pin(async move {
            if found.is_empty() { Err(io::Error::other("no such name")) } else { Ok(found) }
        })
    }
}

/// In these tests 127.0.0.1 stands for the internet and all else for the inner network.
fn only_one(address: IpAddr) -> Option<&'static str> {
    (address != IpAddr::from([127, 0, 0, 1])).then_some("the inner network")
}

fn turning(answers: &[&[[u8; 4]]]) -> (Arc<Turning>, Egress) {
    let lists = answers.iter().map(|list| list.iter().map(|one| IpAddr::from(*one)).collect());
    let resolver = Arc::new(Turning(lists.collect(), AtomicUsize::new(0)));
    (Arc::clone(&resolver), Egress::new(resolver).with_guard(only_one))
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_refused_at_connect() {
    let receiver =
        Receiver::start(|_| Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()))
            .await;
    let (resolver, egress) = turning(&[&[[127, 0, 0, 1]], &[[127, 0, 0, 2]]]);
    let url = format!("http://rebind.test:{}/", receiver.address.port());
    let client = egress.client(guarded(&url)).expect("good");
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    closed(&receiver).await;
    assert_eq!(cause(&client.send(request(AMPLE)).await), Cause::Refused);
    assert_eq!(resolver.1.load(Ordering::SeqCst), 2, "one lookup for each connection");
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_the_public_ones_are_tried() {
    let receiver = Receiver::start(|_| status(200)).await;
    let (_, egress) = turning(&[&[[127, 0, 0, 2], [127, 0, 0, 1], [10, 0, 0, 1]]]);
    let url = format!("http://mixed.test:{}/", receiver.address.port());
    let client = egress.client(guarded(&url)).expect("good");
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
}

#[tokio::test]
async fn a_name_without_address_is_a_dns_failure() {
    let (_, egress) = turning(&[&[]]);
    let client = egress.client(options("http://nowhere.test/")).expect("good");
    let outcome = client.send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Dns);
    assert!(format!("{outcome:?}").contains("nowhere.test"), "{outcome:?}");
}

#[test]
fn bad_settings_are_refused() {
    let refused = |url: &str| {
        let options = Options { url: url.parse().expect(url), ..options("http://x/") };
        Egress::default().client(options).err()
    };
    assert_eq!(refused("ftp://x/"), Some(SetupError::Url));
    assert_eq!(refused("/path"), Some(SetupError::Url));
    assert_eq!(refused("http://user:pass@x/"), Some(SetupError::Credentials));
}
