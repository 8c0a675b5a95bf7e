//! Known answers, and properties of signing and verifying.
mod certified;
mod deliveries;
mod handshakes;
mod jwt;
mod kit;
mod rotation;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn key() -> Secret {
    standard_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn standard(secrets: Vec<Secret>) -> Verifier {
    Verifier::new(&Verify::preset(&presets::STANDARD, secrets))
}

fn signed(signature: &str) -> HeaderMap {
    headers(&[
        ("webhook-id", ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", signature),
    ])
}

fn verify(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &[u8],
    now_s: u64,
) -> Result<Verified, Refusal> {
    verifier.verify(&Request::post(headers, body), now_s)
}

fn with(index: usize) -> Result<Verified, Refusal> {
    Ok(Verified::Event { secret: Some(index) })
}

const KNOWN: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

#[test]
fn standard_webhooks_known_answer() {
    let signer = Signer::new(Some(&Sign::standard([key()])));
    assert_eq!(signer.sign(ID, AT, BODY).unwrap().unwrap(), KNOWN);
    assert_eq!(verify(&standard(vec![key()]), &signed(KNOWN), BODY, AT), with(0));
}

#[test]
fn the_legacy_header_names_serve_too() {
    let headers =
        headers(&[("svix-id", ID), ("svix-timestamp", "1614265330"), ("svix-signature", KNOWN)]);
    assert_eq!(verify(&standard(vec![key()]), &headers, BODY, AT), with(0));
}

#[test]
fn one_good_signature_among_several_is_enough() {
    let verifier = standard(vec![key()]);
    let other = format!("v1a,abcd v1,AAAA v2,{} {KNOWN} v1,", &KNOWN[3..]);
    assert_eq!(verify(&verifier, &signed(&other), BODY, AT), with(0));
    let unknown = format!("v2,{}", &KNOWN[3..]);
    assert_eq!(verify(&verifier, &signed(&unknown), BODY, AT), Err(Refusal::Malformed));
    let late = format!("{}{KNOWN}", "v1,AAAA ".repeat(128));
    assert_eq!(verify(&verifier, &signed(&late), BODY, AT), Err(Refusal::Mismatch));
}

#[test]
fn any_secret_may_match_and_the_answer_says_which() {
    let secrets = vec![Secret::new([7; 32]), key(), key()];
    assert_eq!(verify(&standard(secrets), &signed(KNOWN), BODY, AT), with(1));
    let none = verify(&standard(Vec::new()), &signed(KNOWN), BODY, AT);
    assert_eq!(none, Err(Refusal::Mismatch));
}

#[test]
fn the_tolerance_holds_both_ways() {
    let verifier = standard(vec![key()]);
    for now in [AT - 300, AT + 300] {
        assert_eq!(verify(&verifier, &signed(KNOWN), BODY, now), with(0));
    }
    for now in [0, AT - 301, AT + 301, u64::MAX] {
        assert_eq!(verify(&verifier, &signed(KNOWN), BODY, now), Err(Refusal::Stale));
    }
}

#[test]
fn a_dot_in_the_id_is_refused() {
    // Else `a` `1` `2.body` and `a.1` `2` `body` would have one signature.
    let signer = Signer::new(Some(&Sign::standard([key()])));
    let signature = signer.sign("a.1", AT, b"body").unwrap().unwrap();
    let mut headers = signed(signature.to_str().unwrap());
    headers.insert("webhook-id", HeaderValue::from_static("a.1"));
    let refused = verify(&standard(vec![key()]), &headers, b"body", AT);
    assert_eq!(refused, Err(Refusal::Malformed));
}

#[test]
fn missing_headers_are_told_apart_for_the_log() {
    let mut headers = signed(KNOWN);
    headers.remove("webhook-timestamp");
    let verifier = standard(vec![key()]);
    assert_eq!(verify(&verifier, &headers, BODY, AT), Err(Refusal::Missing));
    for bad in ["", "+1614265330", "1e9", "18446744073709551616", "-1"] {
        headers.insert("webhook-timestamp", HeaderValue::from_str(bad).unwrap());
        assert_eq!(verify(&verifier, &headers, BODY, AT), Err(Refusal::Malformed), "{bad}");
    }
}

#[test]
fn github_known_answer() {
    let secret = Secret::new("It's a Secret to Everybody");
    let verifier = Verifier::new(&Verify::preset(&presets::GITHUB, [secret]));
    let hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let request = |text: &str| headers(&[("x-hub-signature-256", text)]);
    let good = request(&format!("sha256={hex}"));
    assert_eq!(verify(&verifier, &good, b"Hello, World!", 0), with(0));
    assert_eq!(verify(&verifier, &good, b"Hello, World?", 0), Err(Refusal::Mismatch));
    assert_eq!(verify(&verifier, &request(hex), b"", 0), Err(Refusal::Malformed));
    assert_eq!(verify(&verifier, &HeaderMap::new(), b"", 0), Err(Refusal::Missing));
    let short = request(&format!("sha256={}", &hex[..62]));
    assert_eq!(verify(&verifier, &short, b"Hello, World!", 0), Err(Refusal::Mismatch));
}

#[test]
fn stripe_takes_several_signatures_and_the_literal_key() {
    let secret = Secret::new("whsec_literal");
    let verifier = Verifier::new(&Verify::preset(&presets::STRIPE, [secret]));
    // openssl: printf '1614265330.{"test": 2432232314}' | openssl dgst -sha256 -hmac whsec_literal
    let good = "f6b50050a1a8fac9bfa2047e94329cd254b712e990fcfdc2c266ee1e40038326";
    let request = |text: &str| headers(&[("stripe-signature", text)]);
    let two = request(&format!("t={AT},v0=00,v1={},v1={good}", "0".repeat(64)));
    assert_eq!(verify(&verifier, &two, BODY, AT), with(0));
    assert_eq!(verify(&verifier, &two, BODY, AT + 301), Err(Refusal::Stale));
    for malformed in [
        format!("v1={good}"),
        format!("t={AT},v0={good}"),
        // Which of two times was signed, nobody knows.
        format!("t={AT},t={AT},v1={good}"),
    ] {
        let refused = verify(&verifier, &request(&malformed), BODY, AT);
        assert_eq!(refused, Err(Refusal::Malformed), "{malformed}");
    }
}

#[test]
fn hmac_serves_every_algorithm_and_encoding() {
    // RFC 2202 and RFC 4231, test case 2: the key `Jefe`.
    let body = b"what do ya want for nothing?";
    let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
    let sha256 = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                  9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    for (algorithm, encoding, tag) in [
        (Algorithm::Sha1, Encoding::Hex, sha1),
        (Algorithm::Sha256, Encoding::Base64, sha256),
        (Algorithm::Sha512, Encoding::Hex, sha512),
    ] {
        let scheme = HmacScheme {
            header: HeaderName::from_static("x-signature"),
            algorithm,
            encoding,
            prefix: "v=".into(),
            secrets: vec![Secret::new("other").into(), Secret::new("Jefe").into()],
        };
        let verifier = Verifier::new(&Verify::Hmac(scheme));
        let request = headers(&[("x-signature", &format!("v={tag}"))]);
        assert_eq!(verify(&verifier, &request, body, 0), with(1), "{algorithm:?}");
    }
}

#[test]
fn basic_and_bearer_compare_the_whole_credential() {
    let request = |text: &str| headers(&[("authorization", text)]);
    let secrets = [Secret::new("a:b"), Secret::new("user:pass")];
    let basic = Verifier::new(&Verify::preset(&presets::BASIC, secrets));
    assert_eq!(verify(&basic, &request("Basic dXNlcjpwYXNz"), b"", 0), with(1));
    assert_eq!(verify(&basic, &request("bAsIc  dXNlcjpwYXNz"), b"", 0), with(1));
    assert_eq!(verify(&basic, &request("Basic dXNlcjpwYXN0"), b"", 0), Err(Refusal::Mismatch));
    assert_eq!(verify(&basic, &request("Basic ???"), b"", 0), Err(Refusal::Malformed));
    assert_eq!(verify(&basic, &request("Bearer dXNlcjpwYXNz"), b"", 0), Err(Refusal::Malformed));
    assert!(basic.challenge().to_str().unwrap().starts_with("Basic "));

    let bearer = Verifier::new(&Verify::preset(&presets::BEARER, [Secret::new("token")]));
    assert_eq!(verify(&bearer, &request("Bearer token"), b"", 0), with(0));
    for wrong in ["Bearer tokens", "Bearer toke", "Bearer "] {
        assert_eq!(verify(&bearer, &request(wrong), b"", 0), Err(Refusal::Mismatch), "{wrong}");
    }
    assert_eq!(verify(&bearer, &request("Bearertoken"), b"", 0), Err(Refusal::Malformed));
}

#[test]
fn an_api_key_stands_in_its_header_or_parameter_and_is_not_kept() {
    let scheme = |place| ApiKeyScheme { place, secrets: vec![Secret::new("k&y").into()] };
    let name = HeaderName::from_static("x-key");
    let verifier = Verifier::new(&Verify::ApiKey(scheme(ApiKeyPlace::Header(name.clone()))));
    assert_eq!(verify(&verifier, &headers(&[("x-key", "k&y")]), b"", 0), with(0));
    assert_eq!(verify(&verifier, &headers(&[("x-key", "k")]), b"", 0), Err(Refusal::Mismatch));
    assert_eq!(verifier.credential(), Some(&name));

    let verifier = Verifier::new(&Verify::ApiKey(scheme(ApiKeyPlace::Query("key".into()))));
    let none = HeaderMap::new();
    for (query, expected) in [
        ("a=1&key=k%26y", with(0)),
        ("key=k&y", Err(Refusal::Mismatch)),
        ("key=k%26y&key=k%26y", Err(Refusal::Malformed)),
        ("Key=k%26y", Err(Refusal::Missing)),
    ] {
        let request = Request { query: Some(query), ..Request::post(&none, b"") };
        assert_eq!(verifier.verify(&request, 0), expected, "{query}");
    }
}

#[test]
fn without_a_scheme_anybody_may_post() {
    let verifier = Verifier::new(&Verify::None);
    let anybody = verify(&verifier, &HeaderMap::new(), b"x", 0);
    assert_eq!(anybody, Ok(Verified::Event { secret: None }));
    assert!(!verifier.handles_handshake(&Method::GET));
    assert_eq!(Signer::new(None).sign(ID, AT, BODY), Ok(None));
}

#[test]
fn credentials_are_known_from_signatures() {
    for name in ["authorization", "cookie", "x-gitlab-token"] {
        assert!(is_credential(&HeaderName::from_static(name)), "{name}");
    }
    for name in ["webhook-signature", "x-hub-signature-256", "content-type"] {
        assert!(!is_credential(&HeaderName::from_static(name)), "{name}");
    }
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..4),
        id in "[a-zA-Z0-9_-]{1,40}",
        at in 0..u64::MAX / 2,
        body: Vec<u8>,
    ) {
        let secrets: Vec<Secret> = keys.into_iter().map(Secret::new).collect();
        let signature =
            Signer::new(Some(&Sign::standard(secrets.clone()))).sign(&id, at, &body).unwrap().unwrap();
        let headers = headers(&[
            ("webhook-id", &id),
            ("webhook-timestamp", &at.to_string()),
            ("webhook-signature", signature.to_str().unwrap()),
        ]);
        for secret in secrets {
            prop_assert_eq!(verify(&standard(vec![secret]), &headers, &body, at), with(0));
        }
    }
}

