//! Every mistake is found, placed and explained, and one never hides another.
use std::path::Path;

use proptest::prelude::*;

use super::super::{Config, Place, Sources};
use super::{bad, good, line_and_column, one, parse, parse_with, sources};

/// Ten mistakes and some more.
const TEN: &str = r#"
shutdwn = "20s"
[ingress]
listen = "localhost:80"
max_body = 10
max_headers = "many"
[admin]
listen = "0.0.0.0:8081"
[sources.github]
verify = { scheme = "githb", secrets = ["env:NOT_SET"] }
plugins = ["slm"]
allow = ["140.82.112.1/20"]
[destinations.ci]
timeout = "11h"
in_fligt = 8
[plugins.slim]
file = "../slim.wasm"
grants = ["net"]
"#;

type Found = ((usize, usize), &'static str, &'static str, &'static str);

const TEN_FOUND: [Found; 14] = [
    ((2, 1), "shutdwn", "unknown key", "did you mean `shutdown`?"),
    (
        (4, 10),
        "ingress.listen",
        "`localhost:80` is no address to listen on",
        "write `\"127.0.0.1:80\"`, or `\"0.0.0.0:80\"` for all interfaces",
    ),
    ((5, 12), "ingress.max_body", "`max_body = 10` has no unit", "write `max_body = \"10B\"`"),
    (
        (6, 15),
        "ingress.max_headers",
        "expected a whole number, found text",
        "write `max_headers = 8`",
    ),
    (
        (8, 10),
        "admin.listen",
        "listens on 0.0.0.0:8081 without a token",
        "add `token = \"env:HOOKWRIGHT_ADMIN_TOKEN\"`, or listen on a loopback address",
    ),
    (
        (10, 21),
        "sources.github.verify.scheme",
        "`githb` is not known here",
        "did you mean `github`?",
    ),
    (
        (10, 41),
        "sources.github.verify.secrets[0]",
        "the environment variable `NOT_SET` is not set",
        "set `NOT_SET`",
    ),
    ((11, 12), "sources.github.plugins[0]", "there is no plugin `slm`", "did you mean `slim`?"),
    (
        (12, 10),
        "sources.github.allow[0]",
        "`140.82.112.1/20` has bits set beyond its prefix",
        "write `\"140.82.112.0/20\"`",
    ),
    (
        (13, 15),
        "destinations.ci.url",
        "missing, and required",
        "add `url = \"https://…\"`, or `file = { path = \"…\" }`",
    ),
    ((14, 11), "destinations.ci.timeout", "out of range", "write a value from 10ms to 10m"),
    ((15, 1), "destinations.ci.in_fligt", "unknown key", "did you mean `in_flight`?"),
    (
        (17, 8),
        "plugins.slim.file",
        "`../slim.wasm` is no plain name of a `.wasm` file",
        "write the plain name of a file in `plugins_dir`, as in `slim.wasm`",
    ),
    (
        (18, 11),
        "plugins.slim.grants[0]",
        "unknown grant `net`",
        "write `kv`, `responder`, or `http:` and a host, as in `http:api.example.com`",
    ),
];

#[test]
fn a_candidate_is_a_shadow_or_a_canary() {
    let text = |candidate: &str| {
        format!("[plugins.slim]\ncandidate = {{ file = \"slim-2.wasm\"{candidate} }}\n")
    };
    for wrong in ["", ", shadow = false", ", shadow = true, canary = \"5%\""] {
        let mistakes = bad(&text(wrong));
        let found: Vec<_> = mistakes.iter().map(|m| (m.key.as_str(), m.help.as_str())).collect();
        let help = "write either `shadow = true` or `canary = \"5%\"`";
        assert!(found.contains(&("plugins.slim.candidate.file", help)), "{wrong}: {found:?}");
    }
    for (wrong, part) in [("5", "no unit"), ("\"0%\"", "out of range"), ("\"x%\"", "percentage")] {
        let mistakes = bad(&text(&format!(", canary = {wrong}")));
        assert!(mistakes.iter().any(|m| m.message.contains(part)), "{wrong}");
    }
}

#[test]
fn ten_mistakes_are_ten_messages_each_in_its_place() {
    let mistakes = bad(TEN);
    let found: Vec<_> = mistakes
        .iter()
        .map(|m| (line_and_column(m), m.key.as_str(), m.message.as_str(), m.help.as_str()))
        .collect();
    assert_eq!(found, TEN_FOUND, "{mistakes}");
}

#[test]
fn broken_syntax_is_one_mistake_with_its_place() {
    let mistake = one("data_dir = \"data\"\n[ingress\nlisten = 1\n");
    assert_eq!(line_and_column(&mistake).0, 2);
    assert!(mistake.message.starts_with("syntax: "), "{}", mistake.message);
    let mistake = one("[ingress]\nlisten = 1\nlisten = 2\n");
    assert_eq!(
        (line_and_column(&mistake), mistake.message.as_str()),
        ((3, 1), "syntax: duplicate key")
    );
    let bytes = b"a = 1\nb = \"\xff\"";
    let mistakes = Config::parse(Path::new("f"), bytes, &Sources::none()).expect_err("no UTF-8");
    assert_eq!(line_and_column(&mistakes[0]), (2, 6));
}

#[test]
fn nesting_has_a_bound() {
    let deep = 20_000;
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{}b = 1", "a.".repeat(deep)),
        format!("[{}b]", "a.".repeat(deep)),
        format!("a = {}", "{ b = ".repeat(deep)),
    ] {
        assert!(!bad(&text).is_empty());
    }
    let variable = format!("HOOKWRIGHT__{}A", "A__".repeat(deep));
    let mistakes = parse_with("", &sources(&[(&variable, "1")], &[])).expect_err("too deep");
    assert_eq!(mistakes[0].message, "it names no setting");
}

