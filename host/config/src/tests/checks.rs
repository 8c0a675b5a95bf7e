//! Each check of a source or a destination says what is wrong, at its key.
use super::one;

/// Each text, alone in the table, makes one mistake: at this key, with this in its message.
fn each(table: &str, cases: &[(String, &str, &str)]) {
    for (text, key, message) in cases {
        let mistake = one(&format!("[{table}]\n{text}"));
        assert_eq!(mistake.key, format!("{table}.{key}"), "{text}\n{}", mistake.message);
        assert!(mistake.message.contains(message), "{text}\n{}", mistake.message);
        assert!(!mistake.help.is_empty(), "{text}");
    }
}

#[test]
fn of_a_source() {
    let text = |text: &str| text.to_owned();
    let open = |rest: &str| format!("verify = {{ scheme = \"none\" }}\n{rest}");
    let cases = [
        (text(""), "verify", "missing"),
        (text("verify = \"none\""), "verify", "expected a table"),
        (text("verify = { scheme = \"github\" }"), "verify.secrets", "missing"),
        (text("verify = { scheme = \"github\", secrets = [] }"), "verify.secrets", "is empty"),
        (
            text("verify = { scheme = \"none\", header = \"x\" }"),
            "verify.header",
            "no meaning with scheme `none`",
        ),
        (
            text("verify = { scheme = \"hmac\", secrets = [\"dangerous_plain:k\"] }"),
            "verify.header",
            "missing",
        ),
        (
            text("verify = { scheme = \"api-key\", secrets = [\"dangerous_plain:k\"] }"),
            "verify.header",
            "missing",
        ),
        (
            text(
                "verify = { scheme = \"api-key\", secrets = [\"dangerous_plain:k\"], header = \"x\", query = \"k\" }",
            ),
            "verify.query",
            "in a header already",
        ),
        (
            text(
                "verify = { scheme = \"api-key\", secrets = [\"dangerous_plain:k\"], query = \"a b\" }",
            ),
            "verify.query",
            "no name of a parameter",
        ),
        (
            text("verify = { scheme = \"meta\", secrets = [\"dangerous_plain:k\"] }"),
            "verify.verify_token",
            "missing",
        ),
        (
            text("verify = { scheme = \"square\", secrets = [\"dangerous_plain:k\"] }"),
            "verify.scheme",
            "signs the URL",
        ),
        (
            text(
                "verify = { scheme = \"github\", secrets = [\"dangerous_plain:k\"], tolerance = \"1m\" }",
            ),
            "verify.tolerance",
            "no meaning with scheme `github`",
        ),
        (text("verify = { scheme = \"jwt\", audience = \"a\" }"), "verify.jwks", "missing"),
        (
            text("verify = { scheme = \"jwt\", audience = \"a\", jwks = \"dangerous_plain:{}\" }"),
            "verify.jwks",
            "no JSON Web Key Set",
        ),
        (
            text(
                "verify = { scheme = \"jwt\", audience = \"a\", jwks = \"dangerous_plain:{\\\"keys\\\":[]}\" }",
            ),
            "verify.jwks",
            "no key for signatures",
        ),
        (open("public_url = \"hooks.example.com\""), "public_url", "no public URL"),
        (open("public_url = \"https://a.example/?x\""), "public_url", "no public URL"),
        (open("kind = \"type\""), "kind", "names no part"),
        (open("kind = \"json:type\""), "kind", "no JSON pointer"),
        (open("dedupe = { key = \"id\" }"), "dedupe.key", "has no id"),
        (open("dedupe = { key = [] }"), "dedupe.key", "is empty"),
        (open("dedupe = { key = [\"json:/a\", \"id\"] }"), "dedupe.key[1]", "names no part"),
        (open("tokens = [\"dangerous_plain:short\"]"), "tokens[0]", "is no token"),
        (open("tokens = [\"dangerous_plain:0123456789/abcdef\"]"), "tokens[0]", "is no token"),
        (open("require_tls = true"), "require_tls", "no request can come over HTTPS"),
        (open("client = {}"), "client", "no client is asked"),
        (open("answer = { status = 404 }"), "answer.status", "out of range"),
        (open("answer = { status = 204, body = \"x\" }"), "answer.body", "has no body"),
        (open("answer = { content_type = \"a\\nb\" }"), "answer.content_type", "no content type"),
        (
            open("validate = { content_types = [\"json\"] }"),
            "validate.content_types[0]",
            "content type",
        ),
        (open("validate = { headers = [\"authorization\"] }"), "validate.headers", "not kept"),
        (open("validate = { schema = \"none.json\" }"), "validate.schema", "can't be read"),
        (open("validate = { schemas = \"x\" }"), "validate.schemas", "expected a table"),
        (open("validate = { on_invalid = \"drop\" }"), "validate.on_invalid", "is not known here"),
        (open("allow = []"), "allow", "nobody could post"),
        (open("allow = [\"1.2.3/8\"]"), "allow[0]", "is no network"),
        (open("allow = [\"1.2.3.4\", \"1.2.3.4\"]"), "allow[1]", "twice"),
        (open("rate = 5"), "rate", "no unit"),
        (open("plugins = \"a\""), "plugins", "expected a list"),
        (open("max_body = \"200MiB\""), "max_body", "half of what the store"),
        (open("destinations = [\"nowhere\"]"), "destinations[0]", "there is no destination"),
    ];
    each("sources.s", &cases);
}

