//! Who we are to a destination, against real sockets.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use http::header::AUTHORIZATION;
use http::{HeaderName, Method, Uri};

use super::*;
use crate::State;
use hookwright_model::retry::Never;
use hookwright_model::{Cause, DeliveryState, HeaderEdit, Outcome, Payload};
use hookwright_settings::{Auth, Batch, Breaker, Format, OAuth2};
use hookwright_signing::{Aws, Grant, Secret, basic};
use hookwright_testkit::receiver::{Reply, Seen, answer, status};

fn with(auth: Auth, receiver: &Receiver) -> Destination {
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
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 1).await;
    bench.store.until(|store| store.count("a", DeliveryState::Delivered) == 1).await;
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
    let faster = Destination { in_flight: 16, ..settings.clone() };
    bench.handle.reconfigure(one(faster)).await.expect("good settings");
    bench.store.add(deliveries(1..2, "a"));
    bench.all_delivered("a").await;
    assert_eq!(server.seen().len(), 1, "the first token is still good");
    let Auth::OAuth2(mut other) = oauth2(&server) else { unreachable!("it is OAuth2") };
    other.grant.secret = Secret::new("rotated");
    bench
        .handle
        .reconfigure(one(with(Auth::OAuth2(other), &receiver)))
        .await
        .expect("good settings");
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
    let stage = Arc::new(AtomicUsize::new(0));
    let server = Receiver::start({
        let stage = stage.clone();
        move |_| match stage.load(Ordering::SeqCst) {
            0 => answer(401, "", r#"{"error":"invalid_client","error_description":"s3cret"}"#),
            1 => answer(200, "", "<html>"),
            number => token(number, 3_600),
        }
    })
    .await;
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(with(oauth2(&server), &receiver)));
    bench.store.add(deliveries(0..1, "a"));
    let told = |part: &'static str| {
        let handle = bench.handle.clone();
        async move {
            let mut last = None;
            eventually(|| {
                last = handle.status().remove(0).last.map(|last| last.outcome);
                matches!(&last, Some(Outcome::Failed { cause: Cause::Credentials, message })
                    if message.contains(part) && !message.contains("s3cret"))
            })
            .await;
        }
    };
    told("answered 401 (invalid_client)").await;
    stage.store(1, Ordering::SeqCst);
    told("is no JSON").await;
    stage.store(2, Ordering::SeqCst);
    bench.all_delivered("a").await;
    assert_eq!(shown(&receiver.seen()), ["Bearer t2"]);
    let attempts = &bench.store.first("a").attempts;
    assert_eq!(attempts.len(), 1, "what was not sent is no attempt: {attempts:?}");
}

/// With a breaker that is back soon.
fn guarded(options: Destination) -> Destination {
    let (wait, cap) = (Duration::from_millis(200), Duration::from_millis(400));
    Destination { breaker: Some(Breaker { wait, cap, ..Breaker::default() }), ..options }
}

/// Until the lane is left alone; then nothing of its deliveries is used up.
async fn until_left_alone(bench: &Bench, whole: usize) {
    eventually(|| bench.handle.status()[0].state == State::BreakerOpen).await;
    let waiting =
        bench.store.rows("a").into_iter().filter(|row| row.state == DeliveryState::Waiting);
    let untouched = waiting.filter(|row| row.attempts.is_empty());
    assert_eq!(untouched.count(), whole);
}