#[test]
fn regression_dotted_keys_in_inline_tables_are_too_deep() {
    let key = ["a"; 70].join(".");
    let deep = format!("{}{key} = 1{}", format!("{key} = {{ ").repeat(70), " }".repeat(70));
    let mistakes = bad(&deep);
    assert!(mistakes[0].message.contains("deeper than 64"), "{}", mistakes[0].message);
    let variable = "HOOKWRIGHT__PLUGINS__P__CONFIG";
    let value = format!("{{ {deep} }}");
    assert!(parse_with("", &sources(&[(variable, &value)], &[])).is_err());
}

#[test]
fn regression_a_port_that_is_none_is_not_shown_in_the_cure() {
    let mistakes = bad("[ingress]\nlisten = \"localhost:\\u001b[31m\"");
    assert!(mistakes.iter().all(|mistake| !mistake.help.contains('\u{1b}')));
}

#[test]
fn a_missing_file_is_a_mistake_that_names_it() {
    let mistakes = Config::load(Path::new("none.toml"), &Sources::none()).expect_err("no file");
    assert_eq!(mistakes[0].place, Place::File { file: "none.toml".into() });
    assert!(mistakes[0].help.contains("--config"));
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let env = [
        ("HOOKWRIGHT__INGRESS__MAX_BODY", "10"),
        ("HOOKWRIGHT__INGRESS__LISTN", "127.0.0.1:1"),
        ("HOOKWRIGHT__DESTINATIONS__CI__TIMEOUT", "1s"),
        ("HOOKWRIGHT__LOG", "debug"),
    ];
    let mistakes = parse_with("", &sources(&env, &[])).expect_err("four mistakes");
    let found: Vec<_> =
        mistakes.iter().map(|m| (m.place.to_string(), m.message.as_str())).collect();
    let place = |name: &str| format!("environment variable HOOKWRIGHT__{name}");
    let expected = [
        (place("DESTINATIONS__CI__TIMEOUT"), "missing, and required"),
        (place("INGRESS__LISTN"), "unknown key"),
        (place("INGRESS__MAX_BODY"), "`max_body = 10` has no unit"),
        (place("LOG"), "expected a table, found text"),
    ];
    assert_eq!(found, expected, "{mistakes}");
    assert!(mistakes[0].key == "destinations.ci.url");
}

