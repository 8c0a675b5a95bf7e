//! What a stranger's requests use up: nothing of the source's own.
use super::server_kit::kit::{Answer, soon, until};
use super::{Ingress, serve_with, sources};
use hookwright_server::Budget;
use hookwright_settings::{EndpointOptions, Proxies, ToldBy};
use hookwright_signing::{Secret, Verify, presets};

const RIGHT: &str = "authorization: Bearer right\r\n";

/// Two sources, `s` and `t`, behind a proxy that tells who asks.
fn guarded(adjust: impl Fn(&mut EndpointOptions), budget: Option<Budget>) -> Ingress {
    let verify = Verify::preset(&presets::BEARER, [Secret::new("right")]);
    let mut source = EndpointOptions { verify, ..EndpointOptions::default() };
    adjust(&mut source);
    serve_with(sources([("s", source.clone()), ("t", source)]), |setup| {
        let trusted = vec!["127.0.0.0/8".parse().unwrap()];
        setup.http.proxies = Proxies { trusted, told_by: ToldBy::XForwardedFor };
        if let Some(budget) = budget {
            setup.intake.budget = budget;
        }
    })
}

async fn post(ingress: &Ingress, path: &str, from: &str, headers: &str, body: &str) -> Answer {
    let headers = format!("x-forwarded-for: {from}\r\n{headers}");
    ingress.server.connect().await.post(path, &headers, body).await
}

/// Twenty strangers with a wrong token used up a source's `rate`, and the provider got 429.
#[tokio::test]
async fn regression_what_is_not_verified_uses_up_nothing_of_the_sources_rate() {
    let rate = Some(crate::tests::rate(3, 300));
    let ingress = guarded(|endpoint| endpoint.source.rate = rate, None);
    // From one address that is the provider's too, and from many.
    for stranger in 0..20 {
        let from = if stranger < 10 { "192.0.2.7".into() } else { format!("10.0.0.{stranger}") };
        let wrong = "authorization: Bearer wrong\r\n";
        assert_eq!(post(&ingress, "/in/s", &from, wrong, "x").await.status, 401);
    }
    for _ in 0..3 {
        assert_eq!(post(&ingress, "/in/s", "192.0.2.7", RIGHT, "x").await.status, 202);
    }
    let told = post(&ingress, "/in/s", "192.0.2.7", RIGHT, "x").await;
    assert_eq!((told.status, &told.json()["code"]), (429, &"rate-limited".into()));
    assert!(told.header("retry-after").is_some());
}

#[tokio::test]
async fn regression_strangers_make_no_source_unusual_and_push_nothing_out_of_its_list() {
    let ingress = guarded(|endpoint| endpoint.source.max_json_depth = 1, None);
    let json = format!("{RIGHT}content-type: application/json\r\n");
    assert_eq!(post(&ingress, "/in/s", "192.0.2.7", RIGHT, "x").await.status, 202);
    assert_eq!(post(&ingress, "/in/s", "192.0.2.7", &json, "[[[]]]").await.status, 422);
    for stranger in 0..300 {
        let from = format!("10.0.{}.{}", stranger % 3, stranger % 100);
        assert_eq!(post(&ingress, "/in/s", &from, "", "x").await.status, 401);
    }
    ingress.handle.minute();
    assert_eq!(ingress.handle.anomalies("s"), [], "300 strangers are no failure of the provider");
    let kept = ingress.handle.rejected("s").unwrap();
    assert!(kept.iter().any(|one| one.reason == "json-too-deep"), "{kept:?}");
    // The provider's own failures still show.
    for _ in 0..20 {
        let wrong = "authorization: Bearer old\r\n";
        assert_eq!(post(&ingress, "/in/s", "192.0.2.7", wrong, "x").await.status, 401);
    }
    ingress.handle.minute();
    assert_eq!(ingress.handle.anomalies("s").len(), 1);
}

