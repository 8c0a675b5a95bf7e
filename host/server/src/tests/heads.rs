//! The limits of a head: the same for every protocol, told in full, and reported.
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Full;
use parking_lot::Mutex;

use super::{Echo, tls};
use crate::kit::{Running, Wire, http2, soon, until, whole};
use crate::{Arriving, ErrorCode, Options, Peer, Service, Unread};
use hookwright_settings::ListenerLimits;

/// Remembers what it never saw.
#[derive(Clone)]
struct Told(Echo, Arc<Mutex<Vec<Unread>>>);

impl Service for Told {
    type Body = Full<bytes::Bytes>;

    fn call(
        &self,
        peer: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<> {
        self.0.call(peer, request)
    }

    fn unread(&self, _: &'static str, _: &Peer, unread: &Unread) {
        self.1.lock().push(unread.clone());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    One,
    Two,
    OneTls,
    TwoTls,
}

/// Path and fields, status and code; a status of 0 is either of two.
type Case = (String, Vec<(String, String)>, u16, &'static str);

const ALL: [Protocol; 4] = [Protocol::One, Protocol::Two, Protocol::OneTls, Protocol::TwoTls];

/// Status, problem's code where there is one.
async fn ask(
    server: &Running,
    protocol: Protocol,
    path: &str,
    fields: &[(String, String)],
) -> (u16, String) {
    let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = match protocol {
        Protocol::One => server.connect().await.post(path, &text, "abc").await,
        Protocol::OneTls => {
            let stream = tls::shake(server, &[b"http/1.1"]).await;
            Wire::new(stream).post(path, &text, "abc").await
        }
        Protocol::Two | Protocol::TwoTls => {
            let mut sender = match protocol {
                Protocol::Two => server.http2().await,
                _ => http2(tls::shake(server, &[b"h2"]).await).await,
            };
            let mut request = Request::post(format!("http://h{path}"));
            for (name, value) in fields {
                request = request.header(name, value);
            }
            let request = request.body(Full::new("abc".into())).unwrap();
            let (status, body) = whole(soon(sender.send_request(request)).await.unwrap()).await;
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            return (status, problem["code"].as_str().unwrap_or_default().to_owned());
        }
    };
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// 800 header fields over HTTP/2 passed a limit of 100.
#[tokio::test]
async fn regression_every_limit_of_a_head_holds_on_every_protocol() {
    let many = |count: usize| (0..count).map(|number| (format!("x-{number}"), "y".to_owned()));
    let same = |count: usize| (0..count).map(|_| ("x".to_owned(), "y".to_owned()));
    let long = |bytes: usize| [("x".to_owned(), "y".repeat(bytes))].into_iter();
    let path = |bytes: usize| format!("/{}", "p".repeat(bytes));
    let plain = || "/".to_owned();
    let cases: Vec<Case> = vec![
        (plain(), many(80).collect(), 200, ""),
        (plain(), many(101).collect(), 431, "head-too-large"),
        (plain(), same(800).collect(), 431, "head-too-large"),
        (plain(), long(30_000).collect(), 200, ""),
        (plain(), long(33_000).collect(), 431, "head-too-large"),
        (plain(), long(100_000).collect(), 431, "head-too-large"),
        (path(16_000), vec![], 200, ""),
        (path(17_000), vec![], 414, "uri-too-long"),
        (path(40_000), vec![], 0, ""),
    ];
    for protocol in ALL {
        let unread = Arc::default();
        let service = Told(Echo::new(), Arc::clone(&unread));
        let options = match protocol {
            Protocol::One | Protocol::Two => Options::new("test"),
            Protocol::OneTls | Protocol::TwoTls => tls::secure(),
        };
        let server = Running::start(
            Options {
                limits: ListenerLimits { max_header_bytes: 32 * 1024, ..ListenerLimits::default() },
                ..options
            },
            service,
        );
        let mut refused = 0;
        for (path, fields, status, code) in &cases {
            let told = ask(&server, protocol, path, fields).await;
            if *status == 0 {
                // Too long for either limit: HTTP/1.1 counts before it knows what it is.
                assert!(matches!(told.0, 414 | 431) && !told.1.is_empty(), "{protocol:?}");
            } else {
                let expected = (*status, (*code).to_owned());
                assert_eq!(told, expected, "{protocol:?}, {} fields", fields.len());
            }
            refused += usize::from(told.0 != 200);
            until(|| unread.lock().len() == refused).await;
        }
        server.stop.cancel();
    }
}

/// What the HTTP library refuses had no body, and nobody heard of it.
#[tokio::test]
async fn regression_what_cannot_be_read_is_told_in_full_and_reported() {
    let unread: Arc<Mutex<Vec<Unread>>> = Arc::default();
    let options = Options {
        limits: ListenerLimits { max_header_bytes: 32 * 1024, ..ListenerLimits::default() },
        ..Options::new("test")
    };
    let server = Running::start(options, Told(Echo::new(), unread.clone()));
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    for (bytes, status, code, method, path) in [
        ("POST /in/s?a=\"x\" HTTP/1.1\r\nhost: h\r\n\r\n", 400, "bad-request", "POST", "/in/s"),
        ("POST /in/s HTTP/1.1\r\nbad header\r\n\r\n", 400, "bad-request", "POST", "/in/s"),
        ("nonsense\r\n\r\n", 400, "bad-request", "", ""),
        (&long, 431, "head-too-large", "GET", "/"),
    ] {
        // Also behind a good request on the same connection.
        for before in ["", "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\na"] {
            let mut wire = server.connect().await;
            if !before.is_empty() {
                wire.send(before).await;
                assert_eq!(wire.answer().await.status, 200);
            }
            wire.send(bytes).await;
            let answer = wire.answer().await;
            assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{bytes}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.header("connection"), Some("close"));
            soon(wire.closed()).await;
            drop(wire);
            until(|| !unread.lock().is_empty()).await;
            let told = unread.lock().pop().unwrap();
            assert_eq!(answer.header("x-request-id"), Some(&*told.request.to_string()));
            assert_eq!((told.method.as_str(), told.code.as_str()), (method, code));
            assert!(told.path().starts_with(path), "{told:?}");
        }
    }
    // Asked by HEAD, there is no body behind the head.
    let mut wire = server.connect().await;
    wire.send("HEAD /?a=\"b\" HTTP/1.1\r\n\r\n").await;
    let mut text = String::new();
    soon(tokio::io::AsyncReadExt::read_to_string(&mut wire.io, &mut text)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 400 ") && text.ends_with("\r\n\r\n"), "{text}");
    server.stop.cancel();
}

#[tokio::test]
async fn trailers_have_the_limits_of_a_head() {
    let server = Running::start(
        Options {
            limits: ListenerLimits { max_headers: 20, ..ListenerLimits::default() },
            ..Options::new("test")
        },
        Echo::new(),
    );
    let head = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    for (trailers, good) in [(10, true), (30, false)] {
        let mut wire = server.connect().await;
        let fields: String = (0..trailers).map(|number| format!("x-{number}: y\r\n")).collect();
        wire.send(format!("{head}3\r\nabc\r\n0\r\n{fields}\r\n")).await;
        let told = wire.answer().await.body;
        assert_eq!(told == "Ok(3)", good, "{trailers} trailers: {told}");
    }
    server.finish().await;
}

/// The fault: what hyper itself refuses of trailers was told as a body that ended early, worth a retry.
#[tokio::test]
async fn regression_trailers_over_every_limit_are_told_as_such_over_http1() {
    let server = Running::start(Options::new("test"), Echo::new());
    let head = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n";
    let many: String = (0..300).map(|number| format!("x-{number}: y\r\n")).collect();
    let large = format!("x-large: {}\r\n", "y".repeat(40_000));
    for trailers in [many, large] {
        let mut wire = server.connect().await;
        wire.send(format!("{head}{trailers}\r\n")).await;
        let told = wire.answer().await.body;
        assert!(told.contains("Trailers"), "{told}");
    }
    server.finish().await;
}

/// Heads that never end are held to a budget: beyond it they are told to come again.
#[tokio::test]
async fn regression_heads_on_their_way_have_a_budget() {
    let budget = crate::Budget::new("test", 1024 * 1024);
    let options = Options { budget: budget.clone(), ..Options::new("test") };
    let server = Running::start(options, Echo::new());
    let mut half = Vec::new();
    let (mut refused, start) = (0, format!("POST / HTTP/1.1\r\nx: {}", "y".repeat(20_000)));
    for _ in 0..100 {
        let mut wire = server.connect().await;
        wire.send(&start).await;
        half.push(wire);
    }
    assert!(budget.used() <= 1024 * 1024);
    for wire in &mut half {
        let asked = tokio::time::timeout(std::time::Duration::from_millis(20), wire.try_answer());
        if let Ok(Some(answer)) = asked.await {
            assert_eq!((answer.status, &answer.json()["code"]), (503, &"memory-full".into()));
            assert_eq!(answer.header("retry-after"), Some("1"));
            refused += 1;
        }
    }
    assert!(refused > 50, "{refused}");
    drop(half);
    until(|| budget.used() == 0).await;
    assert_eq!(server.connect().await.post("/", "", "abc").await.body, "Ok(3)");
    server.stop.cancel();
}

#[test]
fn the_codes_are_those_of_the_page() {
    let codes = [ErrorCode::UriTooLong, ErrorCode::HeadTooLarge, ErrorCode::MemoryFull];
    assert_eq!(codes.map(|code| code.status().as_u16()), [414, 431, 503]);
}