#[test]
fn names_and_ports_are_checked() {
    let mistake = one("[plugins.Slim]");
    assert_eq!(
        (line_and_column(&mistake), mistake.message.as_str()),
        ((1, 10), "`Slim` is no name")
    );
    let mistake = one("[admin]\nlisten = \"127.0.0.1:8080\"");
    assert_eq!(mistake.message, "ingress and admin both listen on 127.0.0.1:8080");
    let mistake = one("sources = 1");
    assert_eq!(mistake.message, "expected a table, found a whole number");
    let mistake = one("[plugins]\nslim = 1");
    assert_eq!((mistake.key.as_str(), line_and_column(&mistake)), ("plugins.slim", (2, 8)));
    let mistake = one("[plugins.p.config]\nx = [1, inf]");
    assert_eq!(
        (mistake.key.as_str(), mistake.message.as_str()),
        ("plugins.p.config.x[1]", "JSON has no such number")
    );
}

#[test]
fn a_wrong_definition_does_not_make_its_references_wrong() {
    let text = "[sources.s]\nverify = { scheme = \"none\" }\ndestinations = [\"d\"]\n[destinations.d]\nurl = 1";
    assert_eq!(one(text).key, "destinations.d.url");
}

#[test]
fn what_looks_wrong_is_a_warning() {
    let text = r#"
[retention]
keep = "1h"
[ingress]
listen = "0.0.0.0:80"
[sources.open]
verify = { scheme = "none" }
[sources.listed]
verify = { scheme = "none" }
allow = ["10.0.0.0/8"]
[plugins.unused]
[destinations.near]
url = "http://10.0.0.1/"
[destinations.far]
url = "https://a.example"
retry = { attempts = 2 }
"#;
    let warnings = good(text).warnings;
    let found: Vec<_> = warnings.iter().map(|w| (line_and_column(w).0, w.key.as_str())).collect();
    let expected = [
        (7, "sources.open.verify"),
        (11, "plugins.unused"),
        (12, "destinations.near.retry"),
        (13, "destinations.near.url"),
        (13, "destinations.near.url"),
    ];
    assert_eq!(found, expected, "{warnings}");
}

/// Each delivery was dead without an attempt, and `check` was content.
#[test]
fn regression_an_age_that_ends_before_the_first_attempt_is_a_warning() {
    let warned = |rest: &str| {
        let text = format!("[destinations.d]\nurl = \"https://a.example\"\n{rest}\n");
        let warnings = good(&text).warnings;
        warnings.iter().any(|warning| warning.key == "destinations.d.retry.max_age")
    };
    for (rest, wrong) in [
        ("retry = { max_age = \"3s\" }\nbatch = { wait = \"5s\" }", true),
        ("retry = { max_age = \"1m\", first = \"1m\" }", true),
        ("retry = { max_age = \"1m\", schedule = [\"2m\"] }", true),
        ("retry = { max_age = \"6s\" }\nbatch = { wait = \"5s\" }", false),
        ("retry = { max_age = \"1m\" }", false),
    ] {
        assert_eq!(warned(rest), wrong, "{rest}");
    }
}

/// No library of the standard takes `v1a`: who signs by it alone signs for nobody.
#[test]
fn regression_signing_by_private_keys_alone_is_a_warning() {
    const PRIVATE: &str = "dangerous_plain:whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const SHARED: &str = "dangerous_plain:whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let warned = |scheme: &str, secrets: &[&str]| {
        let text = format!(
            "[sources.s]\nverify = {{ scheme = \"sns\", topics = [\"arn:aws:sns:eu-central-1:1:a\"] }}\n\
             destinations = [\"d\"]\n[destinations.d]\nurl = \"https://a.example\"\n\
             sign = {{ scheme = \"{scheme}\", secrets = {secrets:?} }}\n"
        );
        let warnings = good(&text).warnings;
        warnings.iter().any(|warning| warning.message.contains("`v1a`"))
    };
    for scheme in ["standard", "svix"] {
        assert!(warned(scheme, &[PRIVATE]), "{scheme}");
        assert!(!warned(scheme, &[PRIVATE, SHARED]), "{scheme}");
        assert!(!warned(scheme, &[SHARED]), "{scheme}");
    }
}

