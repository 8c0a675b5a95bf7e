//! Secrets are resolved, and are shown nowhere.
use super::super::Config;
use super::{STANDARD, bad, parse_with, sources};
use hookwright_signing::{Key, SigningKey};

const HIDDEN: &str = "HUNTER2HUNTER2";

fn github(secret: &str) -> String {
    format!("[sources.s]\nverify = {{ scheme = \"github\", secrets = [\"{secret}\"] }}\n")
}

fn exposed(config: &Config) -> Vec<u8> {
    match &config.sources["s"].endpoint.verify.secrets()[0].key {
        Key::Shared(secret) => secret.expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_comes_from_a_variable_a_file_or_in_clear() {
    let sources = sources(&[("S", "abc\n")], &[("/etc/hw/s", "def\r\n"), ("/abs", "ghi")]);
    for (reference, expected) in
        [("env:S", "abc"), ("file:s", "def"), ("file:/abs", "ghi"), ("dangerous_plain:j:k", "j:k")]
    {
        let config = parse_with(&github(reference), &sources).expect(reference);
        assert_eq!(exposed(&config), expected.as_bytes());
    }
}

#[test]
fn a_secret_that_is_not_there_is_a_mistake() {
    let sources = sources(&[("EMPTY", "\n")], &[("/etc/hw/empty", "")]);
    for (reference, message) in [
        ("env:NONE", "the environment variable `NONE` is not set"),
        ("env:EMPTY", "the environment variable `EMPTY` is empty"),
        ("file:none", "the file `/etc/hw/none` can't be read: entity not found"),
        ("file:empty", "the file `/etc/hw/empty` is empty"),
        ("dangerous_plain:", "the secret is empty"),
        ("in clear", "a secret must not stand here in clear text"),
    ] {
        let mistakes = parse_with(&github(reference), &sources).expect_err(reference);
        assert_eq!(mistakes.len(), 1, "{mistakes}");
        assert_eq!(mistakes[0].message, message);
    }
}

#[test]
fn a_scheme_says_what_is_wrong_with_its_secrets() {
    let verify = |scheme: &str, secret: &str| {
        let text =
            format!("[sources.s]\nverify = {{ scheme = \"{scheme}\", secrets = [\"env:S\"] }}\n");
        parse_with(&text, &sources(&[("S", secret)], &[]))
    };
    let first =
        |config: Result<Config, super::Mistakes>| config.expect_err("bad")[0].message.clone();
    assert!(first(verify("standard", "whsec_!")).contains("is base64"));
    assert!(first(verify("standard", "whsec_AAAA")).contains("this one has 3"));
    assert_eq!(first(verify("basic", "user")), "has no `:`");
    let config = verify("standard", STANDARD).expect("a good secret");
    assert_eq!(exposed(&config), b"01234567890123456789012345678901");
}

#[test]
fn no_secret_is_printed_in_a_mistake() {
    let sources = sources(
        &[("S", HIDDEN), ("HOOKWRIGHT__ADMIN__TOKEN", HIDDEN), ("HOOKWRIGHT__ADMIN__TOKN", HIDDEN)],
        &[("/etc/hw/f", HIDDEN)],
    );
    // Each has a mistake on the line of the secret, or in the secret.
    let lines = [
        format!("verify = {{ scheme = \"githb\", secrets = [\"dangerous_plain:{HIDDEN}\"] }}"),
        format!("verify = {{ scheme = \"github\", secrets = [\"{HIDDEN}\"] }}"),
        format!("verify = {{ scheme = \"github\", secrets = \"{HIDDEN}\" }}"),
        format!("verify = {{ scheme = \"github\", secret = \"{HIDDEN}\" }}"),
        format!("verify = {{ scheme = \"github\", secrets = [\"\"\"\n{HIDDEN}\"\"\"], x = 1 }}"),
        format!("verify = {{ scheme = \"standard\", secrets = [\"dangerous_plain:{HIDDEN}\"] }}"),
        "verify = { scheme = \"standard\", secrets = [\"env:S\", \"file:f\"] }".to_owned(),
        "verify = { scheme = \"basic\", secrets = [\"env:S\", \"file:f\"] }".to_owned(),
        format!("headers = {{ authorization = \"{HIDDEN}\" }}"),
        format!("headers = {{ x-key = \"{HIDDEN}\", host = \"{HIDDEN}\" }}"),
        format!("config = {{ key = \"{HIDDEN}\", bad = nan }}"),
        format!("url = \"https://user:{HIDDEN}@a.example\""),
        format!("url = \"https://user:{HIDDEN}@a.example/#\""),
        format!("secrets = [\"{HIDDEN}\""),
        format!("token = {HIDDEN}"),
        format!("token = \"{HIDDEN}"),
        format!("token = \"\"\"\n{HIDDEN}\n\\q"),
        format!("x = [\n\"{HIDDEN}\" \"\n]"),
    ];
    for table in ["sources.s", "destinations.s", "plugins.s", "admin"] {
        for line in &lines {
            let text = format!("[{table}]\n{line}\n");
            let mistakes = parse_with(&text, &sources).expect_err("the variable at least");
            for shown in [mistakes.to_string(), format!("{mistakes:?}")] {
                assert!(!shown.contains(HIDDEN), "{text}\n{shown}");
            }
            let json = serde_json::to_string(&mistakes).expect("JSON");
            assert!(!json.contains(HIDDEN), "{json}");
        }
    }
}

#[test]
fn no_secret_is_printed_with_the_settings() {
    let text = format!(
        "{}[destinations.d]\nurl = \"https://a.example\"\nsign = {{ scheme = \"standard\", secrets = [\"env:K\"] }}\nheaders = {{ authorization = \"env:S\", x-plain = \"seen\" }}\n[admin]\ntoken = \"env:S\"\n",
        github(&format!("dangerous_plain:{HIDDEN}"))
    );
    let config = parse_with(&text, &sources(&[("S", HIDDEN), ("K", STANDARD)], &[])).expect("good");
    let shown = format!("{config:?}");
    assert!(!shown.contains(HIDDEN) && shown.contains("seen"), "{shown}");
    assert!(!shown.contains("0123456789"), "{shown}");
    let post = config.destinations["d"].to.post().expect("a URL");
    assert_eq!(post.headers["authorization"], HIDDEN);
    assert_eq!(post.sign.as_ref().map(|sign| sign.keys.len()), Some(1));
}

#[test]
fn no_credential_of_a_destination_is_printed() {
    for auth in [
        "scheme = \"basic\", secret = \"env:U\"",
        "scheme = \"bearer\", secret = \"env:S\"",
        "scheme = \"header\", header = \"x-key\", secret = \"env:S\"",
        "scheme = \"oauth2\", token_url = \"https://a.example/t\", client_id = \"c\", secret = \"env:S\"",
        "scheme = \"aws\", access_key = \"A\", region = \"r\", service = \"s\", secret = \"env:S\", session_token = \"env:S\"",
    ] {
        let text = format!(
            "[destinations.d]\nurl = \"https://a.example\"\nauth = {{ {auth} }}\nproxy = {{ url = \"http://p:1\", secret = \"env:U\" }}\n"
        );
        let user = format!("user:{HIDDEN}");
        let sources = sources(&[("S", HIDDEN), ("U", &user)], &[]);
        let config = parse_with(&text, &sources).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(
            config.destinations["d"].to.post().is_some_and(|post| post.auth.is_some()),
            "{auth}"
        );
        let shown = format!("{config:?}");
        assert!(!shown.contains(HIDDEN) && !shown.contains("Basic"), "{shown}");
    }
}

#[test]
fn a_header_with_credentials_must_be_a_secret() {
    let text = "[destinations.d]\nurl = \"https://a.example\"\nheaders = { Authorization = \"Bearer x\" }\n";
    assert!(bad(text)[0].message.contains("clear text"));
}

#[test]
fn a_secret_may_have_the_time_in_which_it_counts() {
    let read = |entry: &str| {
        let text = format!("[sources.s.verify]\nscheme = \"github\"\nsecrets = [{entry}]\n");
        parse_with(&text, &sources(&[("S", "abc")], &[]))
    };
    let good = |entry: &str| read(entry).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let config = good(r#"{ secret = "env:S", from = "2026-12-01", until = 2027-12-01T12:00:00Z }"#);
    assert_eq!(exposed(&config), b"abc");
    let secret = &config.sources["s"].endpoint.verify.secrets()[0];
    assert_eq!((secret.from_s, secret.until_s), (1_796_083_200, 1_827_662_400));
    assert!(config.warnings.is_empty());
    let config = good(r#"{ secret = "env:S" }, "dangerous_plain:x""#);
    let both = config.sources["s"].endpoint.verify.secrets();
    assert_eq!((both[0].from_s, both[0].until_s, both.len()), (0, u64::MAX, 2));

    // The tests' clock stands at this very second.
    let config = good(r#"{ secret = "env:S", until = "2026-12-01" }, "dangerous_plain:x""#);
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].key, "sources.s.verify.secrets[0]");
    assert!(config.warnings[0].message.contains("past its `until`"));

    for (entry, key, message) in [
        (r#"{ from = "2026-12-01" }"#, "secrets[0]", "has no `secret`"),
        (r#"{ secret = "env:S", untl = 1 }"#, "secrets[0].untl", "unknown key"),
        (r#"{ secret = "env:S", until = "soon" }"#, "secrets[0].until", "is no date"),
        (r#"{ secret = "env:S", until = 5 }"#, "secrets[0].until", "expected a date"),
        (r#"{ secret = "abc", until = "2027-01-01" }"#, "secrets[0].secret", "clear text"),
        (
            r#"{ secret = "env:S", from = "2027-01-01", until = "2027-01-01" }"#,
            "secrets[0]",
            "would never count",
        ),
    ] {
        let mistakes = read(entry).expect_err(entry);
        assert_eq!(mistakes.len(), 1, "{mistakes}");
        assert_eq!(mistakes[0].key, format!("sources.s.verify.{key}"), "{entry}");
        assert!(mistakes[0].message.contains(message), "{}", mistakes[0].message);
    }
}

#[test]
fn regression_a_secret_in_a_table_is_not_printed_either() {
    for entry in [
        format!("{{ secret = \"{HIDDEN}\", until = \"x\" }}"),
        format!("{{ secret = \"dangerous_plain:{HIDDEN}\", until = \"x\" }}"),
        format!("{{ secret = \"dangerous_plain:{HIDDEN}\", key = \"{HIDDEN}\" }}"),
    ] {
        let text = format!("[sources.s.verify]\nscheme = \"github\"\nsecrets = [{entry}]\n");
        let mistakes = parse_with(&text, &sources(&[], &[])).expect_err("a mistake");
        let shown =
            format!("{mistakes} {mistakes:?} {}", serde_json::to_string(&mistakes).unwrap());
        assert!(!shown.contains(HIDDEN), "{shown}");
    }
}

#[test]
fn a_public_key_has_the_providers_form() {
    let read = |scheme: &str, key: &str| {
        let text =
            format!("[sources.s]\nverify = {{ scheme = \"{scheme}\", secrets = [\"env:S\"] }}\n");
        parse_with(&text, &sources(&[("S", key)], &[]))
    };
    let point = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{point}\n-----END PUBLIC KEY-----\n");
    let ed25519 = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let whpk = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    for (scheme, key) in
        [("sendgrid", point), ("sendgrid", &*pem), ("discord", ed25519), ("standard", whpk)]
    {
        let config = read(scheme, key).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let key = &config.sources["s"].endpoint.verify.secrets()[0].key;
        assert!(!matches!(key, Key::Shared(_)), "{scheme}");
    }
    let whsk = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    for (scheme, key, message) in [
        ("standard", whsk, "private half"),
        ("sendgrid", "MFkw", "P-256"),
        ("sendgrid", ed25519, "P-256"),
        ("discord", "d75a", "64 hexadecimal digits"),
        ("standard", "whpk_AAAA", "`whpk_`"),
        ("adyen", "xyz", "hexadecimal"),
    ] {
        let mistakes = read(scheme, key).expect_err(key);
        assert!(mistakes[0].message.contains(message), "{}", mistakes[0].message);
        assert!(!mistakes[0].help.is_empty());
    }
}

#[test]
fn a_destination_signs_with_shared_secrets_and_private_keys_and_each_may_have_its_time() {
    let read = |entries: &str, key: &str| {
        let text = format!(
            "[destinations.d]\nurl = \"https://a.example\"\nsign = {{ scheme = \"standard\", secrets = [{entries}] }}\n"
        );
        parse_with(&text, &sources(&[("S", STANDARD), ("K", key)], &[]))
    };
    // From the documentation of svix-server: seed and public key; then the seed alone.
    let both = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    for key in [both, seed] {
        let entries = r#""env:S", { secret = "env:K", from = "2026-12-01" }"#;
        let config = read(entries, key).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let keys = &config.destinations["d"]
            .to
            .post()
            .and_then(|post| post.sign.as_ref())
            .expect("signed")
            .keys;
        assert!(matches!(keys[0].key, SigningKey::Shared(_)));
        assert!(matches!(keys[1].key, SigningKey::Ed25519(_)));
        assert_eq!((keys[1].from_s, keys[1].until_s), (1_796_083_200, u64::MAX));
        assert!(!format!("{config:?}").contains("6Xb"));
    }
    let strange = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlaaaaaaaaaaAJ6p9lMicMFs6Kvg==";
    for (key, message) in [
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "public half"),
        (strange, "`whsk_`"),
        ("whsk_AAAA", "`whsk_`"),
        ("whsk_!", "`whsk_`"),
        ("whsec_AAAA", "this one has 3"),
    ] {
        let mistakes = read(r#""env:K""#, key).expect_err(key);
        assert_eq!(mistakes.len(), 1, "{mistakes}");
        assert!(mistakes[0].message.contains(message), "{key}: {}", mistakes[0].message);
        assert!(!mistakes[0].help.is_empty());
    }
}