#[test]
fn of_a_destination() {
    let text = |text: &str| text.to_owned();
    let https = |rest: &str| format!("url = \"https://a.example\"\n{rest}");
    let sign = |rest: &str| https(&format!("sign = {{ {rest} }}"));
    let key = "secrets = [\"dangerous_plain:k\"]";
    let auth = |rest: &str| https(&format!("auth = {{ {rest} }}"));
    let one = "secret = \"dangerous_plain:k\"";
    let hmac = |rest: &str| sign(&format!("scheme = \"hmac\", {key}, {rest}"));
    let cases = [
        (text("url = \"ftp://a.example\""), "url", "does not start with"),
        (text("url = \"https://\""), "url", "is no URL"),
        (text("url = \"https://a.example:x\""), "url", "URL"),
        (text("url = \"https://u:p@a.example\""), "url", "must not carry a user"),
        (text("url = \"https://a.example/#x\""), "url", "no `#`"),
        (https("retry = { base = \"2h\" }"), "retry.cap", "shorter than the first"),
        (https("retry = { jitter = 1.5 }"), "retry.jitter", "out of range"),
        (https("breaker = { wait = \"6m\" }"), "breaker.cap", "shorter than the first"),
        (https("breaker = { failures = \"0%\" }"), "breaker.failures", "out of range"),
        (https("disable_after = \"400d\""), "disable_after", "out of range"),
        (https("order = \"fifo\""), "order", "not known here"),
        (https("order = \"source\"\nbatch = { events = 5 }"), "batch", "none would have company"),
        (https("retry = { factor = nan }"), "retry.factor", "out of range"),
        (https("retry = { schedule = [] }"), "retry.schedule", "is empty"),
        (https("retry = { schedule = [\"31d\"] }"), "retry.schedule", "out of range"),
        (https("retry = { schedule = [\"1s\"], base = \"1s\" }"), "retry.base", "no meaning"),
        (https("retry = { never = [\"2xx\"] }"), "retry.never[0]", "is a success"),
        (https("retry = { never = [\"often\"] }"), "retry.never[0]", "no status"),
        (https("allow_private = []"), "allow_private", "is empty"),
        (https("allow_private = [\"10.0.0.1/8\"]"), "allow_private[0]", "beyond its prefix"),
        (https("allow_private = \"10.0.0.0/8\""), "allow_private", "expected true, false or"),
        (text("url = \"https://a.example:25/\""), "url", "port 25 is that of SMTP"),
        (https("tls = { key = \"dangerous_plain:k\" }"), "tls.cert", "missing"),
        (https("tls = { min = \"1.1\" }"), "tls.min", "not known here"),
        (https("tls = { min = 1.3 }"), "tls.min", "expected"),
        (https("tls = { pin = [\"aa\"] }"), "tls.pin[0]", "no SHA-256"),
        (https("proxy = { url = \"https://p:1\" }"), "proxy.url", "no proxy"),
        (https("proxy = { url = \"http://u:p@p:1\" }"), "proxy.url", "no proxy"),
        (
            https("proxy = { url = \"http://p:1\", secret = \"dangerous_plain:x\" }"),
            "proxy.secret",
            "has no `:`",
        ),
        (auth("scheme = \"basic\""), "auth.secret", "missing"),
        (auth(&format!("scheme = \"basic\", {one}")), "auth.secret", "has no `:`"),
        (auth(&format!("scheme = \"bearer\", {one}, header = \"x\"")), "auth.header", "no meaning"),
        (auth(&format!("scheme = \"header\", {one}")), "auth.header", "missing"),
        (
            auth(&format!("scheme = \"header\", {one}, header = \"webhook-id\"")),
            "auth.header",
            "itself",
        ),
        (
            auth(&format!("scheme = \"oauth2\", {one}, client_id = \"a\"")),
            "auth.token_url",
            "missing",
        ),
        (
            auth(&format!(
                "scheme = \"oauth2\", {one}, client_id = \"a\", token_url = \"ftp://a\""
            )),
            "auth.token_url",
            "does not start with",
        ),
        (
            auth(&format!(
                "scheme = \"oauth2\", {one}, client_id = \"a\", token_url = \"https://a:6379/t\""
            )),
            "auth.token_url",
            "port 6379 is that of Redis",
        ),
        (
            auth(&format!("scheme = \"aws\", {one}, access_key = \"a\", region = \"r\"")),
            "auth.service",
            "missing",
        ),
        (
            auth(&format!(
                "scheme = \"bearer\", {one} }}\nheaders = {{ authorization = \"dangerous_plain:x\""
            )),
            "headers",
            "written by `auth`",
        ),
        (text("rate = \"1/s\""), "url", "missing"),
        (text("file = {}"), "file.path", "missing"),
        (https("stdout = true"), "stdout", "`url` is one already"),
        (https("file = { path = \"a\" }"), "file", "`url` is one already"),
        (text("file = { path = \"a\" }\nhttp2 = false"), "http2", "no meaning with `file`"),
        (text("file = { path = \"a\", max_age = \"1s\" }"), "file.max_age", "out of range"),
        (text("file = { path = \"a\", mode = \"0666\" }"), "file.mode", "not a mode for"),
        (text("file = { path = \"a\", mode = \"0400\" }"), "file.mode", "not a mode for"),
        (text("file = { path = \"a\", mode = \"640\" }"), "file.mode", "is not a mode"),
        (text("file = { path = \"a\", mode = 600 }"), "file.mode", "expected mode"),
        (https("in_flight = -1"), "in_flight", "out of range"),
        (https("in_flight = 99999999999999999999"), "in_flight", "out of range"),
        (https("disabled = \"yes\""), "disabled", "expected true or false"),
        (https("ca = \"none.pem\""), "ca", "can't be read"),
        (https("headers = { host = \"x\" }"), "headers.host", "itself"),
        (https("headers = { \"a b\" = \"x\" }"), "headers.a b", "no header name"),
        (https("headers = { x-a = \"1\", X-A = \"2\" }"), "headers.x-a", "twice"),
        (https("sign = { scheme = \"standard\" }"), "sign.secrets", "missing"),
        (sign("scheme = \"github\", secrets = []"), "sign.secrets", "is empty"),
        (sign("scheme = \"twilio\""), "sign.scheme", "not known here"),
        (
            sign(&format!("scheme = \"github\", {key}, header = \"x-a\"")),
            "sign.header",
            "no meaning",
        ),
        (sign(&format!("scheme = \"hmac\", {key}")), "sign.header", "missing"),
        (hmac("header = \"webhook-signature\""), "sign.header", "itself"),
        (hmac("header = \"x-a\", signed = \"{id}\""), "sign.signed", "has no `{body}`"),
        (hmac("header = \"x-a\", signed = \"{url}{body}\""), "sign.signed", "`{url}`"),
        (hmac("header = \"x-a\", value = \"sha256=\""), "sign.value", "has no `{signature}`"),
        (hmac("header = \"x-a\" }\nheaders = { x-a = \"1\""), "headers", "written by `sign`"),
    ];
    each("destinations.d", &cases);
}

