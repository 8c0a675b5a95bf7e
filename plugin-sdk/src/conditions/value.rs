//! When a fact equals a value of the settings.
use serde_json::{Number, Value};

use crate::fields::Fact;

/// Numbers by value, other JSON by structure, facts without types by their text.
pub(super) fn equal(fact: Fact<'_>, wanted: &Value) -> bool {
    match (fact, wanted) {
        (fact, Value::String(wanted)) => match fact {
            Fact::Text(text) => text == wanted,
            Fact::Json(json) => json.text().is_some_and(|text| text == *wanted),
        },
        (Fact::Text(text), wanted) => wanted.to_string().as_str() == text,
        (Fact::Json(json), Value::Number(wanted)) => same_number(json.raw(), wanted),
        (Fact::Json(json), wanted) => json.parse::<Value>().is_ok_and(|value| value == *wanted),
    }
}

fn same_number(raw: &str, wanted: &Number) -> bool {
    if raw == wanted.to_string() {
        return true;
    }
    // Two whole numbers are compared above with all their digits; beyond 2^53
    // floating point would call neighbours equal.
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole(raw) && !wanted.is_f64() {
        return false;
    }
    raw.parse::<f64>().is_ok_and(|number| Some(number) == wanted.as_f64())
}

/// Whether the text holds the text, or the list the value.
pub(super) fn contains(fact: Fact<'_>, wanted: &Value) -> bool {
    if let Fact::Json(json) = fact
        && json.raw().starts_with('[')
    {
        let items: Vec<&serde_json::value::RawValue> =
            serde_json::from_str(json.raw()).unwrap_or_default();
        return items.into_iter().any(|item| {
            let item = crate::json::Json::new(item.get().to_owned());
            equal(Fact::Json(&item), wanted)
        });
    }
    wanted.as_str().is_some_and(|wanted| fact.text().contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use serde_json::json;

    fn is(raw: &str, wanted: Value) -> bool {
        equal(Fact::Json(&Json::new(raw.into())), &wanted)
    }

    #[test]
    fn numbers_are_equal_by_value_with_all_their_digits() {
        assert!(is("1.0", json!(1)) && is("1e2", json!(100)) && is("100", json!(100.0)));
        assert!(!is("9007199254740993", json!(9007199254740992_u64)));
        assert!(!is("\"1\"", json!(1)) && !is("1", json!("1")));
    }

    #[test]
    fn other_values_are_equal_by_structure() {
        assert!(is(r#"{"a": 1, "b": [null]}"#, json!({"b": [null], "a": 1})));
        assert!(is("null", Value::Null) && is("\"a\\u0062\"", json!("ab")));
        assert!(equal(Fact::Text("7"), &json!(7)) && equal(Fact::Text("true"), &json!(true)));
    }

    #[test]
    fn lists_contain_values_and_texts_contain_texts() {
        let list = Json::new(r#"["a b", 2.0]"#.into());
        assert!(contains(Fact::Json(&list), &json!(2)));
        assert!(!contains(Fact::Json(&list), &json!("a")));
        assert!(contains(Fact::Text("a b"), &json!("b")));
        assert!(!contains(Fact::Text("a 2"), &json!(2)), "a number is no text");
    }
}
