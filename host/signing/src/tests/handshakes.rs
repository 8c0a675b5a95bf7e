//! Every handshake: answered where it is right, an event or a refusal where not.
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "the handshake's secret";

fn verifier(preset: &'static Preset) -> (Verify, Verifier) {
    let mut scheme = PresetScheme::new(preset, [Secret::new(SECRET)]);
    scheme.verify_token = Some(Secret::new("to ken"));
    let verify = Verify::Preset(scheme);
    let verifier = Verifier::new(&verify);
    (verify, verifier)
}

/// A body, signed as an event is.
fn signed_body(preset: &'static Preset, body: &[u8], more: &[(&'static str, &str)]) -> Answered {
    let (scheme, verifier) = verifier(preset);
    let draft = Draft { id: "1", at_s: AT, kind: None, body: Some(body) };
    let sent = sign_as_provider(&scheme, &draft).unwrap();
    let mut map = kit::map(&sent);
    map.extend(headers(more));
    let answered = verify(&verifier, &map, body, AT);
    map.remove("x-slack-signature");
    for name in ["x-zm-signature", "twitch-eventsub-message-signature"] {
        map.remove(name);
    }
    assert_eq!(verify(&verifier, &map, body, AT), Err(Refusal::Missing), "unsigned");
    answered.into()
}

/// By another method than POST.
fn asked(preset: &'static Preset, method: Method, query: &str, headers: &HeaderMap) -> Answered {
    let (_, verifier) = verifier(preset);
    assert!(verifier.handles_handshake(&method) && !verifier.handles_handshake(&Method::DELETE));
    let request = Request { method: &method, query: Some(query), headers, body: b"" };
    verifier.verify(&request, AT).into()
}