#[test]
fn of_files() {
    let text =
        "[destinations.a]\nfile.path = \"x/../out\"\n[destinations.b]\nfile.path = \"x/../out\"\n";
    let mistake = super::one(text);
    assert_eq!(mistake.key, "destinations.b.file");
    assert!(mistake.message.contains("`a` writes to this file"), "{}", mistake.message);
}

#[test]
fn of_ports() {
    let text = "[delivery]\nports = [443, 6379]\n[destinations.a]\nurl = \"https://a.example\"\n[destinations.b]\nurl = \"http://b.example\"\n[destinations.c]\nurl = \"https://c.example:6379\"\n";
    let mistake = super::one(text);
    assert_eq!(mistake.key, "destinations.b.url");
    assert!(mistake.message.contains("port 80 is not among"), "{}", mistake.message);
}

#[test]
fn of_the_ingress() {
    let cases = [
        (
            "trusted_proxies = [\"10.0.0.1/8\"]".to_owned(),
            "trusted_proxies[0]",
            "beyond its prefix",
        ),
        ("proxy_protocol = true".to_owned(), "proxy_protocol", "nobody is trusted"),
        ("client_header = \"via\"".to_owned(), "client_header", "is not known here"),
    ];
    each("ingress", &cases);
}

#[test]
fn of_a_client_certificate() {
    let head = "verify = { scheme = \"none\" }\n";
    for (text, key) in
        [("san = [\"a b\"]", "client.san[0]"), ("sha256 = [\"aa\"]", "client.sha256[0]")]
    {
        let all = super::bad(&format!("[sources.s]\n{head}client = {{ {text} }}"));
        assert!(all.iter().any(|one| one.key == format!("sources.s.{key}")), "{all}");
    }
}

