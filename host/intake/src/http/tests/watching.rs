//! What an operator can see of refused requests, and of sources that are not as usual.
use super::{serve, serve_with, sources};
use crate::http::{Anomaly, Sources};
use crate::tests::store::NOW;
use hookwright_settings::{EndpointOptions, SourceOptions};
use hookwright_signing::{Secret, Verify, presets};

fn bearer() -> EndpointOptions {
    let verify = Verify::preset(&presets::BEARER, [Secret::new("right")]);
    EndpointOptions {
        verify,
        ..EndpointOptions::from(SourceOptions { max_body: 10, ..SourceOptions::default() })
    }
}

#[tokio::test]
async fn refused_requests_are_kept_with_their_reasons_and_without_secrets() {
    let ingress = serve(bearer());
    let mut wire = ingress.server.connect().await;
    let headers = "authorization: Bearer wrong\r\nx-event: push\r\n";
    let unverified = wire.post("/in/s?key=wrong", headers, "body").await;
    let large = wire.post("/in/s", "authorization: Bearer right\r\n", "more than ten").await;
    wire.send("GET /in/s HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let method = wire.answer().await;
    assert_eq!(wire.post("/in/s", "authorization: Bearer right\r\n", "good").await.status, 202);

    let kept = ingress.handle.rejected("s").unwrap();
    assert!(!format!("{kept:?}").contains("wrong"), "{kept:?}");
    let told: Vec<_> = kept
        .iter()
        .map(|one| (one.request.as_str(), one.reason, one.status, one.body_bytes))
        .collect();
    let id =
        |answer: &super::server_kit::kit::Answer| answer.header("x-request-id").unwrap().to_owned();
    let ids = [id(&method), id(&large), id(&unverified)];
    let expected = [
        (ids[0].as_str(), "method-not-allowed", 405, None),
        (ids[1].as_str(), "body-too-large", 413, None),
        (ids[2].as_str(), "bad-signature", 401, Some(4)),
    ];
    assert_eq!(told, expected);
    let oldest = &kept[2];
    assert_eq!((oldest.method.as_str(), oldest.path.as_str()), ("POST", "/in/s?…"));
    assert_eq!((oldest.body.as_str(), oldest.at_ms), ("body", NOW));
    assert!(oldest.client.is_loopback());
    assert!(oldest.headers.contains(&("x-event".into(), "push".into())));
    assert!(oldest.headers.contains(&("authorization".into(), "[12 bytes]".into())));
    assert!(oldest.cause.contains("none of the secrets"), "{}", oldest.cause);
    // What is kept outlives new settings of the source.
    ingress.handle.reconfigure(&sources([("s", bearer())]));
    assert_eq!(ingress.handle.rejected("s").unwrap().len(), 3);
}

#[tokio::test]
async fn requests_that_name_no_source_are_kept_apart() {
    let ingress = serve_with(Sources::new(), |_| {});
    let mut wire = ingress.server.connect().await;
    wire.post("/in/none/secret-token-01234", "", "x").await;
    wire.post("/elsewhere", "", "x").await;
    let kept = ingress.handle.rejected("-").unwrap();
    let told: Vec<_> = kept.iter().map(|one| (one.path.as_str(), one.reason)).collect();
    assert_eq!(told, [("/elsewhere", "not-found"), ("/in/none/…", "unknown-source")]);
    assert!(ingress.handle.rejected("none").is_none());
}

#[tokio::test]
async fn failing_signatures_show_as_unusual_until_they_stop() {
    let ingress = serve(bearer());
    let mut wire = ingress.server.connect().await;
    assert_eq!(ingress.handle.anomalies("s"), []);
    for _ in 0..20 {
        assert_eq!(wire.post("/in/s", "authorization: Bearer wrong\r\n", "x").await.status, 401);
    }
    ingress.handle.minute();
    assert_eq!(ingress.handle.anomalies("s"), [Anomaly::SignatureFailures]);
    for _ in 0..5 {
        ingress.handle.minute();
    }
    assert_eq!(ingress.handle.anomalies("s"), []);
}
