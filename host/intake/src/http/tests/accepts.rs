//! What is taken in, and what of it is kept.
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::AsyncReadExt;

use super::server_kit::kit::{post, soon, whole};
use super::{serve, serve_with, sources};
use crate::tests::store::NOW;
use hookwright_settings::{Answer, Dedupe, EndpointOptions, Selector, SourceOptions};
use hookwright_signing::{
    ApiKeyPlace, ApiKeyScheme, Draft, Secret, Sign, Signer, Verify, presets, sign_as_provider,
};

#[tokio::test]
async fn an_event_is_kept_as_it_came_and_answered_with_its_id() {
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    let body = "\u{0}{ \"a\" : 1.0e2 }\n";
    let headers = "content-type: text/x; a=b\r\nx-a: 1\r\nX-A: 2\r\nauthorization: Basic eA==\r\n";
    let answer = wire.post("/in/s?token=ignored", headers, body).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("evt_") && id.len() == 30, "{id}");
    assert_eq!(answer.header("webhook-id"), Some(id.as_str()));

    let events = ingress.store.events.lock();
    let event = &events[0];
    assert_eq!((&*event.source, &*event.kind, &event.body[..]), ("s", "", body.as_bytes()));
    assert_eq!(event.headers["content-type"], "text/x; a=b");
    assert_eq!(event.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(!event.headers.contains_key("authorization"));
    assert!(event.dedupe.is_none());
}

#[tokio::test]
async fn one_connection_carries_many_events() {
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    for _ in 0..50 {
        assert_eq!(wire.post("/in/s", "", "x").await.status, 202);
    }
    assert_eq!(ingress.store.count(), 50);
    // A refusal does not end it, either.
    assert_eq!(wire.post("/in/none", "", "x").await.status, 404);
    assert_eq!(wire.post("/in/s", "", "x").await.status, 202);
}

#[tokio::test]
async fn events_come_over_http2_too() {
    let ingress = serve(SourceOptions::default());
    let mut sender = ingress.server.http2().await;
    let uri = format!("http://{}/in/s", ingress.server.address);
    let response = soon(sender.send_request(post(&uri, "two"))).await.unwrap();
    assert!(response.headers().contains_key("webhook-id"));
    assert_eq!(whole(response).await.0, 202);
    assert_eq!(ingress.store.events.lock()[0].body, "two");
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    wire.send("POST /in/s HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..100 {
        wire.send("3\r\nabc\r\n").await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 202);
    let large = "x".repeat(1024 * 1024);
    assert_eq!(wire.post("/in/s", "", &large).await.status, 202);
    let events = ingress.store.events.lock();
    assert_eq!(events[0].body, "abc".repeat(100));
    assert!(!events[0].headers.contains_key("transfer-encoding"));
    assert_eq!(events[1].body, large);
}

#[tokio::test]
async fn whoever_waits_for_leave_gets_it() {
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    let head =
        "POST /in/s HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    wire.send(head).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send("ab").await;
    assert_eq!(wire.answer().await.status, 202);
}

#[tokio::test]
async fn a_signed_request_is_believed() {
    let secret = Secret::new([9; 32]);
    let secrets = vec![Secret::new([1; 32]), secret.clone()];
    let verify = Verify::preset(&presets::STANDARD, secrets);
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let signature = Signer::new(Some(&Sign::standard([secret])))
        .sign("msg_1", NOW / 1000, b"body")
        .unwrap()
        .unwrap();
    let headers = format!(
        "webhook-id: msg_1\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n",
        NOW / 1000,
        signature.to_str().unwrap()
    );
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/s", &headers, "body").await.status, 202);
    assert_eq!(wire.post("/in/s", &headers, "Body").await.status, 401);
    assert_eq!(ingress.store.count(), 1);
}