/// Linear sends what failed again for hours, with the same bytes and so with the same time.
#[test]
fn regression_linears_retries_are_taken_for_as_long_as_it_tries() {
    let verify_with = Verify::preset(&presets::LINEAR, [Secret::new("lin_wh")]);
    let draft = Draft { id: "1", at_s: AT, kind: None, body: None };
    let sent = sign_as_provider(&verify_with, &draft).unwrap();
    let verifier = Verifier::new(&verify_with);
    let at = |now_s| verify(&verifier, &kit::map(&sent), &sent.body, now_s);
    // A minute, an hour and six hours after each other.
    for after in [0, 60, 60 + 3_600, 60 + 7 * 3_600 + 60] {
        assert_eq!(at(AT + after), with(0), "{after}");
    }
    assert_eq!(at(AT + 8 * 3_600 + 1), Err(Refusal::Stale));
    // Nothing makes a time early but a clock.
    assert_eq!(at(AT - 300), with(0));
    assert_eq!(at(AT - 301), Err(Refusal::Stale));
}

#[test]
fn regression_secrets_of_standard_webhooks_are_taken_as_providers_write_them() {
    let digits = |bytes: usize| {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![7; bytes])
    };
    let read = |text: &str| match KeyForm::Standard.read(text.as_bytes()) {
        Ok(Key::Shared(secret)) => Ok(secret.expose().to_vec()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    for bytes in [8, 20, 24, 32, 64, 72, 128] {
        let text = digits(bytes);
        let bare = text.trim_end_matches('=').to_owned();
        for text in [format!("whsec_{text}"), format!("v1,whsec_{text}"), text, bare] {
            assert_eq!(read(&text), Ok(vec![7; bytes]), "{text}");
        }
    }
    assert!(matches!(read(&digits(7)), Err(KeyError::Length { bytes: 7, .. })));
    assert_eq!(read("whsec_not base64!"), Err(KeyError::NotBase64));
    assert!(matches!(read("whsk_AAAA"), Err(KeyError::PrivateHalf)));
    // What we sign with is as the specification has it.
    let signing = |text: &str| KeyForm::Standard.read_signing(text.as_bytes()).map(drop);
    assert!(matches!(signing(&digits(20)), Err(KeyError::Length { bytes: 20, from: 24, to: 64 })));
    assert_eq!(signing(digits(32).trim_end_matches('=')), Ok(()));
    // Polar's are meant as they stand, and as base64 where they are any.
    let polar = KeyForm::Polar.read(b" AAAA\n").unwrap();
    let Key::Either(plain, decoded) = polar else { panic!("{polar:?}") };
    assert_eq!((plain.expose(), decoded.expose()), (&b"AAAA"[..], &[0, 0, 0][..]));
    assert!(matches!(KeyForm::Polar.read(b"polar_whs_x"), Ok(Key::Shared(_))));
    assert!(matches!(KeyForm::Standard.read(b"polar_whs_x"), Ok(Key::Shared(_))));
    assert_eq!(KeyForm::Polar.read(b" ").map(drop), Err(KeyError::Empty));
}

/// One signature was found among no more than five headers.
#[test]
fn regression_docusign_has_a_header_for_each_of_a_hundred_keys() {
    let verify_with = Verify::preset(&presets::DOCUSIGN, [Secret::new("key")]);
    let draft = Draft { id: "1", at_s: AT, kind: None, body: Some(b"{}") };
    let sent = sign_as_provider(&verify_with, &draft).unwrap();
    assert_eq!(sent.headers[0].0, "x-docusign-signature-1");
    let good = sent.headers[0].1.clone();
    let verifier = Verifier::new(&verify_with);
    let ask = |last: &str| {
        let mut map = HeaderMap::new();
        for n in 1..100 {
            let name: HeaderName = format!("x-docusign-signature-{n}").parse().unwrap();
            map.insert(name, HeaderValue::from_static("AAAA"));
        }
        map.insert(last.parse::<HeaderName>().unwrap(), good.parse().unwrap());
        verify(&verifier, &map, b"{}", AT)
    };
    for last in ["1", "6", "99", "100"] {
        assert_eq!(ask(&format!("x-docusign-signature-{last}")), with(0), "{last}");
    }
    for last in ["0", "01", "101", "300", "x", ""] {
        assert_eq!(ask(&format!("x-docusign-signature-{last}")), Err(Refusal::Mismatch), "{last}");
    }
}

#[test]
fn regression_twilios_requests_by_get_and_of_unknown_algorithms() {
    let mut scheme = PresetScheme::new(&presets::TWILIO, [Secret::new("12345")]);
    scheme.url = Some("https://hooks.example.com/in/t".to_owned());
    let verify_with = Verify::Preset(scheme);
    let verifier = Verifier::new(&verify_with);
    // printf 'https://hooks.example.com/in/t?To=1&From=2' | openssl dgst -sha1 -hmac 12345 -binary | base64
    let map = headers(&[("x-twilio-signature", TWILIO_GET)]);
    let request =
        Request { method: &Method::GET, query: Some("To=1&From=2"), ..Request::post(&map, b"") };
    assert_eq!(verifier.verify(&request, AT), with(0));
    let asked = |settings: &str| {
        let mut map = map.clone();
        map.insert("x-twilio-webhooks-signature-settings", settings.parse().unwrap());
        let request = Request { headers: &map, ..request };
        verifier.verify(&request, AT)
    };
    for usual in ["", "key=k", "key=k, algorithm = hmac_sha1", "algorithm="] {
        assert_eq!(asked(usual), with(0), "{usual}");
    }
    assert_eq!(asked("key=k,algorithm=HMAC_SHA256"), Err(Refusal::Mismatch));
    assert_eq!(asked("key=k,algorithm=NONE"), Err(Refusal::Malformed));
}

const TWILIO_GET: &str = "ZX1NPV01AJHdWadHCQAIjVLlkq0=";

/// A GitLab with a signing token had to be another scheme, without GitLab's kind and id.
#[test]
fn regression_gitlab_sends_a_token_or_signs_by_standard_webhooks() {
    let signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let secrets = [Secret::new("token"), Secret::new(signing)];
    let verifier = Verifier::new(&Verify::preset(&presets::GITLAB, secrets));
    assert_eq!(verify(&verifier, &signed(KNOWN), BODY, AT), with(1));
    assert_eq!(verify(&verifier, &signed(KNOWN), b"{}", AT), Err(Refusal::Mismatch));
    assert_eq!(verify(&verifier, &signed(KNOWN), BODY, AT + 301), Err(Refusal::Stale));
    assert_eq!(verify(&verifier, &headers(&[("x-gitlab-token", "token")]), b"", AT), with(0));
    // A signature is not passed over because a token is there, too.
    let mut both = signed("v1,AAAA");
    both.insert("x-gitlab-token", HeaderValue::from_static("token"));
    assert_eq!(verify(&verifier, &both, BODY, AT), Err(Refusal::Mismatch));
    // Without such a secret it is the token alone that counts.
    let verifier = Verifier::new(&Verify::preset(&presets::GITLAB, [Secret::new("token")]));
    assert_eq!(verify(&verifier, &both, BODY, AT), with(0));
    assert_eq!(verify(&verifier, &signed(KNOWN), BODY, AT), Err(Refusal::Missing));
}
