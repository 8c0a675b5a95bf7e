//! What stands in the file, or in a variable, is what the parts get; what does not has a safe default.
use std::path::Path;
use std::time::Duration;

use http::HeaderName;

use super::super::{LogFormat, LogLevel};
use super::{STANDARD, good, parse_with, sources};
use hookwright_model::plugin::OnFailure;
use hookwright_model::retry::{End, Never, Policy};
use hookwright_model::{Cause, Rate, Share};
use hookwright_settings::{
    Dedupe, FileOptions, NetworkPolicy, Selector, TlsVersion, To, ToldBy, Transport,
};
use hookwright_signing::{Algorithm, Encoding, Key, Verify};

#[test]
fn an_empty_file_has_safe_defaults() {
    let config = good("");
    assert_eq!(config.data_dir, Path::new("/etc/hw/data"));
    assert_eq!(config.plugins_dir, Path::new("/etc/hw/plugins"));
    assert!(config.ingress.listen.ip().is_loopback() && config.admin.listen.ip().is_loopback());
    assert_eq!((config.ingress.max_body, config.ingress.limits.max_headers), (1 << 20, 100));
    assert_eq!(config.retention.keep, Duration::from_secs(30 * 86_400));
    assert_eq!((config.store.segment, config.store.linger), (64 << 20, Duration::from_micros(200)));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Text, LogLevel::Info));
    assert_eq!(config.engine.instances, None);
    assert!(config.warnings.is_empty());
}

#[test]
fn a_destination_is_read_whole() {
    let text = r#"
[destinations.ci]
url = "https://ci.example.com/hooks"
timeout = "250ms"
retry = { base = "1s", factor = 1.5, cap = "5m", jitter = 0, attempts = 3, first = "2s" }
rate = "50/s"
in_flight = 2
allow_private = true
disabled = true
headers = { x-b = "2", x-a = "1" }
"#;
    let config = good(text);
    let ci = &config.destinations["ci"];
    let post = ci.to.post().expect("a URL");
    assert_eq!(post.url.to_string(), "https://ci.example.com/hooks");
    assert_eq!(post.timeout, Duration::from_millis(250));
    let policy = Policy {
        base: Duration::from_secs(1),
        factor: 1.5,
        cap: Duration::from_secs(300),
        jitter: 0.0,
        attempts: 3,
        first: Duration::from_secs(2),
        ..Policy::default()
    };
    assert_eq!(ci.policy, policy);
    assert_eq!(ci.rate, Some(Rate { count: 50.try_into().unwrap(), per: Duration::from_secs(1) }));
    assert_eq!(ci.in_flight, 2);
    assert_eq!(post.transport.network, NetworkPolicy::Any);
    assert!(ci.disabled && post.sign.is_none());
    assert_eq!(post.headers.len(), 2);
}

#[test]
fn retries_default_to_the_policy_itself() {
    let config = good("[destinations.d]\nurl = \"https://a.example\"");
    assert_eq!(config.destinations["d"].policy, Policy::default());
}

#[test]
fn a_schedule_stands_for_the_formula() {
    let config = good(
        "[destinations.d]\nurl = \"https://a.example\"\nretry = { schedule = [\"0s\", \"5s\", \"5s\", \"2h\"], max_age = \"3d\", never = [\"400-407\", \"tls\"] }",
    );
    let seconds = |list: &[u64]| list.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
    let retry = &config.destinations["d"].policy;
    assert_eq!((retry.first, retry.attempts), (Duration::ZERO, 4));
    assert_eq!(retry.schedule, seconds(&[5, 5, 7_200]));
    assert_eq!(retry.max_age, Some(Duration::from_secs(3 * 86_400)));
    let never = Never(vec![End::Status(400..=407), End::Cause(Cause::Tls)]);
    assert_eq!(retry.never, never);
    let once = good("[destinations.d]\nurl = \"https://a.example\"\nretry.schedule = [\"1s\"]");
    let retry = &once.destinations["d"].policy;
    assert_eq!((retry.first, retry.most_attempts()), (Duration::from_secs(1), 1));
}

#[test]
fn a_destination_may_be_a_file_or_standard_output() {
    let text = r#"
[destinations.a]
file = { path = "out/a.jsonl", max_size = "1MiB", max_age = "1d", keep = 3 }
retry = { attempts = 3 }
[destinations.b]
stdout = true
"#;
    let config = good(text);
    let expected = FileOptions {
        path: "/etc/hw/out/a.jsonl".into(),
        max_size: Some(1 << 20),
        max_age: Some(Duration::from_secs(86_400)),
        keep: Some(3),
        mode: 0o600,
    };
    assert_eq!(config.destinations["a"].to.file(), Some(&expected));
    assert!(matches!(&config.destinations["b"].to, To::Lines(lines) if lines.file.is_none()));
}

