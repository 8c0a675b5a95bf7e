//! Every refusal with its status and code.

use super::server_kit::kit::Answer;
use super::{Ingress, serve};
use hookwright_settings::{EndpointOptions, SourceOptions};
use hookwright_signing::{Secret, Verify, presets};
use hookwright_store::AppendError;

/// One request, refused: status and code are as said and nothing is kept.
async fn refused(ingress: &Ingress, request: &str, status: u16, code: &str) -> Answer {
    let before = ingress.store.count();
    let mut wire = ingress.server.connect().await;
    wire.send(request).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, status, "{request} {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
    for text in ["title", "detail", "type"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{text}");
    }
    let id = problem["request"].as_str().unwrap();
    assert!(id.starts_with("req_"));
    assert_eq!(answer.header("x-request-id"), Some(id));
    let retryable = problem["retryable"].as_bool().unwrap();
    assert!(retryable || answer.header("retry-after").is_none());
    assert_eq!(ingress.store.count(), before);
    answer
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody")
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let ingress = serve(SourceOptions::default());
    for line in
        ["GET /", "POST /", "POST /in", "POST /in/", "POST /in/s/", "POST /in/s/x/y", "GET /x"]
    {
        refused(&ingress, &request(line), 404, "not-found").await;
    }
    for line in [
        "POST /in/other",
        "GET /in/other",
        "POST /in/S",
        "POST /in/%73",
        "POST /in/%00",
        "POST /in/s/x",
    ] {
        refused(&ingress, &request(line), 404, "unknown-source").await;
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let ingress = serve(SourceOptions::default());
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let line = format!("{method} /in/s");
        let answer = refused(&ingress, &request(&line), 405, "method-not-allowed").await;
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let mut wire = ingress.server.connect().await;
    wire.send("HEAD /in/s HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut wire.io, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 405 ") && text.ends_with("\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn an_address_off_the_list_is_refused() {
    let allow = |nets: &[&str]| EndpointOptions {
        allow: nets.iter().map(|net| net.parse().unwrap()).collect(),
        ..EndpointOptions::default()
    };
    let ingress = serve(allow(&["10.0.0.0/8", "::1/128"]));
    refused(&ingress, &request("POST /in/s"), 403, "address-refused").await;
    let ingress = serve(allow(&["10.0.0.0/8", "127.0.0.0/8"]));
    assert_eq!(ingress.server.connect().await.post("/in/s", "", "").await.status, 202);
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let rate = Some(crate::tests::rate(2, 20));
    let ingress = serve(SourceOptions { rate, ..SourceOptions::default() });
    let mut wire = ingress.server.connect().await;
    for _ in 0..2 {
        assert_eq!(wire.post("/in/s", "", "").await.status, 202);
    }
    let answer = refused(&ingress, &request("POST /in/s"), 429, "rate-limited").await;
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((9..=10).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_not() {
    let ingress = serve(SourceOptions { max_body: 3, ..SourceOptions::default() });
    assert_eq!(ingress.server.connect().await.post("/in/s", "", "abc").await.status, 202);
    refused(&ingress, &request("POST /in/s"), 413, "body-too-large").await;
    let chunked = "POST /in/s HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    for body in ["4\r\nabcd\r\n0\r\n\r\n", "2\r\nab\r\n2\r\ncd\r\n", "fffffff\r\nabcd"] {
        refused(&ingress, &format!("{chunked}{body}"), 413, "body-too-large").await;
    }
    // Refused on the announcement, before the sender gets leave to send.
    let asks =
        "POST /in/s HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    refused(&ingress, asks, 413, "body-too-large").await;
}

#[tokio::test]
async fn the_sender_of_a_large_body_sees_the_answer() {
    let ingress = serve(SourceOptions { max_body: 10, ..SourceOptions::default() });
    let mut wire = ingress.server.connect().await;
    let large = "x".repeat(4 * 1024 * 1024);
    assert_eq!(wire.post("/in/s", "", &large).await.status, 413);
    assert_eq!(wire.post("/in/none", "", &large).await.status, 404);
    assert_eq!(wire.post("/in/s", "", "small").await.status, 202);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_is_told_in_the_same_words() {
    let secrets = vec![Secret::new([9; 32])];
    let verify = Verify::preset(&presets::STANDARD, secrets);
    let ingress = serve(EndpointOptions { verify, ..EndpointOptions::default() });
    let signature = format!("v1,{}=", "A".repeat(43));
    let mut answers = Vec::new();
    for (id, at, signature) in [
        ("", "1614265330", &*signature),
        ("m", "1614260000", &signature),
        ("m", "soon", &signature),
        ("m", "1614265330", "v1,?"),
        ("m", "1614265330", &signature),
    ] {
        let head = format!(
            "POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\nwebhook-id: {id}\r\n\
             webhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n\r\n"
        );
        answers.push(refused(&ingress, &head, 401, "not-verified").await);
    }
    answers.push(refused(&ingress, &request("POST /in/s"), 401, "not-verified").await);
    for answer in answers {
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request");
        assert_eq!(answer.header("www-authenticate"), Some("Signature"));
        let detail = "the request could not be verified; check secret, scheme and clock";
        assert_eq!(problem["detail"], detail);
        assert_eq!(problem.as_object().unwrap().len(), 6);
    }
}

#[tokio::test]
async fn what_the_store_refuses_may_come_again_later() {
    let ingress = serve(SourceOptions::default());
    for (error, status, code, wait) in [
        (AppendError::Busy, 503, "store-busy", Some("1")),
        (AppendError::Full, 503, "store-full", Some("30")),
        (AppendError::Failed("secret path".into()), 503, "store-failed", Some("10")),
        (AppendError::Closed, 503, "shutting-down", Some("5")),
        (AppendError::TooLarge, 413, "body-too-large", None),
    ] {
        *ingress.store.error.lock() = Some(error);
        let answer = refused(&ingress, &request("POST /in/s"), status, code).await;
        assert_eq!(answer.header("retry-after"), wait);
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
}
