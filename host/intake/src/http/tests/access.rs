//! Who is let in: proxies, addresses and their rates, tokens, encryption, certificates.
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::server_kit::kit::Running;
use super::{serve, serve_with, sources};
use crate::Intake;
use crate::http::{Handle, Options};
use crate::tests::store::{FaultyStore, NOW};
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_settings::{ClientPins, EndpointOptions, Proxies, SourceOptions, ToldBy};
use hookwright_signing::Secret;

fn behind_a_proxy(source: EndpointOptions) -> super::Ingress {
    serve_with(sources([("s", source)]), |setup| {
        let trusted = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        setup.http.proxies = Proxies { trusted, told_by: ToldBy::XForwardedFor };
    })
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_allow_list_looks_at_the_client() {
    let allow = vec!["203.0.113.0/24".parse().unwrap()];
    let source = EndpointOptions { allow, ..EndpointOptions::default() };
    let ingress = behind_a_proxy(source.clone());
    let mut wire = ingress.server.connect().await;
    for (told, status) in [
        ("x-forwarded-for: 203.0.113.7\r\n", 202),
        ("x-forwarded-for: 203.0.113.7, 10.0.0.4\r\n", 202),
        ("x-forwarded-for: 203.0.113.7, 198.51.100.1\r\n", 403),
        ("forwarded: for=203.0.113.7\r\n", 403),
        ("", 403),
    ] {
        assert_eq!(wire.post("/in/s", told, "").await.status, status, "{told}");
    }
    // Without trust the header is only the sender's word.
    let direct = serve(source);
    let told = "x-forwarded-for: 203.0.113.7\r\n";
    assert_eq!(direct.server.connect().await.post("/in/s", told, "").await.status, 403);
}

#[tokio::test]
async fn each_address_has_its_own_rate_before_the_sources() {
    let rate_per_address = Some(crate::tests::rate(2, 20));
    let rate = Some(crate::tests::rate(3, 30));
    let source = EndpointOptions {
        rate_per_address,
        ..EndpointOptions::from(SourceOptions { rate, ..SourceOptions::default() })
    };
    let ingress = behind_a_proxy(source.clone());
    let mut wire = ingress.server.connect().await;
    let mut answers = Vec::new();
    for address in ["1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2", "3.3.3.3"] {
        let told = format!("x-forwarded-for: {address}\r\n");
        let answer = wire.post("/in/s", &told, "").await;
        let code = if answer.status == 202 { "".into() } else { answer.json()["code"].clone() };
        assert!(answer.status == 202 || answer.header("retry-after").is_some());
        answers.push((answer.status, code.as_str().unwrap_or_default().to_owned()));
    }
    let expected =
        [(202, ""), (202, ""), (429, "address-rate-limited"), (202, ""), (429, "rate-limited")];
    assert_eq!(answers, expected.map(|(status, code)| (status, code.to_owned())));
    // New settings with the same rates go on counting.
    ingress.handle.reconfigure(&sources([("s", source)]));
    let told = "x-forwarded-for: 1.1.1.1\r\n";
    assert_eq!(wire.post("/in/s", told, "").await.json()["code"], "address-rate-limited");
}

#[tokio::test]
async fn a_source_with_tokens_is_found_with_one_of_them_only() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let tokens = ["first-token-0123456789", "second-token-0123456789"];
    let guarded =
        EndpointOptions { tokens: tokens.map(Secret::new).to_vec(), ..EndpointOptions::default() };
    let both = sources([("s", guarded), ("open", EndpointOptions::default())]);
    let ingress = ::metrics::with_local_recorder(&recorder, || serve_with(both, |_| {}));
    let mut wire = ingress.server.connect().await;
    for token in tokens {
        assert_eq!(wire.post(&format!("/in/s/{token}"), "", "").await.status, 202);
    }
    let mut told = Vec::new();
    for path in [
        "/in/s",
        "/in/s/first-token-0123456780",
        "/in/s/first-token",
        "/in/none",
        "/in/none/first-token-0123456789",
        "/in/open/first-token-0123456789",
    ] {
        let answer = wire.post(path, "", "").await;
        assert_eq!(answer.status, 404, "{path}");
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request");
        told.push(problem);
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "nothing tells them apart");
    let page = recorder.handle().render();
    assert!(!page.contains("token-0123"), "{page}");
    let strays = r#"hookwright_ingress_requests_total{source="-",status="404"} 6"#;
    assert!(page.lines().any(|line| line == strays), "{page}");
}

#[tokio::test]
async fn a_source_may_insist_on_encryption_as_a_trusted_proxy_tells_it() {
    let source = EndpointOptions { require_tls: true, ..EndpointOptions::default() };
    let told = "x-forwarded-proto: https\r\n";
    let direct = serve(source.clone());
    let answer = direct.server.connect().await.post("/in/s", told, "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"tls-required".into()));
    let ingress = behind_a_proxy(source);
    let mut wire = ingress.server.connect().await;
    assert_eq!(wire.post("/in/s", told, "").await.status, 202);
    assert_eq!(wire.post("/in/s", "x-forwarded-proto: http\r\n", "").await.status, 403);
}

#[tokio::test]
async fn a_source_may_ask_for_a_certificate_and_plain_clients_have_none() {
    let client = Some(ClientPins::default());
    let ingress = serve(EndpointOptions { client, ..EndpointOptions::default() });
    let answer = ingress.server.connect().await.post("/in/s", "", "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"client-certificate".into()));
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_of_a_whole_connection() {
    let allow = vec!["203.0.113.0/24".parse().unwrap()];
    let source = EndpointOptions { allow, ..EndpointOptions::default() };
    let store = Arc::new(FaultyStore::default());
    let options = Options::new(sources([("s", source)]));
    let intake = Intake::new(crate::Options::default(), store);
    let handle = Handle::new(options, intake, Replies::default(), Clock::manual(NOW));
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let options =
        hookwright_server::Options { proxies, ..hookwright_server::Options::new("ingress") };
    let server = Running::start(options, handle);
    for (address, status) in [("203.0.113.7", 202), ("198.51.100.1", 403)] {
        let mut wire = server.connect().await;
        wire.send(format!("PROXY TCP4 {address} 127.0.0.1 40000 80\r\n")).await;
        for _ in 0..2 {
            assert_eq!(wire.post("/in/s", "", "").await.status, status);
        }
    }
    // A trusted peer that sends none is not guessed at.
    let mut bare = server.connect().await;
    bare.send("POST /in/s HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n").await;
    assert!(bare.try_answer().await.is_none());
    server.stop.cancel();
}