#[test]
fn a_connection_is_set_up_as_written() {
    let text = r#"
[destinations.d]
url = "https://a.example"
allow_private = ["10.0.0.0/8"]
http2 = false
proxy = { url = "http://proxy:3128", secret = "env:S" }
tls = { min = "1.3", cert = "c.pem", key = "file:c.key", pin = ["A0:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01"] }
timeouts = { connect = "2s", tls = "3s", first_byte = "4s" }
[delivery]
ports = [443]
"#;
    let sources = sources(&[("S", "u:p")], &[("/etc/hw/c.pem", "x"), ("/etc/hw/c.key", "k")]);
    let config = parse_with(text, &sources).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let Transport { network, tls, proxy, http2, phases } =
        &config.destinations["d"].to.post().expect("a URL").transport;
    let networks = vec!["10.0.0.0/8".parse().expect("a network")];
    assert_eq!(*network, NetworkPolicy::Networks(networks));
    assert!(tls.min == TlsVersion::V13 && !http2 && tls.pins[0][31] == 1);
    let identity = tls.identity.as_ref().expect("a client certificate");
    assert_eq!((identity.key.expose(), &identity.chain.text[..]), (&b"k"[..], &b"x"[..]));
    let proxy = proxy.as_ref().expect("a proxy");
    assert_eq!(proxy.authorization.as_ref().expect("one"), "Basic dTpw");
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!(
        (phases.connect, phases.tls, phases.first_byte),
        (seconds(2), seconds(3), seconds(4))
    );
    assert_eq!(config.delivery.ports, Some(vec![443]));
}

#[test]
fn a_source_is_read_whole() {
    let text = r#"
[sources.s]
verify = { scheme = "hmac", secrets = ["dangerous_plain:k"], header = "X-Sig", algorithm = "sha512", encoding = "base64", prefix = "v=" }
plugins = ["b", "a"]
destinations = ["d"]
kind = "json:/data/type"
dedupe = { key = "header:X-Id", window = "5m" }
allow = ["10.0.0.0/8", "::1"]
rate = "3000/m"
max_body = "16KiB"
[plugins.a]
[plugins.b]
[destinations.d]
url = "https://a.example"
"#;
    let config = good(text);
    let source = &config.sources["s"];
    let Verify::Hmac(hmac) = &source.endpoint.verify else { panic!("hmac") };
    assert_eq!(hmac.header, "x-sig");
    assert_eq!((hmac.algorithm, hmac.encoding), (Algorithm::Sha512, Encoding::Base64));
    let Key::Shared(secret) = &hmac.secrets[0].key else { panic!("a secret") };
    assert_eq!((hmac.prefix.as_str(), secret.expose()), ("v=", &b"k"[..]));
    assert_eq!(source.plugins.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(source.endpoint.source.kind, Some(Selector::Json("/data/type".into())));
    let key = Selector::Header(HeaderName::from_static("x-id"));
    assert_eq!(
        source.endpoint.source.dedupe,
        Some(Dedupe { key, window: Duration::from_secs(300) })
    );
    let allow: Vec<String> =
        source.endpoint.allow.iter().map(|network| network.to_string()).collect();
    assert_eq!(allow, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(source.endpoint.source.max_body, 16_384);
}

#[test]
fn kind_and_id_follow_the_scheme() {
    let read = |scheme: &str, rest: &str| {
        let text = format!(
            "[sources.s]\nverify = {{ scheme = \"{scheme}\", secrets = [\"env:S\"] }}\ndedupe.key = \"id\"\n{rest}"
        );
        let config = parse_with(&text, &sources(&[("S", STANDARD)], &[]));
        let mut config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let source = config.sources.remove("s").expect("s");
        let source = source.endpoint.source;
        (source.kind, source.dedupe.expect("dedupe").key)
    };
    let header = |name| Selector::Header(HeaderName::from_static(name));
    let json = |path: &str| Selector::Json(path.to_owned());
    assert_eq!(read("github", ""), (Some(header("x-github-event")), header("x-github-delivery")));
    assert_eq!(read("stripe", ""), (Some(json("/type")), json("/id")));
    assert_eq!(read("standard", ""), (Some(json("/type")), Selector::Id));
    assert_eq!(read("standard", "kind = \"none\"").0, None);
    assert_eq!(read("github", "kind = \"header:X-Kind\"").0, Some(header("x-kind")));
}

#[test]
fn a_key_may_be_the_body_or_several_parts() {
    let read = |key: &str| {
        let text = format!("[sources.s]\nverify = {{ scheme = \"none\" }}\ndedupe.key = {key}\n");
        good(&text).sources.remove("s").expect("s").endpoint.source.dedupe.expect("dedupe").key
    };
    assert_eq!(read("\"hash\""), Selector::Body);
    let header = Selector::Header(HeaderName::from_static("x-id"));
    let parts = vec![Selector::Json("/a".into()), header];
    assert_eq!(read("[\"json:/a\", \"header:X-Id\"]"), Selector::All(parts));
}

#[test]
fn who_may_post_is_read_whole() {
    let print = "A0:4E:8D:45:D0:E8:39:57:A8:73:65:6D:20:7F:19:DA:F0:02:17:2B:94:7F:5E:16:E0:D4:02:3B:3B:37:36:A7";
    let text = format!(
        r#"
[ingress]
trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
client_header = "forwarded"
proxy_protocol = true
tls = {{ cert = "c.pem", key = "k.pem", client_ca = "ca.pem" }}
[sources.s]
verify = {{ scheme = "none" }}
tokens = ["env:T", "file:t"]
require_tls = true
rate_per_address = "10/s"
client = {{ san = ["hooks.partner.example", "192.0.2.7"], sha256 = ["{print}"] }}
answer = {{ status = 201, content_type = "text/xml", body = "<Response/>" }}
"#
    );
    let (first, second) = ("0123456789abcdef", "fedcba9876543210-._~");
    let files = ["c.pem", "k.pem", "ca.pem"].map(|name| format!("/etc/hw/{name}"));
    let mut files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), "x")).collect();
    files.push(("/etc/hw/t", second));
    let config = parse_with(&text, &sources(&[("T", first)], &files));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.ingress.proxies.trusted[1].to_string(), "192.0.2.1/32");
    assert_eq!(config.ingress.proxies.told_by, ToldBy::Forwarded);
    assert!(config.ingress.proxy_protocol);
    let tls = config.ingress.tls.as_ref().expect("tls");
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("/etc/hw/ca.pem")));
    let source = &config.sources["s"];
    let tokens: Vec<&[u8]> = source.endpoint.tokens.iter().map(|token| token.expose()).collect();
    assert_eq!(tokens, [first.as_bytes(), second.as_bytes()]);
    assert!(source.endpoint.require_tls);
    assert_eq!(source.endpoint.rate_per_address.map(|rate| rate.count.get()), Some(10));
    let client = source.endpoint.client.as_ref().expect("client");
    assert_eq!((client.names.len(), client.fingerprints[0][..2].to_vec()), (2, vec![0xa0, 0x4e]));
    let answer = source.endpoint.answer.as_ref().expect("answer");
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (201, &b"<Response/>"[..]));
    assert!(!format!("{config:?}").contains(first));
}

