//! What a source has of its scheme, and what its settings say instead.
use super::{good, one};
use hookwright_settings::Selector;

/// Forms and CloudEvents had neither kind nor key.
#[test]
fn regression_kind_and_key_may_be_fields_of_a_form_or_of_a_cloud_event() {
    let read = |scheme: &str, rest: &str| {
        let verify = match scheme {
            "none" => "{ scheme = \"none\" }".to_owned(),
            other => format!("{{ scheme = \"{other}\", secrets = [\"dangerous_plain:a:b\"] }}"),
        };
        let config = good(&format!("[sources.s]\nverify = {verify}\n{rest}"));
        let source = config.sources["s"].endpoint.source.clone();
        (source.kind, source.dedupe.map(|dedupe| dedupe.key))
    };
    let form = |name: &str| Selector::Form(name.to_owned());
    let (kind, key) =
        read("none", "kind = \"form:event\"\ndedupe = { key = [\"form:id\", \"json:/id\"] }");
    assert_eq!(kind, Some(form("event")));
    let parts = vec![form("id"), Selector::Json("/id".into())];
    assert_eq!(key, Some(Selector::All(parts)));
    for scheme in ["none", "bearer", "basic", "cloudevents"] {
        assert_eq!(read(scheme, "").0, Some(Selector::CloudEvents), "{scheme}");
        assert_eq!(read(scheme, "kind = \"none\"").0, None, "{scheme}");
    }
    let cloud = Selector::CloudEvents;
    assert_eq!(read("cloudevents", "dedupe = { key = \"id\" }").1, Some(cloud.clone()));
    assert_eq!(read("none", "dedupe = { key = \"cloudevents\" }").1, Some(cloud));
    assert_eq!(read("x", "").0, None, "nobody else's events");
}

/// The status, the methods and the largest body are the provider's where the settings say nothing.
#[test]
fn regression_a_source_has_its_providers_status_methods_and_size() {
    let read = |verify: &str, rest: &str| {
        let public = "[ingress]\npublic_url = \"https://h.example\"";
        good(&format!("{public}\n[sources.s]\nverify = {{ {verify} }}\n{rest}")).sources["s"]
            .clone()
    };
    let of = |scheme: &str, rest: &str| {
        let secret = format!("scheme = \"{scheme}\", secrets = [\"dangerous_plain:k:k\"]");
        let more = if scheme == "meta" { ", verify_token = \"dangerous_plain:t\"" } else { "" };
        read(&format!("{secret}{more}"), rest)
    };
    for scheme in ["linear", "mailgun", "paddle", "zoom", "meta", "x", "asana", "docusign"] {
        assert_eq!(of(scheme, "").endpoint.success, 200, "{scheme}");
    }
    for scheme in ["github", "stripe", "slack", "bearer", "basic"] {
        assert_eq!(of(scheme, "").endpoint.success, 202, "{scheme}");
    }
    assert_eq!(read("scheme = \"none\"", "").endpoint.success, 202);
    assert_eq!(read("scheme = \"paypal\", webhook_id = \"1\"", "").endpoint.success, 200);
    let github = of("github", "");
    assert_eq!((github.provider_body, github.endpoint.source.max_body), (Some(25 << 20), 25 << 20));
    assert_eq!(of("github", "max_body = \"2MiB\"").endpoint.source.max_body, 2 << 20);
    assert_eq!(of("stripe", "").provider_body, None);
    assert_eq!(github.endpoint.methods, ["POST"]);
    assert_eq!(of("twilio", "").endpoint.methods, ["POST", "GET"]);
    assert_eq!(of("twilio", "methods = [\"POST\"]").endpoint.methods, ["POST"]);
    assert_eq!(of("github", "methods = [\"PUT\", \"GET\"]").endpoint.methods, ["PUT", "GET"]);
    for (scheme, methods) in [("github", "[]"), ("slack", "[\"GET\", \"POST\"]")] {
        let text = format!(
            "[sources.s]\nverify = {{ scheme = \"{scheme}\", secrets = [\"dangerous_plain:k\"] }}\nmethods = {methods}"
        );
        assert_eq!(one(&text).key, "sources.s.methods", "{scheme}");
    }
    assert_eq!(one("[sources.s]\nbin = true\nmethods = [\"GET\"]").key, "sources.s.methods");
}