/// Bodies that never end used to hold all memory there is.
#[tokio::test]
async fn regression_bodies_on_their_way_are_held_to_fair_shares() {
    let budget = Budget::new("test", 1024 * 1024);
    let ingress = guarded(|_| {}, Some(budget.clone()));
    let (mut slow, body) = (Vec::new(), "x".repeat(49_999));
    for number in 0..60 {
        let mut wire = ingress.server.connect().await;
        let from = number % 10;
        wire.send(format!(
            "POST /in/s HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 10.0.0.{from}\r\n\
             content-length: 50000\r\n\r\n{body}"
        ))
        .await;
        slow.push(wire);
    }
    until(|| budget.used() > 400 * 1024).await;
    let mut refused = 0;
    for wire in &mut slow {
        let asked = tokio::time::timeout(std::time::Duration::from_millis(20), wire.try_answer());
        if let Ok(Some(answer)) = asked.await {
            assert_eq!((answer.status, &answer.json()["code"]), (503, &"memory-full".into()));
            assert_eq!(answer.header("retry-after"), Some("1"));
            refused += 1;
        }
    }
    assert!(refused > 40, "{refused}");
    assert!(budget.used() <= 512 * 1024 + 1024, "a source has half of all: {}", budget.used());
    // Another source is as good as empty, and a small body comes through at this one.
    let large = "x".repeat(100_000);
    assert_eq!(post(&ingress, "/in/t", "10.0.0.1", RIGHT, &large).await.status, 202);
    assert_eq!(post(&ingress, "/in/s", "192.0.2.7", RIGHT, "small").await.status, 202);
    let kept = ingress.handle.rejected("s").unwrap();
    assert!(kept.iter().any(|one| one.reason == "memory-full"), "{kept:?}");
    drop(slow);
    until(|| budget.used() == 0).await;
    assert_eq!(post(&ingress, "/in/s", "10.0.0.1", RIGHT, &large).await.status, 202);
    soon(async {}).await;
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_path_is_named() {
    let ingress = guarded(|_| {}, None);
    for path in ["/in/s/", "/in/none/", "/in/s/token/"] {
        let told = post(&ingress, path, "10.0.0.1", RIGHT, "x").await;
        assert_eq!((told.status, &told.json()["code"]), (404, &"not-found".into()), "{path}");
        assert!(told.json()["detail"].as_str().unwrap().contains("slash"), "{path}");
    }
}

/// A target that can't be read was refused in a word, and nobody heard of it.
#[tokio::test]
async fn regression_a_request_that_cannot_be_read_is_kept_with_the_source_that_it_names() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let ingress = ::metrics::with_local_recorder(&recorder, || guarded(|_| {}, None));
    for (path, source) in [("/in/s", "s"), ("/in/none", "-"), ("/elsewhere", "-")] {
        let mut wire = ingress.server.connect().await;
        wire.send(format!("POST {path}?a=\"x\" HTTP/1.1\r\nhost: h\r\n\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad-request".into()));
        until(|| {
            let kept = ingress.handle.rejected(source).unwrap();
            kept.iter().any(|one| Some(&*one.request) == answer.header("x-request-id"))
        })
        .await;
        let kept = ingress.handle.rejected(source).unwrap();
        assert_eq!((kept[0].status, kept[0].path.as_str()), (400, &*format!("{path}?…")));
    }
    let mut wire = ingress.server.connect().await;
    let fields: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    assert_eq!(wire.post("/in/s", &fields, "x").await.json()["code"], "head-too-large");
    until(|| ingress.handle.rejected("s").unwrap().len() == 2).await;
    let page = recorder.handle().render();
    for line in [
        r#"hookwright_ingress_requests_total{source="s",status="400"} 1"#,
        r#"hookwright_ingress_requests_total{source="s",status="431"} 1"#,
        r#"hookwright_ingress_refused_total{source="s",reason="bad-request"} 1"#,
        r#"hookwright_ingress_refused_total{source="s",reason="head-too-large"} 1"#,
        r#"hookwright_ingress_refused_total{source="-",reason="bad-request"} 2"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}
