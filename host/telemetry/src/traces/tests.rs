//! Which events are taken, and that all parts of one find the same place.
use bytes::Bytes;

use super::*;
use hookwright_model::EventId;

fn event(row: i64, parent: Option<&str>) -> Event {
    let mut headers = HeaderMap::new();
    headers.extend(parent.map(|parent| (TRACEPARENT, parent.parse().unwrap())));
    Event {
        id: EventId::new(EventId::first_row_at(1_700_000_000_000) + row, 7),
        received_ms: 1_700_000_000_000,
        source: "hub".parse().unwrap(),
        kind: "push".into(),
        headers,
        body: Bytes::new(),
    }
}

fn delivery(event: Event, attempts: u32) -> Delivery {
    Delivery {
        event: Arc::new(event),
        destination: "ci".parse().unwrap(),
        payload: None,
        due_ms: 0,
        order_key: None,
        replayed: false,
        tries: 0,
        attempts,
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_part_of_the_events_is_taken_and_always_the_same_part() {
    let taken = |millionths: u32| -> Vec<i64> {
        let (spans, _out) = Spans::new(Share::new(millionths).expect("a share"));
        (0..20_000).filter(|row| spans.place(&event(*row, None)).is_some()).collect()
    };
    assert!(taken(0).is_empty());
    assert_eq!(taken(100_000_000).len(), 20_000);
    let tenth = taken(10_000_000);
    assert!((1_800..2_200).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(tenth, taken(10_000_000));
    // 20 of them are a thousandth; 60 are nine standard deviations off.
    let thousandth = taken(100_000);
    assert!((1..60).contains(&thousandth.len()), "{}", thousandth.len());
    assert!(thousandth.iter().all(|row| tenth.contains(row)));
}

#[test]
fn what_the_source_says_of_its_trace_is_followed() {
    let (none, _out) = Spans::new(Share::NONE);
    let (all, _out) = Spans::new(Share::ALL);
    let sampled = event(1, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01")));
    let place = none.place(&sampled).expect("it is taken");
    assert_eq!(
        (place.trace, place.parent),
        (u128::from_str_radix(TRACE, 16).unwrap(), Some(0x00f0_67aa_0ba9_02b7))
    );
    assert!(all.place(&event(1, Some(&format!("00-{TRACE}-00f067aa0ba902b7-00")))).is_none());
}

#[test]
fn the_receiver_is_under_the_attempt_that_is_exported() {
    let (spans, mut out) = Spans::new(Share::ALL);
    for number in 0..2 {
        let delivery = delivery(event(1, None), number);
        let mut headers = HeaderMap::new();
        spans.pass_on(&delivery, &mut headers);
        let told = trace::parent(&headers).expect("a context");
        let outcome = Outcome::Answered { status: 500, retry_after_s: None, excerpt: Bytes::new() };
        let attempt = Attempt { number: number + 1, at_ms: 1, took_us: 2, outcome };
        spans.attempted(&delivery, &attempt, None, false);
        let span = out.try_recv().expect("a span");
        assert_eq!((span.trace, span.id, true), (told.trace, told.span, told.sampled));
        assert_eq!(span.error.as_deref(), Some("answered 500"));
    }
}

#[test]
fn a_full_queue_drops_and_nothing_waits() {
    let (spans, mut out) = Spans::new(Share::ALL);
    for row in 0..10_000 {
        spans.routed(&event(row, None), true, &[], 1_700_000_000_000_000);
    }
    let mut count = 0;
    while out.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, WAITING);
}

fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s Value> {
    span.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[test]
fn a_server_is_a_host_and_a_port_and_nothing_else_of_the_url() {
    let cases = [
        ("https://example.com/secret?key=secret", "example.com", 443),
        ("http://example.com:8080/", "example.com", 8080),
        ("http://10.1.2.3", "10.1.2.3", 80),
        ("https://[2001:db8::1]:8443/x", "2001:db8::1", 8443),
        ("https://user:secret@example.com/", "example.com", 443),
    ];
    for (url, address, port) in cases {
        let server = Server::of(&url.parse().unwrap());
        assert_eq!(server, Some(Server { address: address.to_owned(), port }), "{url}");
    }
    assert_eq!(Server::of(&"/no/host".parse().unwrap()), None);
}

#[test]
fn an_attempt_names_its_server_and_the_kind_of_its_error() {
    let (spans, mut out) = Spans::new(Share::ALL);
    let server = Server { address: "example.com".to_owned(), port: 443 };
    let failed =
        || Outcome::Failed { cause: hookwright_model::Cause::Dns, message: "no name".into() };
    let mut ended = |outcome: Outcome, server: Option<&Server>, good: bool| {
        let attempt = Attempt { number: 1, at_ms: 1, took_us: 2, outcome };
        spans.attempted(&delivery(event(1, None), 0), &attempt, server, good);
        out.try_recv().expect("a span")
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let span = ended(failed(), Some(&server), false);
    assert_eq!(attribute(&span, "server.address"), Some(&text("example.com")));
    assert_eq!(attribute(&span, "server.port"), Some(&Value::Number(443)));
    assert_eq!(attribute(&span, "http.request.method"), Some(&text("POST")));
    assert_eq!(attribute(&span, "error.type"), Some(&text("dns")));
    let answered =
        |status| Outcome::Answered { status, retry_after_s: None, excerpt: Bytes::new() };
    let span = ended(answered(503), Some(&server), false);
    assert_eq!(attribute(&span, "error.type"), Some(&text("503")));
    let span = ended(answered(200), Some(&server), true);
    assert_eq!(attribute(&span, "error.type"), None);
    let span = ended(Outcome::Accepted, None, true);
    for key in ["server.address", "server.port", "http.request.method", "error.type"] {
        assert_eq!(attribute(&span, key), None, "{key} of a file");
    }
}

#[test]
fn an_instance_is_a_uuid_of_version_4() {
    let instance = |random| Resource::new("a".to_owned(), random).instance;
    assert_eq!(instance(0), "00000000-0000-4000-8000-000000000000");
    assert_eq!(instance(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_eq!(
        instance(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        "01234567-89ab-4def-8123-456789abcdef"
    );
}

#[test]
fn a_collectors_complaint_is_read_in_either_form() {
    let read = |text: &str| complaint(text.as_bytes()).map(|it| (it.rejected, it.message));
    let old = || Some((3, "too old".to_owned()));
    let text = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
    assert_eq!(read(text), old());
    assert_eq!(read(&text.replace("\"3\"", "3")), old());
    assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":3}}"#), Some((3, String::new())));
    let warning = r#"{"partialSuccess":{"errorMessage":"soon gone"}}"#;
    assert_eq!(read(warning), Some((0, "soon gone".to_owned())));
    for nothing in [
        "",
        "{}",
        "null",
        "[1]",
        "<html>",
        r#"{"partialSuccess":{}}"#,
        r#"{"partialSuccess":null}"#,
        r#"{"partialSuccess":{"rejectedSpans":"0","errorMessage":""}}"#,
        r#"{"partialSuccess":{"rejectedSpans":"-1"}}"#,
        r#"{"partialSuccess":{"rejectedSpans":[1]}}"#,
        &text[..40],
    ] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
}