#[tokio::test]
async fn kind_and_key_are_read_and_a_duplicate_gets_the_first_id() {
    let ingress = serve(SourceOptions {
        kind: Some(Selector::Header(HeaderName::from_static("x-event"))),
        dedupe: Some(Dedupe { key: Selector::Json("/id".into()), window: Duration::from_secs(60) }),
        ..SourceOptions::default()
    });
    let mut wire = ingress.server.connect().await;
    let first = wire.post("/in/s", "x-event: push\r\n", r#"{"id":"a"}"#).await;
    let second = wire.post("/in/s", "x-event: push\r\n", r#"{"id":"a","n":1}"#).await;
    assert_eq!((first.status, second.status), (202, 200));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    for _ in 0..2 {
        assert_eq!(wire.post("/in/s", "", "{}").await.status, 202, "no key, no duplicate");
    }
    let events = ingress.store.events.lock();
    assert_eq!((events.len(), &*events[0].kind, &*events[1].kind), (3, "push", ""));
    assert_eq!(events[0].dedupe.as_ref().unwrap().window, Duration::from_secs(60));
}

#[tokio::test]
async fn a_source_may_have_an_answer_of_its_own() {
    let answer = Answer {
        status: StatusCode::CREATED,
        content_type: Some(HeaderValue::from_static("text/xml")),
        body: "<Response/>".into(),
    };
    let dedupe = Dedupe { key: Selector::Body, window: Duration::from_secs(60) };
    let recorder = PrometheusBuilder::new().build_recorder();
    let ingress = ::metrics::with_local_recorder(&recorder, || {
        let (answer, dedupe) = (Some(answer), Some(dedupe));
        serve(EndpointOptions {
            answer,
            ..EndpointOptions::from(SourceOptions { dedupe, ..SourceOptions::default() })
        })
    });
    let mut wire = ingress.server.connect().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = wire.post("/in/s", "", "x").await;
        assert_eq!((answer.status, answer.body.as_str()), (201, "<Response/>"));
        assert_eq!(answer.header("content-type"), Some("text/xml"));
        ids.push(answer.header("webhook-id").unwrap().to_owned());
    }
    assert_eq!((ids[0].clone(), ingress.store.count()), (ids[1].clone(), 1));
    // A refusal is told as ever.
    assert_eq!(wire.post("/in/none", "", "x").await.status, 404);
    let page = recorder.handle().render();
    let line = r#"hookwright_ingress_requests_total{source="s",status="201"} 2"#;
    assert!(page.lines().any(|found| found == line), "{page}");
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The signature is over what was sent, whatever is kept.
#[tokio::test]
async fn a_compressed_body_is_kept_as_it_came_or_plain() {
    let secret = Secret::new("k");
    let body = gzip(r#"{"type":"paid"}"#);
    let verify = Verify::preset(&presets::GITHUB, [secret]);
    let draft = Draft { id: "1", at_s: 0, kind: None, body: Some(&body) };
    let signed = sign_as_provider(&verify, &draft).unwrap();
    let signature = |(name, _): &(String, String)| name == "x-hub-signature-256";
    let (name, value) = signed.headers.into_iter().find(signature).unwrap();
    let kind = Some(Selector::Json("/type".into()));
    for decompress in [false, true] {
        let source = EndpointOptions {
            verify: verify.clone(),
            ..EndpointOptions::from(SourceOptions {
                kind: kind.clone(),
                decompress,
                ..SourceOptions::default()
            })
        };
        let ingress = serve(source);
        let mut wire = ingress.server.connect().await;
        for (encoding, body) in
            [("gzip", &body[..]), ("br", &body[..]), ("pack", &body[..]), ("gzip", &body[..9])]
        {
            let length = body.len();
            wire.send(format!(
                "POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-encoding: {encoding}\r\n\
                 content-length: {length}\r\n{name}: {value}\r\n\r\n"
            ))
            .await;
            wire.send(body).await;
            let answer = wire.answer().await;
            let expected = match (encoding, decompress, length) {
                (_, _, 9) => 401,
                ("br", true, _) => 400,
                ("pack", true, _) => 415,
                _ => 202,
            };
            assert_eq!(answer.status, expected, "{encoding} {decompress} {answer:?}");
        }
        let events = ingress.store.events.lock();
        let event = &events[0];
        if decompress {
            assert_eq!((&event.body[..], &*event.kind), (&br#"{"type":"paid"}"#[..], "paid"));
            assert!(!event.headers.contains_key("content-encoding"));
        } else {
            assert_eq!((&event.body[..], &*event.kind), (&body[..], ""));
            assert_eq!(event.headers["content-encoding"], "gzip");
        }
    }
}

#[tokio::test]
async fn new_sources_serve_at_once_and_old_connections_stay() {
    let rate = Some(crate::tests::rate(2, 2000000));
    let limited = SourceOptions { rate, ..SourceOptions::default() };
    let ingress = serve_with(sources([("a", limited.clone())]), |_| {});
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/a", "", "").await.status, 202);
    assert_eq!(wire.post("/in/b", "", "").await.status, 404);

    ingress.handle.reconfigure(&sources([("a", limited), ("b", SourceOptions::default())]));
    assert_eq!(wire.post("/in/b", "", "").await.status, 202);
    // The same rate goes on counting.
    assert_eq!(wire.post("/in/a", "", "").await.status, 202);
    assert_eq!(wire.post("/in/a", "", "").await.status, 429);
    ingress.handle.reconfigure(&sources([("b", SourceOptions::default())]));
    assert_eq!(wire.post("/in/a", "", "").await.status, 404);
}

#[tokio::test]
async fn a_handshake_is_answered_and_is_no_event() {
    let verify = Verify::preset(&presets::INTERCOM, [Secret::new("k")]);
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let mut wire = ingress.server.connect().await;
    wire.send("HEAD /in/s HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut wire.io, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");

    let verify = Verify::preset(&presets::ASANA, [Secret::new("k")]);
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let mut wire = ingress.server.connect().await;
    let answer = wire.post("/in/s", "x-hook-secret: b537207f\r\n", "{}").await;
    assert_eq!((answer.status, answer.header("x-hook-secret")), (200, Some("b537207f")));
    assert_eq!(wire.post("/in/s", "x-hook-signature: 00\r\n", "{}").await.status, 401);
    assert_eq!(ingress.store.count(), 0);
}

#[tokio::test]
async fn a_query_is_handed_to_the_verifier_and_a_key_is_not_kept() {
    let scheme = |place| ApiKeyScheme { place, secrets: vec![Secret::new("k").into()] };
    let verify = Verify::ApiKey(scheme(ApiKeyPlace::Query("key".into())));
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/s?key=k", "", "{}").await.status, 202);
    assert_eq!(wire.post("/in/s?key=x", "", "{}").await.status, 401);
    assert_eq!(wire.post("/in/s", "", "{}").await.status, 401);

    let name = HeaderName::from_static("x-mine");
    let verify = Verify::ApiKey(scheme(ApiKeyPlace::Header(name)));
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/s", "x-mine: k\r\nx-other: o\r\n", "{}").await.status, 202);
    let events = ingress.store.events.lock();
    assert!(!events[0].headers.contains_key("x-mine") && events[0].headers.contains_key("x-other"));
}

/// Linear, Mailgun and Paddle got 202, sent again, and disabled the webhook in the end.
#[tokio::test]
async fn regression_a_provider_gets_the_status_that_it_counts_as_success() {
    let dedupe = Dedupe { key: Selector::Body, window: Duration::from_secs(60) };
    let source = EndpointOptions {
        success: StatusCode::OK,
        ..EndpointOptions::from(SourceOptions {
            dedupe: Some(dedupe.clone()),
            ..SourceOptions::default()
        })
    };
    let ingress = serve(source);
    let mut wire = ingress.server.connect().await;
    let answer = wire.post("/in/s", "", "x").await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(wire.post("/in/s", "", "x").await.status, 200, "a repeated one");
    // The settings have the last word.
    let answer =
        Answer { status: StatusCode::NO_CONTENT, content_type: None, body: bytes::Bytes::new() };
    let source = EndpointOptions {
        success: StatusCode::OK,
        answer: Some(answer),
        ..EndpointOptions::default()
    };
    let ingress = serve(source);
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/s", "", "x").await.status, 204);
}

/// GET, PUT and HEAD were 405 for every source, and method and query were lost.
#[tokio::test]
async fn regression_events_come_by_the_sources_methods_and_keep_method_and_query() {
    let scheme = ApiKeyScheme {
        place: ApiKeyPlace::Query("key".to_owned()),
        secrets: vec![Secret::new("k").into()],
    };
    let source = EndpointOptions {
        verify: Verify::ApiKey(scheme),
        methods: [Method::POST, Method::GET, Method::PUT, Method::HEAD].to_vec(),
        ..EndpointOptions::default()
    };
    let ingress = serve(source);
    let mut wire = ingress.server.connect().await;
    let forged = "hookwright-method: DELETE\r\nhookwright-query: forged\r\n";
    for (method, query, status) in [
        ("GET", "?a=1&key=k&b=%20&k%65y2=3", 202),
        ("PUT", "?key=k", 202),
        ("POST", "?k%65y=k&a", 202),
        ("GET", "?a=1", 401),
        ("GET", "?key=no", 401),
        ("DELETE", "?key=k", 405),
    ] {
        wire.send(format!(
            "{method} /in/s{query} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n{forged}\r\n"
        ))
        .await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "{method} {query}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("POST, GET, PUT, HEAD"));
        }
    }
    // Its answer has no body, whatever its length says.
    let mut head = ingress.server.connect().await;
    head.send("HEAD /in/s?key=k&x=1 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    let mut text = String::new();
    soon(head.io.read_to_string(&mut text)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 202 ") && text.ends_with("\r\n\r\n"), "{text}");
    let kept = |name: &str| -> Vec<Option<String>> {
        let events = ingress.store.events.lock();
        let of = |event: &hookwright_store::NewEvent| {
            event.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        events.iter().map(of).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(kept("hookwright-method"), [some("GET"), some("PUT"), None, some("HEAD")]);
    let queries = [some("a=1&b=%20&k%65y2=3"), None, some("a"), some("x=1")];
    assert_eq!(kept("hookwright-query"), queries);
    // By default it is POST alone.
    let ingress = serve(SourceOptions::default());
    let mut wire = ingress.server.connect().await;
    wire.send("GET /in/s HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

/// A form that came by GET, as Twilio's may, had neither kind nor key: each of its retries was a
/// new event.
#[tokio::test]
async fn regression_a_form_by_get_has_its_kind_and_key_in_the_query() {
    let key = Selector::Form("MessageSid".to_owned());
    let source = EndpointOptions {
        methods: [Method::POST, Method::GET, Method::HEAD].to_vec(),
        ..EndpointOptions::from(SourceOptions {
            kind: Some(Selector::Form("EventType".to_owned())),
            dedupe: Some(Dedupe { key, window: Duration::from_secs(60) }),
            ..SourceOptions::default()
        })
    };
    let ingress = serve(source);
    for (method, query, status) in [
        ("GET", "?EventType=a+b%2Fc&MessageSid=1", 202),
        // The same field, escaped in another way: a repeated one.
        ("HEAD", "?MessageSid=%31&EventType=head", 200),
        ("GET", "?MessageSid=2", 202),
        ("GET", "", 202),
        // The fields of what is posted stand in its body alone.
        ("POST", "?EventType=a&MessageSid=1", 202),
    ] {
        let mut wire = ingress.server.connect().await;
        wire.send(format!(
            "{method} /in/s{query} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let mut text = String::new();
        soon(wire.io.read_to_string(&mut text)).await.unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {query}: {text}");
    }
    let events = ingress.store.events.lock();
    let kinds: Vec<&str> = events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["a b/c", "", "", ""]);
    let keys: Vec<_> = events.iter().map(|event| event.dedupe.as_ref().map(|it| it.key)).collect();
    assert!(keys[0].is_some() && keys[1].is_some() && keys[0] != keys[1]);
    assert_eq!(keys[2..], [None, None]);
}
