//! What templates make of events.
use super::*;
use hookwright_plugin::serde_json::json;
use hookwright_plugin::testing;

const BODY: &str = r#"{"a":{"b":1.50,"big":12345678901234567890123,"s":"x \"y\""},
    "list":[{"id":1,"tags":["p","q"]},{"id":2.0},{"no":0}],"one":{"id":9},"nil":null}"#;

fn made(config: &Value, body: &str) -> Result<Amendment> {
    let transform: Transform = testing::settings(config).unwrap();
    let event = Event::sample().kind("push").header("x-a", "h").body(body).build();
    match handle(event, &transform)? {
        Verdict::Amend(amendment) => Ok(amendment),
        other => panic!("{other:?}"),
    }
}

fn body(output: Value, missing: &str) -> String {
    let made = made(&json!({"output": output, "missing": missing}), BODY).unwrap();
    String::from_utf8(made.body.unwrap()).unwrap()
}

#[test]
fn values_are_copied_byte_for_byte() {
    let output = json!(["$/a/b", "$/a/big", "$/a/s", "$/nil", "$kind", "$header:x-a", "$$/a", 7, {"c": true}]);
    let expected = r#"[1.50,12345678901234567890123,"x \"y\"",null,"push","h","$/a",7,{"c":true}]"#;
    assert_eq!(body(output, "null"), expected);
}

#[test]
fn the_whole_body_can_be_wrapped() {
    assert_eq!(body(json!({"event": "$"}), "null"), format!("{{\"event\":{BODY}}}"));
}

#[test]
fn texts_are_put_together() {
    let output = json!({"t": "{{ /a/s }} by {{kind}}: {{/a/b}}{{/none}}!"});
    assert_eq!(body(output, "null"), r#"{"t":"x \"y\" by push: 1.50!"}"#);
}

#[test]
fn a_missing_value_is_null_or_left_out_or_the_events_fault() {
    let output = json!({"a": "$/none", "b": [1, "$/none", "{{/none}}x"], "c": {"$": "/none", "default": "$kind"}});
    assert_eq!(body(output.clone(), "null"), r#"{"a":null,"b":[1,null,"x"],"c":"push"}"#);
    assert_eq!(body(output.clone(), "omit"), r#"{"b":[1],"c":"push"}"#);
    let error = made(&json!({"output": output, "missing": "reject"}), BODY).unwrap_err();
    assert_eq!(error, Error::reject("the event has no `/none`"));
}

#[test]
fn lists_are_made_anew() {
    let output = json!({"$": "/list", "each": {"n": "$/id", "k": "{{kind}}-{{/id}}"}});
    assert_eq!(body(output, "omit"), r#"[{"k":"push-1","n":1},{"k":"push-2.0","n":2.0},{}]"#);
    let nested =
        json!({"$": "/list", "limit": 2, "each": {"$": "/tags", "each": "<{{}}>", "default": "$"}});
    assert_eq!(body(nested, "null"), r#"[["<p>","<q>"],{"id":2.0}]"#);
    assert_eq!(body(json!({"$": "/one", "each": "$/id"}), "null"), "[9]");
}

#[test]
fn kind_and_type_can_change() {
    let config = json!({"output": {}, "kind": "gh.{{kind}}", "content_type": "application/cloudevents+json"});
    let made = made(&config, "no JSON").unwrap();
    assert_eq!(made.kind.as_deref(), Some("gh.push"));
    assert_eq!(made.content_type.as_deref(), Some("application/cloudevents+json"));
}

#[test]
fn a_body_that_is_no_json_is_the_events_fault_where_it_matters() {
    let error = made(&json!({"output": "$/a"}), "{").unwrap_err();
    assert_eq!(error, Error::reject("the body is no JSON"));
    assert!(made(&json!({"output": "$kind"}), "{").is_ok());
}

#[test]
fn all_mistakes_of_a_template_are_reported() {
    let output = json!({
        "a": "$x", "b": ["{{/a"], "c": {"$": "/a", "els": 1}, "d": {"$": 1}, "e": {"$": "/a", "limit": -1},
        "f": {"$": "/a", "each": "$/~"},
    });
    let errors = testing::settings::<Transform>(&json!({"output": output})).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    let expected = [
        "/output/a",
        "/output/b/0",
        "/output/c",
        "/output/d",
        "/output/e/limit",
        "/output/e",
        "/output/f/each",
    ];
    assert_eq!(paths, expected);
}