/// The token server refused: 100 of 100 deliveries were dead in 12 s, by 1,600
/// attempts, and the breaker stayed closed.
#[tokio::test]
async fn regression_credentials_that_do_not_work_use_up_no_attempts() {
    let well = Arc::new(AtomicBool::new(false));
    let server = Receiver::start({
        let well = well.clone();
        move |seen| match well.load(Ordering::SeqCst) {
            false => answer(400, "", r#"{"error":"invalid_client"}"#),
            true => token(seen.number, 3_600),
        }
    })
    .await;
    let receiver = Receiver::start(|_| status(200)).await;
    let bench = Bench::start(one(guarded(with(oauth2(&server), &receiver))));
    bench.store.add(deliveries(0..100, "a"));
    until_left_alone(&bench, 100).await;
    eventually(|| server.seen().len() >= 2).await;
    until_left_alone(&bench, 100).await;
    assert_eq!(receiver.seen().len(), 0);
    well.store(true, Ordering::SeqCst);
    bench.all_delivered("a").await;
    assert!(server.seen().len() <= 8, "{} requests for tokens", server.seen().len());
    assert!(bench.store.rows("a").iter().all(|row| row.attempts.len() == 1));
}

/// The token server answered 503 with `retry-after: 5`: it was asked 216 times in 2 s.
#[tokio::test]
async fn regression_the_token_servers_retry_after_holds_for_all_deliveries() {
    let server = Receiver::start(|seen| match seen.number {
        0 => answer(503, "retry-after: 5\r\n", ""),
        number => token(number, 3_600),
    })
    .await;
    let receiver = Receiver::start(|_| status(200)).await;
    let began = Instant::now();
    let bench = Bench::start(one(guarded(with(oauth2(&server), &receiver))));
    bench.store.add(deliveries(0..100, "a"));
    until_left_alone(&bench, 100).await;
    assert_eq!(server.seen().len(), 1);
    bench.all_delivered("a").await;
    assert!(began.elapsed() >= Duration::from_secs(5), "after {:?}", began.elapsed());
    assert_eq!(server.seen().len(), 2);
}

/// A receiver that repeats what it got wrote the secret into the log of attempts.
#[tokio::test]
async fn regression_an_answer_that_repeats_a_secret_is_kept_without_it() {
    let server = server(3_600).await;
    let echo = |seen: &Seen| {
        let text = |name: &str| seen.headers.get(name).map(|value| value.to_str().expect("text"));
        let (own, token) = (text("x-own-key").unwrap_or("-"), text("authorization").unwrap_or("-"));
        answer(500, "", &format!("{} {own} {token} sorry", seen.line))
    };
    let receiver = Receiver::start(echo).await;
    let mut own = HeaderValue::from_static("0wn-s3cret");
    own.set_sensitive(true);
    let settings = |auth: Auth| {
        let options = with(auth, &receiver);
        let mut options = posting(options, |post| {
            post.headers.insert("x-own-key", own.clone());
            post.url = format!("http://{}/hooks/S3CR3T", receiver.address).parse().expect("a URL");
        });
        options.policy.attempts = 1;
        options
    };
    let fixed = Auth::Header(AUTHORIZATION, basic(&Secret::new("user:password")));
    for auth in [oauth2(&server), fixed] {
        let bench = Bench::start(one(settings(auth)));
        bench.store.add(deliveries(0..1, "a"));
        bench.store.until(|store| store.count("a", DeliveryState::Dead) == 1).await;
        let attempts = &bench.store.first("a").attempts;
        let Outcome::Answered { excerpt, .. } = &attempts[0].outcome else { panic!("answered") };
        let text = String::from_utf8_lossy(excerpt);
        assert!(text.contains("sorry") && text.contains('…'), "{text}");
        for secret in ["0wn-s3cret", "S3CR3T", "Bearer t0", "dXNlcjpwYXNzd29yZA"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

/// However there comes to be no token, and whoever has no breaker.
#[tokio::test]
async fn regression_no_kind_of_missing_token_uses_up_attempts() {
    let receiver = Receiver::start(|_| status(200)).await;
    let silent = Receiver::start(|_| Reply::Hang(Vec::new())).await;
    let closing = Receiver::start(|_| Reply::Close(Vec::new())).await;
    let port = receiver.address.port();
    for (number, token_url) in [
        format!("http://nowhere.invalid:{port}/token"),
        format!("http://169.254.169.254:{port}/token"),
        format!("https://{}/token", receiver.address),
        silent.url().to_string(),
        closing.url().to_string(),
    ]
    .into_iter()
    .enumerate()
    {
        let Auth::OAuth2(mut auth) = oauth2(&silent) else { unreachable!("it is OAuth2") };
        auth.token_url = token_url.parse().expect("a URL");
        let mut options = guarded(with(Auth::OAuth2(auth), &receiver));
        options = posting(options, |post| post.timeout = Duration::from_millis(500));
        if number == 1 {
            // A batch of them neither.
            let (wait, bytes) = (Duration::from_millis(10), 1 << 20);
            options.batch = Some(Batch { events: 5, wait, bytes, format: Format::Array });
        }
        if number == 0 {
            let bench = Bench::start(one(Destination { breaker: None, ..options.clone() }));
            bench.store.add(deliveries(0..10, "a"));
            eventually(|| bench.handle.status()[0].last.is_some()).await;
            assert!(bench.store.rows("a").iter().all(|row| row.attempts.is_empty()));
        }
        let bench = Bench::start(one(options));
        bench.store.add(deliveries(0..10, "a"));
        until_left_alone(&bench, 10).await;
    }
}

/// With `never = ["4xx"]` a token that was revoked killed the delivery at its first 401.
#[tokio::test]
async fn regression_a_revoked_token_costs_no_delivery_its_life() {
    let server = server(3_600).await;
    let revoked = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start({
        let revoked = revoked.clone();
        move |seen| {
            let old = seen.headers[AUTHORIZATION] == "Bearer t0";
            status(if old && revoked.load(Ordering::SeqCst) { 401 } else { 200 })
        }
    })
    .await;
    let mut options = with(oauth2(&server), &receiver);
    options.policy.never = Never(vec!["4xx".parse().expect("an end")]);
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..1, "a"));
    bench.all_delivered("a").await;
    revoked.store(true, Ordering::SeqCst);
    bench.store.add(deliveries(1..40, "a"));
    bench.all_delivered("a").await;
    assert!(bench.store.rows("a").iter().all(|row| row.attempts.len() == 1));
    assert_eq!(server.seen().len(), 2, "one new token for all");
}

/// A destination that takes no token at all has answered, and the server is not worn out.
#[tokio::test]
async fn a_destination_that_refuses_every_token_answers_for_it() {
    let server = server(3_600).await;
    let receiver = Receiver::start(|_| status(401)).await;
    let mut options = with(oauth2(&server), &receiver);
    options.policy.attempts = 2;
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..20, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 20).await;
    assert_eq!(server.seen().len(), 2);
}

/// Whoever lists `credentials` among what is never tried again wants it so.
#[tokio::test]
async fn credentials_may_be_named_as_what_is_never_tried_again() {
    let server = Receiver::start(|_| status(500)).await;
    let receiver = Receiver::start(|_| status(200)).await;
    let mut options = with(oauth2(&server), &receiver);
    options.policy.never = Never(vec!["credentials".parse().expect("an end")]);
    let bench = Bench::start(one(options));
    bench.store.add(deliveries(0..1, "a"));
    bench.store.until(|store| store.count("a", DeliveryState::Dead) == 1).await;
}

/// New settings are tried at once, however long the old credentials would have been left alone.
#[tokio::test]
async fn new_credentials_end_the_wait_for_the_old_ones() {
    let server = Receiver::start(|seen| {
        let good = seen.headers[AUTHORIZATION] == basic(&Secret::new("us:rotated"));
        if good { token(seen.number, 3_600) } else { status(401) }
    })
    .await;
    let receiver = Receiver::start(|_| status(200)).await;
    let breaker = Some(Breaker { wait: Duration::from_secs(3_600), ..Breaker::default() });
    let options = Destination { breaker, ..with(oauth2(&server), &receiver) };
    let bench = Bench::start(one(options.clone()));
    bench.store.add(deliveries(0..10, "a"));
    until_left_alone(&bench, 10).await;
    let Auth::OAuth2(mut other) = oauth2(&server) else { unreachable!("it is OAuth2") };
    other.grant.secret = Secret::new("rotated");
    let options = posting(options, |post| post.auth = Some(Auth::OAuth2(other)));
    bench.handle.reconfigure(one(options)).await.expect("good settings");
    bench.all_delivered("a").await;
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
    let options = posting(Destination::new(url), |post| {
        post.auth = Some(auth);
        post.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _entered = runtime.as_ref().expect("a runtime").enter();
    let options = Options { destinations: one(options), ..Options::default() };
    let refused = begin(options, &TestStore::prompt(), Clock::tokio(START_MS), &Tasks::new());
    assert!(refused.is_err_and(|error| error.to_string().contains("authorization")));
}