/// `allow_private = true` does not open it: the cure names the address by itself.
#[test]
fn a_link_local_url_is_a_warning_until_its_address_is_named() {
    let warned = |private: &str| {
        let text = format!(
            "[destinations.d]\nurl = \"https://169.254.42.42/\"\nallow_private = {private}\n"
        );
        let warnings = good(&text).warnings;
        warnings.iter().any(|w| w.message.contains("link-local") && w.help.contains(".42/32"))
    };
    for private in ["false", "true", "[\"169.254.0.0/16\"]"] {
        assert!(warned(private), "{private}");
    }
    assert!(!warned("[\"169.254.42.42/32\"]"));
    assert!(!warned("[\"169.254.42.42\"]"));
}

/// A URL whose path is a secret may be a secret's reference, and no excerpt shows a path that may be one.
#[test]
fn a_url_may_be_a_secret() {
    let url = |text: &str| {
        let text = format!("[destinations.d]\nurl = \"{text}\"\n");
        good(&text).destinations["d"].to.url().map(ToString::to_string)
    };
    let secret = "https://hooks.slack.com/services/T0/B0/S3CR3T";
    assert_eq!(url(&format!("dangerous_plain:{secret}")).as_deref(), Some(secret));
    let shown = |url: &str| {
        let text = format!("[destinations.d]\nurl = \"{url}\"\ntimeout = 10\n");
        bad(&text).render(false)
    };
    for secret in [
        "ftp://a.example/0123456789abcdef",
        "ftp://a.example/?token=abc",
        "dangerous_plain:ftp://a/abc",
    ] {
        let text = shown(secret);
        assert!(text.contains("does not start with") && text.contains("url = "), "{text}");
        assert!(!text.contains("0123456789") && !text.contains("abc"), "{text}");
    }
    assert!(shown("ftp://a.example/hooks").contains("a.example/hooks"));
}

#[test]
fn a_mistake_is_shown_with_its_line() {
    let text = "[destinations.ci]\nurl = \"https://a.example\"\ntimeout = 10\n";
    let expected =
        "/etc/hw/hookwright.toml:3:11: destinations.ci.timeout: `timeout = 10` has no unit
 3 | timeout = 10
   |           ^^
   help: write `timeout = \"10s\"`";
    assert_eq!(bad(text).to_string(), expected);
}

/// Pieces that reach deep into the reader.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[sources.a]\n",
        "[destinations.b]\n",
        "[plugins.c]\n",
        "[ingress]\n",
        "[[admin]]\n",
        "verify = ",
        "{ scheme = \"hmac\", ",
        "secrets = [",
        "\"env:X\"",
        "]",
        "}",
        "\n",
        "url = ",
        "\"https://a\"",
        "\"dangerous_plain:k\"",
        "timeout = ",
        "\"10s\"",
        "10",
        "-1",
        "nan",
        "é",
        "config = ",
        "{",
        ",",
        "x.y = ",
        "1979-05-27",
        "true",
        "\"\"\"",
        "'",
        "#",
        "\r\n",
        "\t",
        "listen = ",
        "headers = ",
        "\u{0}",
        "sources = ",
        "retry.cap = ",
        "plugins = ",
    ])
}

proptest! {
    #[test]
    fn any_bytes_are_settings_or_mistakes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::parse(Path::new("f"), &bytes, &Sources::none()).map_err(|m| m.render(true));
    }

    #[test]
    fn any_pieces_are_settings_or_mistakes(pieces in prop::collection::vec(piece(), 0..30)) {
        let _ = parse(&pieces.concat()).map_err(|mistakes| mistakes.to_string());
    }

    #[test]
    fn any_variables_are_settings_or_mistakes(keys in prop::collection::vec("(__|[A-Z_]|SOURCES__|VERIFY__){0,12}", 0..6), value in "\\PC{0,20}") {
        let names: Vec<String> = keys.iter().map(|key| format!("HOOKWRIGHT__{key}")).collect();
        let env: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        let _ = parse_with("[sources.verify]", &sources(&env, &[]));
    }
}