#[test]
fn a_plugin_is_read_whole() {
    let text = r#"
[plugins.slim]
config = { keep = ["ref"], deep = { n = 1, x = 2.5, on = true, day = 1979-05-27 } }
headers = ["X-GitHub-Event"]
limits = { time = "1ms", memory = "512MiB" }
on_failure = "dead-letter"
[plugins.plain]
file = "other.wasm"
"#;
    let config = good(text);
    let slim = &config.plugins["slim"];
    let on_failure = slim.on_failure;
    let slim = &slim.spec;
    assert_eq!(slim.file, Path::new("slim.wasm"));
    let json: serde_json::Value = serde_json::from_str(&slim.config_json).expect("JSON");
    let deep = serde_json::json!({ "n": 1, "x": 2.5, "on": true, "day": "1979-05-27" });
    assert_eq!(json, serde_json::json!({ "keep": ["ref"], "deep": deep }));
    assert_eq!(slim.headers, ["x-github-event"]);
    assert_eq!((slim.limits.time, slim.limits.memory), (Duration::from_millis(1), 512 << 20));
    assert_eq!((slim.limits.output, slim.limits.log), (4 << 20, 16 << 10));
    assert_eq!(on_failure, OnFailure::DeadLetter);
    let plain = &config.plugins["plain"];
    assert_eq!(
        (plain.spec.file.as_path(), plain.spec.config_json.as_str()),
        (Path::new("other.wasm"), "{}")
    );
    assert_eq!(plain.on_failure, OnFailure::Park);
}

