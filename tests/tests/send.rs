//! `hookwright send` signs as every provider signs whose secret the settings hold.
use std::time::Duration;

use hookwright_signing::{KeyForm, Preset, presets};
use hookwright_tests::{HostBuilder, eventually};

const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// A source with that scheme, its id for deduplication where it has one.
fn source(preset: &Preset) -> String {
    let secret = match preset.key {
        KeyForm::Standard => "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        KeyForm::Hex | KeyForm::Ed25519 => KEY,
        KeyForm::P256 => {
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
        }
        KeyForm::UserPassword => "user:password",
        KeyForm::Text | KeyForm::Polar => "a secret",
    };
    let name = preset.name;
    let token = match name {
        "meta" => ", verify_token = \"dangerous_plain:t\"",
        _ => "",
    };
    let dedupe = if preset.id.is_some() { "dedupe = { key = \"id\" }\n" } else { "" };
    format!(
        "[sources.{name}]\npublic_url = \"https://hooks.example.com/in/{name}\"\n{dedupe}\
         verify = {{ scheme = \"{name}\", secrets = [\"dangerous_plain:{secret}\"]{token} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_every_scheme_is_signed_and_taken_with_its_kind() {
    let (own, providers): (Vec<_>, Vec<_>) =
        presets::ALL.into_iter().partition(|preset| !preset.is_asymmetric());
    let settings: String = own.iter().chain(&providers).map(|preset| source(preset)).collect();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let (ingress, admin) = (free().expect("a port"), free().expect("a port"));
    let settings =
        format!("{settings}[ingress]\nlisten = \"{ingress}\"\n[admin]\nlisten = \"{admin}\"\n");
    let host = HostBuilder::new(&settings).start().await;
    for preset in &own {
        let (code, out, err) = host.run(&["send", preset.name, "--kind", "some.kind"]);
        assert_eq!(code, 0, "{}: {out}{err}", preset.name);
        let success = format!("{} ", preset.success);
        assert!(out.starts_with(&success), "{}: {out}", preset.name);
        let body = r#"{"a":1}"#;
        let (code, out, err) = host.run(&["send", preset.name, "--data", body]);
        assert_eq!(code, 0, "{}: {out}{err}", preset.name);
    }
    for preset in &providers {
        let (code, _, err) = host.run(&["send", preset.name]);
        assert_eq!(code, 1, "{}", preset.name);
        assert!(err.contains("only the provider can sign"), "{err}");
    }
    let kinds = own.iter().filter(|preset| preset.kind.is_some()).count();
    let events = eventually("the events are listed", Duration::from_secs(20), || async {
        let (_, out, _) = host.run(&["--json", "events", "--kind", "some.kind", "--limit", "100"]);
        let page: serde_json::Value = serde_json::from_str(&out).ok()?;
        let events = page["events"].as_array()?.clone();
        (events.len() == kinds).then_some(events)
    });
    assert_eq!(events.await.len(), kinds);
}