#[test]
fn of_a_schema() {
    let text = "[sources.s]\nverify = { scheme = \"none\" }\n\
                validate = { schema = \"a.json\", schemas = { paid = \"b.json\", \"x y\" = \"c.json\" } }\n";
    let files = [
        ("/etc/hw/a.json", "{"),
        ("/etc/hw/b.json", r#"{ "properties": { "id": { "type": "strin" } } }"#),
        ("/etc/hw/c.json", r#"{ "$ref": "https://example.com/schema" }"#),
    ];
    let found = super::parse_with(text, &super::sources(&[], &files)).expect_err("bad schemas");
    let told: Vec<(&str, &str)> =
        found.iter().map(|one| (one.key.as_str(), one.message.as_str())).collect();
    for (key, part) in [
        ("sources.s.validate.schema", "line 1"),
        ("sources.s.validate.schemas.paid", "/properties/id/type"),
    ] {
        assert!(told.iter().any(|(at, text)| *at == key && text.contains(part)), "{told:?}");
    }
    let good = [("/etc/hw/a.json", "true"), ("/etc/hw/b.json", "{}"), ("/etc/hw/c.json", "{}")];
    let config = super::parse_with(text, &super::sources(&[], &good)).expect("good");
    let rules = config.sources["s"].endpoint.source.rules.as_ref().expect("rules");
    assert_eq!(rules.kinds.keys().collect::<Vec<_>>(), ["paid", "x y"]);
}

/// Google's and GitHub's tokens say no more than that somebody has an account there.
#[test]
fn regression_tokens_of_a_public_issuer_without_a_claim_on_who_are_warned_of() {
    let warned = |rest: &str| {
        let source = format!("verify = {{ scheme = \"jwt\", audience = \"a\", {rest} }}");
        let config = super::good(&format!("[sources.s]\n{source}"));
        let all = config.warnings.iter().map(|one| format!("{}: {}", one.key, one.help));
        all.filter(|text| text.contains("claims")).collect::<Vec<_>>()
    };
    let google = "jwks_url = \"https://www.googleapis.com/oauth2/v3/certs\"";
    for rest in [
        google.to_owned(),
        "jwks_url = \"https://keys.example.com/\", issuer = \"https://accounts.google.com\""
            .to_owned(),
        "jwks_url = \"https://token.actions.githubusercontent.com/.well-known/jwks\"".to_owned(),
        format!("{google}, claims = {{ email_verified = true }}"),
        format!("{google}, claims = {{}}"),
    ] {
        let told = warned(&rest);
        assert!(told.len() == 1 && told[0].starts_with("sources.s.verify"), "{rest}: {told:?}");
    }
    for rest in [
        "jwks_url = \"https://issuer.example.com/keys\"".to_owned(),
        format!("{google}, claims = {{ email = \"a@b\" }}"),
        format!("{google}, claims = {{ sub = [\"1\", \"2\"], email_verified = true }}"),
    ] {
        assert_eq!(warned(&rest), [] as [String; 0], "{rest}");
    }
}

#[test]
fn regression_claims_are_texts_numbers_flags_or_lists_of_them() {
    let claims = |text: &str| {
        format!(
            "verify = {{ scheme = \"jwt\", audience = \"a\", jwks_url = \"https://i.example/k\", claims = {text} }}"
        )
    };
    let config = super::good(&format!(
        "[sources.s]\n{}",
        claims("{ email = [\"a@b\", \"c@d\"], level = 2, ok = true, \"/a/b\" = \"x\" }")
    ));
    let hookwright_signing::Verify::Jwt(scheme) = &config.sources["s"].endpoint.verify else {
        panic!()
    };
    assert_eq!(scheme.claims.len(), 4);
    let email = scheme.claims.iter().find(|claim| claim.name == "email").unwrap();
    assert_eq!(email.any_of, ["a@b", "c@d"]);
    each(
        "sources.s",
        &[
            (claims("\"email\""), "verify.claims", "expected a table"),
            (claims("{ email = [] }"), "verify.claims.email", "is empty"),
            (claims("{ email = \"\" }"), "verify.claims.email", "is empty"),
            (claims("{ email = { a = 1 } }"), "verify.claims.email", "expected a text"),
            (claims("{ email = [\"a\", []] }"), "verify.claims.email[1]", "expected a text"),
            (claims("{ iss = \"a\" }"), "verify.claims.iss", "demanded"),
            (claims("{ \"/a~\" = \"a\" }"), "verify.claims./a~", "no JSON pointer"),
            (
                "verify = { scheme = \"none\", claims = { email = \"a\" } }".to_owned(),
                "verify.claims",
                "no meaning with scheme `none`",
            ),
        ],
    );
}