#[test]
fn variables_stand_in_for_keys_and_make_new_ones() {
    let text = "[ingress]\nlisten = \"127.0.0.1:1\"\n[plugins.only-pushes]\n";
    let env = [
        ("HOOKWRIGHT__INGRESS__LISTEN", "127.0.0.1:2"),
        ("HOOKWRIGHT__INGRESS__MAX_HEADERS", "50"),
        ("HOOKWRIGHT__STORE__LINGER", "300us"),
        ("HOOKWRIGHT__PLUGINS__ONLY_PUSHES__FILE", "b.wasm"),
        ("HOOKWRIGHT__SOURCES__S__VERIFY", "{ scheme = \"none\" }"),
        ("HOOKWRIGHT__SOURCES__S__PLUGINS", "[\"only-pushes\"]"),
        ("HOOKWRIGHT__ADMIN__TOKEN", "env:TOKEN"),
        ("HOOKWRIGHT__DATA_DIR", "2025"),
        ("TOKEN", "12345"),
    ];
    let config = parse_with(text, &sources(&env, &[])).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!((config.ingress.listen.port(), config.ingress.limits.max_headers), (2, 50));
    assert_eq!(config.store.linger, Duration::from_micros(300));
    assert_eq!(config.plugins["only-pushes"].spec.file, Path::new("b.wasm"));
    assert_eq!(config.sources["s"].plugins.len(), 1);
    assert_eq!(config.admin.token.expect("token").expose(), b"12345");
    assert_eq!(config.data_dir, Path::new("/etc/hw/2025"));
}

#[test]
fn tls_files_start_from_the_settings_and_must_be_there() {
    let text = "[ingress.tls]\ncert = \"c.pem\"\nkey = \"/k.pem\"\n";
    let files = [("/etc/hw/c.pem", "c"), ("/k.pem", "k")];
    let config = parse_with(text, &sources(&[], &files)).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(config.ingress.tls.expect("tls").cert, Path::new("/etc/hw/c.pem"));
    let mistakes = super::bad(text);
    assert_eq!(mistakes.len(), 2, "{mistakes}");
}

#[test]
fn a_public_url_is_the_sources_own_or_made_from_the_hosts() {
    let url = |host: &str, own: &str| {
        let text = format!(
            "[ingress]\n{host}\n[sources.s]\n{own}\nverify = {{ scheme = \"square\", secrets = [\"dangerous_plain:k\"] }}\n"
        );
        match good(&text).sources.remove("s").expect("s").endpoint.verify {
            Verify::Preset(scheme) => scheme.url.expect("a URL"),
            other => panic!("{other:?}"),
        }
    };
    let host = "public_url = \"https://hooks.example.com/\"";
    assert_eq!(url(host, ""), "https://hooks.example.com/in/s");
    let own = "public_url = \"https://a.example/%7Ex/\"";
    assert_eq!(url(host, own), "https://a.example/%7Ex/");
    assert_eq!(url("", own), "https://a.example/%7Ex/");
}

#[test]
fn a_tolerance_is_the_schemes_own_unless_set() {
    let tolerance = |scheme: &str, rest: &str| {
        let text = format!(
            "[sources.s]\nverify = {{ scheme = \"{scheme}\", secrets = [\"dangerous_plain:k\"]{rest} }}\n"
        );
        match good(&text).sources.remove("s").expect("s").endpoint.verify {
            Verify::Preset(scheme) => scheme.tolerance.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((tolerance("stripe", ""), tolerance("twitch", "")), (300, 600));
    assert_eq!(tolerance("stripe", ", tolerance = \"1m\""), 60);
}

#[test]
fn a_share_of_traces_is_exact_however_it_is_written() {
    let text = |sample: &str| {
        format!("[traces]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\n{sample}\n")
    };
    let share = |millionths: u32| Share::new(millionths).expect("a share");
    let traces = |sample: &str| good(&text(sample)).traces.expect("traces");
    assert_eq!(traces("").sample, share(1_000_000));
    assert_eq!(traces("").service, "hookwright");
    for (written, millionths) in
        [("\"0.1%\"", 100_000), ("0.001", 100_000), ("1e-7", 10), ("1.0", 100_000_000), ("0.0", 0)]
    {
        assert_eq!(traces(&format!("sample = {written}")).sample, share(millionths), "{written}");
    }
    let env =
        [("HOOKWRIGHT__TRACES__SAMPLE", "0.001"), ("HOOKWRIGHT__TRACES__SERVICE", "hooks-eu")];
    let config = parse_with(&text(""), &sources(&env, &[])).unwrap_or_else(|all| panic!("{all}"));
    let traces = config.traces.expect("traces");
    assert_eq!((traces.sample, traces.service.as_str()), (share(100_000), "hooks-eu"));
    for bad in ["1", "1.5", "-0.1", "nan", "inf", "true", "1e-9", "\"101%\"", "\"0.0000001%\""] {
        assert_eq!(super::bad(&text(&format!("sample = {bad}"))).len(), 1, "{bad}");
    }
    for bad in ["\"\"", "\" \"", "\"a\\nb\"", "1"] {
        assert_eq!(super::bad(&text(&format!("service = {bad}"))).len(), 1, "{bad}");
    }
}
