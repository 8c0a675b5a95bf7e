//! Who we are to a destination, against real sockets.
use http::header::AUTHORIZATION;
use http::{HeaderName, Method, Uri};

use super::*;
use crate::delivery::{Auth, OAuth2};
use crate::egress::receiver::{Reply, Seen, answer, status};
use crate::model::{Cause, DeliveryState, HeaderEdit, Outcome, Payload};
use crate::signing::{Aws, Grant, Secret, basic};

fn with(auth: Auth, receiver: &Receiver) -> DestinationOptions {
    posting(to(receiver), |post| post.auth = Some(auth))
}

/// A server that gives out the tokens `t0`, `t1` and so on.
async fn server(expires: u64) -> Receiver {
    Receiver::start(move |seen| token(seen.number, expires)).await
}

fn token(number: usize, expires: u64) -> Reply {
    let text =
        format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":{expires}}}"#);
    answer(200, "content-type: application/json\r\n", &text)
}

fn oauth2(server: &Receiver) -> Auth {
    let grant = Grant {
        client_id: "us".to_owned(),
        secret: Secret::new("s3cret"),
        scope: Some("hooks".to_owned()),
        audience: None,
        in_body: false,
    };
    let token_url = format!("http://{}/token", server.address).parse::<Uri>().expect("a URL");
    Auth::OAuth2(OAuth2 { token_url, grant })
}

/// What stood in `authorization`, request by request.
fn shown(seen: &[Seen]) -> Vec<String> {
    let text = |seen: &Seen| seen.headers[AUTHORIZATION].to_str().expect("text").to_owned();
    seen.iter().map(text).collect()
}

#[tokio::test]
async fn fixed_credentials_are_sent_and_no_plugin_touches_them() {
    let receiver = Receiver::start(|_| status(200)).await;
    let name = HeaderName::from_static("x-own-key");
    let value = basic(&Secret::new("user:password"));
    let bench = Bench::start(one(with(Auth::Header(name, value), &receiver)));
    let mut touched = delivery(1, "a", "b");
    let edit = HeaderEdit { name: "X-Own-Key".to_owned(), value: None };
    touched.payload = Some(Arc::new(Payload { headers: vec![edit], ..Payload::default() }));
    bench.store.add(vec![touched, delivery(2, "a", "b")]);
    bench.store.until(|rows| rows.count("a", DeliveryState::Dead) == 1).await;
    bench.store.until(|rows| rows.count("a", DeliveryState::Delivered) == 1).await;
    assert_eq!(receiver.seen()[0].headers["x-own-key"], "Basic dXNlcjpwYXNzd29yZA==");
}

#[tokio::test]
async fn one_token_serves_all_who_wait_and_is_asked_for_once() {
    let server = server(3_600).await;
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(with(oauth2(&server), &receiver)));
    bench.store.add(deliveries(0..100, "a"));
    bench.all_delivered("a").await;
    let asked = server.seen();
    assert_eq!(asked.len(), 1, "once for a hundred deliveries, eight of them at a time");
    assert_eq!(asked[0].line, "POST /token HTTP/1.1");
    assert_eq!(asked[0].headers[AUTHORIZATION], basic(&Secret::new("us:s3cret")));
    assert_eq!(asked[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(&asked[0].body[..], b"grant_type=client_credentials&scope=hooks");
    assert!(shown(&receiver.seen()).iter().all(|value| value == "Bearer t0"));
}

#[tokio::test]
async fn new_settings_keep_the_token_where_they_ask_for_the_same_one() {
    let server = server(3_600).await;
    let receiver = Receiver::start(|_| status(200)).await;
    let settings = with(oauth2(&server), &receiver);
    let bench = Bench::start(one(settings.clone()));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    let faster = DestinationOptions { in_flight: 16, ..settings.clone() };
    bench.handle.reconfigure(one(faster)).expect("good settings");
    bench.store.add(deliveries(1..2, "a"));
    bench.all_delivered("a").await;
    assert_eq!(server.seen().len(), 1, "the first token is still good");
    let Auth::OAuth2(mut other) = oauth2(&server) else { unreachable!("it is OAuth2") };
    other.grant.secret = Secret::new("rotated");
    bench.handle.reconfigure(one(with(Auth::OAuth2(other), &receiver))).expect("good settings");
    bench.store.add(deliveries(2..3, "a"));
    bench.all_delivered("a").await;
    assert_eq!(shown(&receiver.seen()), ["Bearer t0", "Bearer t0", "Bearer t1"]);
}

#[tokio::test]
async fn a_token_that_the_destination_refuses_is_replaced() {
    let server = server(3_600).await;
    let receiver = Receiver::start(|seen| {
        let old = seen.headers[AUTHORIZATION] == "Bearer t0";
        status(if old { 401 } else { 200 })
    })
    .await;
    let bench = Bench::start(one(with(oauth2(&server), &receiver)));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    assert_eq!(shown(&receiver.seen()), ["Bearer t0", "Bearer t1"]);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_it_is_tried_again() {
    let server = Receiver::start(|seen| match seen.number {
        0 => answer(401, "", r#"{"error":"invalid_client","error_description":"s3cret"}"#),
        1 => answer(200, "", "<html>"),
        2 => Reply::Close(vec![]),
        number => token(number, 3_600),
    })
    .await;
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(with(oauth2(&server), &receiver)));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    assert_eq!(shown(&receiver.seen()), ["Bearer t3"]);
    bench.store.read(|rows| {
        let attempts = &rows.of("a").next().expect("a row").attempts;
        let told = ["answered 401 (invalid_client)", "is no JSON", "was not reached"];
        assert_eq!(attempts.len(), 4);
        for (attempt, part) in attempts.iter().zip(told) {
            let Outcome::Failed { cause, message } = &attempt.outcome else { panic!("failed") };
            assert_eq!(*cause, Cause::Credentials);
            assert!(message.contains(part) && !message.contains("s3cret"), "{message}");
        }
    });
}

#[tokio::test]
async fn a_request_is_signed_for_aws_as_it_is_sent() {
    let receiver = Receiver::start(|_| status(200)).await;
    let aws = Aws {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: Some(Secret::new("token")),
        region: "eu-central-1".to_owned(),
        service: "execute-api".to_owned(),
    };
    let bench = Bench::start(one(with(Auth::Aws(aws.clone()), &receiver)));
    bench.store.add(vec![delivery(1, "a", "{\"n\": 1}")]);
    bench.all_delivered("a").await;
    let seen = &receiver.seen()[0];
    let mut again = HeaderMap::new();
    again.insert("content-type", seen.headers["content-type"].clone());
    let stamp = seen.headers["webhook-timestamp"].to_str().expect("text");
    let at_s = stamp.parse().expect("seconds");
    let url = receiver.url();
    aws.apply(&Method::POST, &url, &mut again, &seen.body, at_s).expect("good credentials");
    for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
        assert_eq!(seen.headers[name], again[name], "{name}");
    }
    // What AWS reads as the host is what the client sent.
    assert_eq!(seen.headers["host"], receiver.address.to_string());
}

#[test]
fn a_header_that_the_credentials_stand_in_is_not_set_by_hand() {
    let auth = Auth::Header(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    let url = "http://a.test/".parse().expect("a URL");
    let options = posting(DestinationOptions::new(url), |post| {
        post.auth = Some(auth);
        post.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _entered = runtime.as_ref().expect("a runtime").enter();
    let options = Options { destinations: one(options), ..Options::default() };
    let refused = start(options, FakeStore::prompt(), Clock::tokio(START_MS), Tasks::new());
    assert!(refused.is_err_and(|error| error.to_string().contains("authorization")));
}
