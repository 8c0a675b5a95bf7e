//! What is redacted, and what stays.
use super::*;
use hookwright_plugin::serde_json::{Value, json};
use hookwright_plugin::{ErrorKind, testing};
use proptest::prelude::*;

fn redactor(config: &Value) -> Redactor {
    testing::settings(config).unwrap()
}

fn redacted(config: &Value, event: Event) -> Option<String> {
    match handle(event, &redactor(config)).unwrap() {
        Verdict::Amend(amendment) => Some(String::from_utf8(amendment.body.unwrap()).unwrap()),
        Verdict::Pass => None,
        other => panic!("{other:?}"),
    }
}

fn json_event(body: impl Into<Vec<u8>>) -> Event {
    Event::sample().body(body).build()
}

#[test]
fn paths_are_removed_masked_or_hashed_and_the_rest_stays_exact() {
    let config = json!({"salt": "s", "paths": [
        {"path": "/users/*/email", "how": "hash"},
        {"path": "/users/*/iban"},
        {"path": "/token", "how": "remove"},
    ]});
    let body = "{\"token\" : \"t\",\n \"users\":[{ \"email\":\"a@b.c\", \"n\":1.50 },\
                {\"iban\":7,\"iban\":{\"x\":1}}], \"token\":null}";
    let hash = "6e1d967b22d9bafbe63b2f6eab647cade46f8e244011c04cc4c571bd30d826b5";
    let expected = format!(
        "{{\"users\":[{{ \"email\":\"{hash}\", \"n\":1.50 }},{{\"iban\":\"***\",\"iban\":\"***\"}}]}}"
    );
    assert_eq!(redacted(&config, json_event(body)).unwrap(), expected, "every one of a name");
    assert_eq!(redacted(&config, json_event("{\"users\":[]}")), None);
}

#[test]
fn patterns_are_found_in_escaped_strings() {
    let config =
        json!({"patterns": [{"known": "email"}, {"regex": "(?i)secret-\\d+", "how": "remove"}]});
    let body = r#"{"a":"mail \u0061@b.cd, x","b": "plain \u0061", "c":["SECRET-12!"],"a@b.cd":1}"#;
    let expected = r#"{"a":"mail ***, x","b": "plain \u0061", "c":["!"],"a@b.cd":1}"#;
    assert_eq!(redacted(&config, json_event(body)).unwrap(), expected);
}

#[test]
fn a_string_that_cant_be_searched_is_hidden() {
    let config = json!({"patterns": [{"known": "email"}]});
    let body = r#"["\ud800 a\u0040b.cd", "fine"]"#;
    assert_eq!(redacted(&config, json_event(body)).unwrap(), r#"["***", "fine"]"#);
}

#[test]
fn other_text_is_searched_and_binary_passes() {
    let config =
        json!({"mask": "[gone]", "patterns": [{"known": "card"}], "paths": [{"path": "/a"}]});
    let text = Event::sample().content_type("text/plain").body("pay 4111111111111111 now").build();
    assert_eq!(redacted(&config, text).unwrap(), "pay [gone] now");
    let mut binary = b"4111111111111111".to_vec();
    binary.push(0xff);
    let binary = Event::sample().content_type("application/octet-stream").body(binary).build();
    assert_eq!(redacted(&config, binary), None);
}

#[test]
fn json_that_cant_be_read_does_not_slip_through() {
    let config = json!({"paths": [{"path": "/a"}]});
    let error = handle(json_event(r#"{"a":1,}"#), &redactor(&config)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reject);
}

#[test]
fn all_mistakes_of_the_settings_are_reported() {
    let bad = json!({
        "paths": [{"path": "$.a"}],
        "patterns": [{}, {"regex": "("}, {"known": "email", "how": "hash"}],
    });
    let errors = testing::settings::<Redactor>(&bad).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["/paths/0/path", "/patterns/0", "/patterns/1/regex", "/salt"]);
    assert!(testing::settings::<Redactor>(&json!({})).is_err());
}

proptest! {
    /// Only the strings with a match change, and only there.
    #[test]
    fn bytes_outside_matches_stay(parts in prop::collection::vec("[ a-z\\\\u{}:,0-9.\\n\u{e9}]{0,8}", 1..6)) {
        let config = json!({"patterns": [{"regex": "XX"}]});
        let document = |middle: &str| {
            let strings: Vec<String> =
                parts.iter().map(|part| Value::from(format!("{part}{middle}")).to_string()).collect();
            format!("[ {} ,1.0e0]\n", strings.join(" ,\t"))
        };
        let expected = document("***");
        prop_assert_eq!(redacted(&config, json_event(document("XX"))), Some(expected));
        prop_assert_eq!(redacted(&config, json_event(document(""))), None);
    }
}