#[derive(Debug, PartialEq)]
enum Answered {
    Event,
    With(u16, Option<&'static str>, String),
    Refused(Refusal),
}

impl From<Result<Verified, Refusal>> for Answered {
    fn from(verified: Result<Verified, Refusal>) -> Self {
        match verified {
            Ok(Verified::Event { .. }) => Self::Event,
            Ok(Verified::Handshake(answer)) => {
                let kind = answer.content_type.map(|kind| match kind.to_str().unwrap() {
                    "text/plain" => "text",
                    "application/json" => "json",
                    other => panic!("{other}"),
                });
                Self::With(answer.status.as_u16(), kind, String::from_utf8(answer.body).unwrap())
            }
            Ok(Verified::Confirm(url)) => panic!("{url}"),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

fn text(text: &str) -> Answered {
    Answered::With(200, Some("text"), text.to_owned())
}

fn is_json(answered: &Answered, expected: &Value) {
    let Answered::With(200, Some("json"), text) = answered else { panic!("{answered:?}") };
    assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), expected);
}

#[test]
fn slack_gets_its_challenge_back() {
    let body = br#"{"token":"t","challenge":"3eZbrw1aBm2rZgRN","type":"url_verification"}"#;
    assert_eq!(signed_body(&presets::SLACK, body, &[]), text("3eZbrw1aBm2rZgRN"));
    let event = br#"{"type":"event_callback","challenge":"x"}"#;
    assert_eq!(signed_body(&presets::SLACK, event, &[]), Answered::Event);
}

#[test]
fn twitch_gets_its_challenge_back() {
    let body = br#"{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{}}"#;
    let kind = [("twitch-eventsub-message-type", "webhook_callback_verification")];
    let challenge = text("pogchamp-kappa-360noscope-vohiyo");
    assert_eq!(signed_body(&presets::TWITCH, body, &kind), challenge);
    let kind = [("twitch-eventsub-message-type", "notification")];
    assert_eq!(signed_body(&presets::TWITCH, body, &kind), Answered::Event);
}

#[test]
fn zoom_gets_its_token_and_the_hash_of_it() {
    let body = br#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let answered = signed_body(&presets::ZOOM, body, &[]);
    let Answered::With(200, Some("json"), json) = &answered else { panic!("{answered:?}") };
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(json["encryptedToken"], ZOOM_TOKEN);
}

/// npm @zoom/rivet 0.4.0 gives this answer;
/// printf qgg8vlvZRS6UYooatFL8Aw | openssl dgst -sha256 -hmac "the handshake's secret"
const ZOOM_TOKEN: &str = "209b79c4da8e6fe9ce5c69fc09098f1d491f79eebabf07dc424744c0123790b9";

#[test]
fn meta_gets_its_challenge_back_for_the_verify_token() {
    let none = HeaderMap::new();
    let ask = |query: &str| asked(&presets::META, Method::GET, query, &none);
    let good = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=to+ken";
    assert_eq!(ask(good), text("1158201444"));
    for (query, refusal) in [
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=token", Refusal::Mismatch),
        ("hub.mode=subscribe&hub.challenge=1", Refusal::Missing),
        ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=to%20ken", Refusal::Malformed),
        ("", Refusal::Missing),
    ] {
        assert_eq!(ask(query), Answered::Refused(refusal), "{query}");
    }
    let twice = format!("{good}&hub.challenge=2");
    assert_eq!(ask(&twice), Answered::Refused(Refusal::Malformed));
    let long = good.replace("1158201444", &"1".repeat(257));
    assert_eq!(ask(&long), Answered::Refused(Refusal::Malformed));
}

#[test]
fn x_gets_its_token_signed_and_no_forger_gets_a_signature() {
    let none = HeaderMap::new();
    let ask = |query: &str| asked(&presets::X, Method::GET, query, &none);
    is_json(&ask("crc_token=challenge_string"), &json!({ "response_token": X_TOKEN }));
    // What would be the body of an event is not signed, and a token is no body.
    for query in ["crc_token=%7B%22a%22%3A1%7D", "crc_token=a%20b", "crc_token=%5B1%5D"] {
        assert_eq!(ask(query), Answered::Refused(Refusal::Malformed), "{query}");
    }
    assert_eq!(ask(""), Answered::Refused(Refusal::Missing));
    let (_, verifier) = verifier(&presets::X);
    let forged = headers(&[("x-twitter-webhooks-signature", X_TOKEN)]);
    let refused = verify(&verifier, &forged, b"challenge_string", AT);
    assert_eq!(refused, Err(Refusal::Malformed));
}

/// npm twitter-autohook 1.7.2 gives this answer;
/// printf challenge_string | openssl dgst -sha256 -binary -hmac "the handshake's secret" | base64
const X_TOKEN: &str = "sha256=0svuXusw5KUQVgH3QpxNOmD7HeKP85j5FRlW7Z6P3q4=";

#[test]
fn asana_gets_its_secret_back_and_nothing_is_learnt() {
    let (_, verifier) = verifier(&presets::ASANA);
    let hello = headers(&[("x-hook-secret", "b537207f20cbfa02357cf448134da559")]);
    let Ok(Verified::Handshake(answer)) = verify(&verifier, &hello, b"{}", AT) else {
        panic!("no handshake")
    };
    assert_eq!((answer.status.as_u16(), answer.headers.len()), (200, 1));
    assert_eq!(answer.headers[0].0, "x-hook-secret");
    assert_eq!(answer.headers[0].1, "b537207f20cbfa02357cf448134da559");
    let event = headers(&[("x-hook-signature", "00"), ("x-hook-secret", "b5")]);
    assert_eq!(verify(&verifier, &event, b"{}", AT), Err(Refusal::Mismatch));
    let hostile = headers(&[("x-hook-secret", "a b<script>")]);
    assert_eq!(verify(&verifier, &hostile, b"{}", AT), Err(Refusal::Malformed));
}

#[test]
fn intercom_is_told_that_there_is_something() {
    let none = HeaderMap::new();
    let answered = asked(&presets::INTERCOM, Method::HEAD, "", &none);
    assert_eq!(answered, Answered::With(200, None, String::new()));
}

#[test]
fn woocommerce_may_ping() {
    let (_, verifier) = verifier(&presets::WOOCOMMERCE);
    let none = HeaderMap::new();
    let ping: Answered = verify(&verifier, &none, b"webhook_id=17", AT).into();
    assert_eq!(ping, Answered::With(200, None, String::new()));
    for other in [&b"webhook_id="[..], b"webhook_id=1&a=2", b"webhook_id=x", b"{}"] {
        assert_eq!(verify(&verifier, &none, other, AT), Err(Refusal::Missing));
    }
}

#[test]
fn cloudevents_may_be_sent_by_whoever_asks() {
    let origin = headers(&[("webhook-request-origin", "eventemitter.example.com")]);
    let (_, verifier) = verifier(&presets::CLOUDEVENTS);
    let request = Request { method: &Method::OPTIONS, query: None, headers: &origin, body: b"" };
    let Ok(Verified::Handshake(answer)) = verifier.verify(&request, AT) else { panic!("none") };
    let header = |name: &str| answer.headers.iter().find(|(known, _)| known == name);
    assert_eq!(header("webhook-allowed-origin").unwrap().1, "eventemitter.example.com");
    assert_eq!(header("webhook-allowed-rate").unwrap().1, "*");
    let none = HeaderMap::new();
    let answered = asked(&presets::CLOUDEVENTS, Method::OPTIONS, "", &none);
    assert_eq!(answered, Answered::Refused(Refusal::Missing));
    let query = format!("access_token={}", SECRET.replace(' ', "+").replace('\'', "%27"));
    let request = Request { query: Some(&query), ..Request::post(&none, b"{}") };
    assert_eq!(verifier.verify(&request, AT), with(0));
}

#[test]
fn discord_gets_a_pong_for_a_signed_ping() {
    let (verify_with, sign) = kit::ed25519(&presets::DISCORD);
    let verifier = Verifier::new(&verify_with);
    let ask = |body: &[u8]| -> Answered {
        let draft = Draft { id: "1", at_s: AT, kind: None, body: Some(body) };
        let sent = sign_with(&verify_with, &draft, &sign).unwrap();
        verify(&verifier, &kit::map(&sent), body, AT).into()
    };
    is_json(&ask(br#"{"type":1,"id":"1","token":"t"}"#), &json!({ "type": 1 }));
    let webhook = br#"{"version":1,"application_id":"1","type":0}"#;
    assert_eq!(ask(webhook), Answered::With(204, None, String::new()));
    let event = br#"{"version":1,"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}"#;
    assert_eq!(ask(event), Answered::Event);
    let forged = headers(&[("x-signature-ed25519", "00"), ("x-signature-timestamp", "1614265330")]);
    assert_eq!(verify(&verifier, &forged, webhook, AT), Err(Refusal::Mismatch));
}

/// Slack looks at the certificate of a slash command's URL, unsigned; it was told 401 or 405.
#[test]
fn regression_slack_may_check_the_certificate() {
    let ok = || Answered::With(200, None, String::new());
    let none = HeaderMap::new();
    assert_eq!(asked(&presets::SLACK, Method::GET, "token=t&ssl_check=1", &none), ok());
    for query in ["", "ssl_check=0", "a=ssl_check%3D1"] {
        let refused = asked(&presets::SLACK, Method::GET, query, &none);
        assert_eq!(refused, Answered::Refused(Refusal::Missing), "{query}");
    }
    let (_, verifier) = verifier(&presets::SLACK);
    let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
    let check = |headers: &HeaderMap, body: &[u8]| -> Answered {
        verify(&verifier, headers, body, AT).into()
    };
    assert_eq!(check(&form, b"token=t&ssl_check=1"), ok());
    for body in [&b"token=t&ssl_check=0"[..], b"text=ssl_check%3D1", b"ssl_check=1&ssl_check=1"] {
        assert_eq!(check(&form, body), Answered::Refused(Refusal::Missing));
    }
    assert_eq!(check(&none, b"ssl_check=1"), Answered::Refused(Refusal::Missing), "no form");
    // Signed, it is no event either.
    let (scheme, _) = self::verifier(&presets::SLACK);
    let draft = Draft { id: "1", at_s: AT, kind: None, body: Some(b"ssl_check=1&x=1") };
    let sent = sign_as_provider(&scheme, &draft).unwrap();
    let mut map = kit::map(&sent);
    map.extend(form);
    assert_eq!(check(&map, &sent.body), ok());
}

/// The unsigned ping of `Test connection` was told 401.
#[test]
fn regression_bitbucket_may_ping() {
    let (_, verifier) = verifier(&presets::BITBUCKET);
    let ask = |key: &str, body: &[u8]| -> Answered {
        verify(&verifier, &headers(&[("x-event-key", key)]), body, AT).into()
    };
    let ok = Answered::With(200, None, String::new());
    assert_eq!(ask("diagnostics:ping", br#"{"test": true}"#), ok);
    let missing = Answered::Refused(Refusal::Missing);
    assert_eq!(ask("repo:push", br#"{"test": true}"#), missing);
    assert_eq!(ask("diagnostics:ping", &[b'x'; 5_000]), missing);
    let forged = headers(&[("x-event-key", "diagnostics:ping"), ("x-hub-signature", "sha256=00")]);
    assert_eq!(verify(&verifier, &forged, b"{}", AT), Err(Refusal::Mismatch));
}

/// There was no way to answer Microsoft Graph's `validationToken`.
#[test]
fn regression_microsoft_graph_gets_its_token_back_and_every_notification_has_the_secret() {
    let (_, verifier) = verifier(&presets::MICROSOFT_GRAPH);
    let none = HeaderMap::new();
    let ask = |query: Option<&str>, body: &str| {
        let request = Request { query, ..Request::post(&none, body.as_bytes()) };
        verifier.verify(&request, AT)
    };
    let token = "validationToken=Validation%3a+Testing+client+%3Cb%3E";
    let Ok(Verified::Handshake(answer)) = ask(Some(token), "") else { panic!("no handshake") };
    assert_eq!(answer.body, b"Validation: Testing client <b>");
    assert_eq!(answer.content_type.unwrap(), "text/plain");
    assert!(
        answer
            .headers
            .iter()
            .any(|(name, value)| name == "x-content-type-options" && value == "nosniff")
    );
    let long = format!("validationToken={}", "a".repeat(1_025));
    assert_eq!(ask(Some(&long), ""), Err(Refusal::Malformed));
    let one =
        |state: &str| format!(r#"{{"changeType":"created","clientState":"{state}","n":1e400}}"#);
    let all = |states: &[String]| format!(r#"{{"value":[{}]}}"#, states.join(","));
    let (own, other) = (one(&SECRET.replace('\'', "\\u0027")), one("other"));
    assert_eq!(ask(None, &all(&[own.clone(), own.clone()])), with(0));
    assert_eq!(ask(None, &all(&[own.clone(), other.clone()])), Err(Refusal::Mismatch));
    assert_eq!(ask(None, &all(&[other, own.clone()])), Err(Refusal::Mismatch));
    assert_eq!(ask(None, &all(&[own.clone(), "{}".to_owned()])), Err(Refusal::Missing));
    let twice = own.replace("}", r#","clientState":"x"}"#);
    assert_eq!(ask(None, &all(&[twice])), Err(Refusal::Malformed));
    for body in ["", "{}", r#"{"value":[]}"#] {
        assert_eq!(ask(None, body), Err(Refusal::Missing), "{body}");
    }
    for body in [r#"{"value":{}}"#, r#"{"value":[1]}"#, r#"{"value":[{"clientState":1}]}"#] {
        assert_eq!(ask(None, body), Err(Refusal::Malformed), "{body}");
    }
}
