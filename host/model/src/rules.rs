//! What a source's requests must look like: content type, headers, and a JSON Schema for each kind.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::lenient::read_json;

/// Faults that are told of one request.
const TOLD: usize = 5;
/// Bytes of one fault's text.
const TEXT: usize = 300;

/// Checks one source's requests. Make it once: schemas are compiled then.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In small letters, without parameters. Empty: any, or none.
    pub content_types: Vec<String>,
    /// Headers that must be there.
    pub headers: Vec<HeaderName>,
    /// For every kind that has none of its own.
    pub schema: Option<Schema>,
    /// For events of one kind, in place of `schema`.
    pub kinds: BTreeMap<String, Schema>,
}

/// A compiled JSON Schema, draft 2020-12 where it names no other. Cheap to clone.
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

/// Why a request is not as it must be: the first faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Flaw>);

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Flaw {
    /// Where in the body (RFC 6901); none where it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Without anything of the body in it.
    pub detail: String,
}

impl Schema {
    /// Compiles. A `$ref` may lead into the schema itself, never to a file or the network.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let schema = read_json(text).map_err(|error| error.to_string())?;
        // An engine without backtracking: what it matches comes from outside.
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex());
        match options.build(&schema) {
            Ok(validator) => Ok(Self(Arc::new(validator))),
            Err(error) => Err(cut(format!("at `{}`: {error}", error.instance_path()))),
        }
    }

    fn flaws(&self, value: &Value) -> Vec<Flaw> {
        let flaw = |error: jsonschema::ValidationError<'_>| Flaw {
            pointer: Some(cut(error.instance_path().as_str().to_owned())),
            detail: cut(error.masked().to_string()),
        };
        self.0.iter_errors(value).take(TOLD).map(flaw).collect()
    }
}

impl Rules {
    /// Whether there is anything to check.
    pub fn is_empty(&self) -> bool {
        let Self { content_types, headers, schema, kinds } = self;
        content_types.is_empty() && headers.is_empty() && schema.is_none() && kinds.is_empty()
    }

    /// Pure, and safe with any bytes.
    ///
    /// # Errors
    /// The first flaws; at least one.
    pub fn check(&self, kind: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Invalid> {
        let flaw = |detail: String| Flaw { pointer: None, detail };
        let mut flaws = Vec::new();
        if !self.content_types.is_empty() && !self.content_types.contains(&essence(headers)) {
            let known = self.content_types.join(", ");
            flaws.push(flaw(format!("the content type is none of {known}")));
        }
        for name in self.headers.iter().filter(|name| !headers.contains_key(*name)) {
            flaws.push(flaw(format!("the header `{name}` is missing")));
        }
        if let Some(schema) = self.kinds.get(kind).or(self.schema.as_ref()) {
            match read_json(body) {
                Ok(value) => flaws.extend(schema.flaws(&value)),
                // What serde_json says names a line and a column, and nothing of the text.
                Err(error) => flaws.push(flaw(format!("the body is no JSON: {error}"))),
            }
        }
        flaws.truncate(TOLD);
        if flaws.is_empty() { Ok(()) } else { Err(Invalid(flaws)) }
    }
}

/// `application/json` of `Application/JSON; charset=utf-8`.
fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT {
        text.truncate(text.floor_char_boundary(TEXT));
        text.push('…');
    }
    text
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema(…)")
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Flaw { pointer, detail }) in self.0.iter().enumerate() {
            let sign = if place > 0 { "; " } else { "" };
            match pointer.as_deref() {
                None => write!(f, "{sign}{detail}")?,
                Some("") => write!(f, "{sign}the body: {detail}")?,
                Some(pointer) => write!(f, "{sign}at {pointer}: {detail}")?,
            }
        }
        Ok(())
    }
}

/// Whether arrays and objects stand deeper in each other than `most`. What is
/// no JSON gets an answer, too.
pub fn is_deeper(json: &[u8], most: usize) -> bool {
    // Most bodies have fewer brackets in all than they may have on the way down.
    if json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= most {
        return false;
    }
    let (mut depth, mut text, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const ORDER: &str = r##"{
        "type": "object",
        "required": ["id", "items"],
        "properties": {
            "id": { "type": "string", "pattern": "^o_[0-9]+$" },
            "items": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/item" } }
        },
        "$defs": { "item": { "type": "object", "required": ["price"],
                             "properties": { "price": { "type": "number" } } } }
    }"##;

    fn flaws(rules: &Rules, kind: &str, body: &str) -> Vec<(String, String)> {
        let result = rules.check(kind, &HeaderMap::new(), body.as_bytes());
        let flaws = result.err().map(|invalid| invalid.0).unwrap_or_default();
        flaws.into_iter().map(|one| (one.pointer.unwrap_or_default(), one.detail)).collect()
    }

    #[test]
    fn a_body_is_held_against_the_schema_and_told_where_it_fails() {
        let schema = Some(Schema::parse(ORDER.as_bytes()).unwrap());
        let rules = Rules { schema, ..Rules::default() };
        assert_eq!(flaws(&rules, "", r#"{"id":"o_1","items":[{"price":1.5}]}"#), []);
        let body = r#"{"id":"SECRET","items":[{"price":1},{"price":"SECRET"}]}"#;
        let found = flaws(&rules, "", body);
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/items/1/price"]);
        assert!(!format!("{found:?}").contains("SECRET"), "{found:?}");
        assert!(flaws(&rules, "", "{")[0].1.contains("no JSON"));
        let many = format!("{{\"id\":\"o_1\",\"items\":[{}{{}}]}}", "{},".repeat(100));
        assert_eq!(flaws(&rules, "", &many).len(), TOLD);
    }

    /// Events were lost by 422 for what no schema spoke of.
    #[test]
    fn regression_json_that_serde_refuses_is_held_against_the_schema_all_the_same() {
        let schema = Some(Schema::parse(ORDER.as_bytes()).unwrap());
        let rules = Rules { schema, ..Rules::default() };
        for more in ["1e400", r#""\ud800""#, r#"{"\udc00":-1e999}"#] {
            let body =
                format!("\u{feff}{{\"id\":\"o_1\",\"items\":[{{\"price\":1}}],\"more\":{more}}}");
            assert_eq!(flaws(&rules, "", &body), [], "{body}");
            let wrong = body.replace("o_1", "p_1");
            assert_eq!(flaws(&rules, "", &wrong)[0].0, "/id", "{body}");
        }
    }

    #[test]
    fn regression_a_schema_may_begin_with_a_byte_order_mark() {
        let schema = Schema::parse("\u{feff}{\"type\":\"string\"}".as_bytes()).unwrap();
        let rules = Rules { schema: Some(schema), ..Rules::default() };
        assert_eq!(flaws(&rules, "", "\u{feff}\"text\""), []);
        assert_eq!(flaws(&rules, "", "1").len(), 1);
    }

    #[test]
    fn a_kind_may_have_a_schema_of_its_own() {
        let schema = |text: &str| Schema::parse(text.as_bytes()).unwrap();
        let kinds = BTreeMap::from([("ping".to_owned(), schema("true"))]);
        let rules = Rules { schema: Some(schema("false")), kinds, ..Rules::default() };
        assert_eq!(flaws(&rules, "ping", "{}"), []);
        assert_eq!(flaws(&rules, "other", "{}").len(), 1);
        let only = Rules { schema: None, ..rules };
        assert_eq!(flaws(&only, "other", "no json"), [], "nothing asks for JSON");
    }

    #[test]
    fn content_type_and_headers_are_asked_for() {
        let rules = Rules {
            content_types: vec!["application/json".to_owned()],
            headers: vec![HeaderName::from_static("x-event")],
            ..Rules::default()
        };
        let mut headers = HeaderMap::new();
        let told = rules.check("", &headers, b"").unwrap_err().to_string();
        let expected =
            "the content type is none of application/json; the header `x-event` is missing";
        assert_eq!(told, expected);
        headers.insert("x-event", HeaderValue::from_static(""));
        headers.insert("content-type", HeaderValue::from_static("Application/JSON; charset=utf-8"));
        assert!(rules.check("", &headers, b"").is_ok());
    }

    #[test]
    fn a_schema_that_can_not_be_used_says_why() {
        for (text, why) in [
            ("{", "line 1"),
            (r#"{"type":"strin"}"#, "at `/type`"),
            (r#"{"properties":{"a":{"pattern":"("}}}"#, "/properties/a/pattern"),
            (r#"{"$ref":"https://example.com/schema.json"}"#, "example.com"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "passwd"),
        ] {
            let told = Schema::parse(text.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn depth_counts_what_is_open_outside_of_texts() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}],"b":[[]]}"#, 3),
            (r#"["[[[[[[", "\"[[[[", {"[":"]"}]"#, 2),
            ("[[],[],[],[[]]]", 3),
        ] {
            assert!(!is_deeper(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || is_deeper(json.as_bytes(), depth - 1), "{json}");
        }
        assert!(is_deeper("[".repeat(1_000_000).as_bytes(), 100));
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_a_panic(body: Vec<u8>, kind: String) {
            let schema = Some(Schema::parse(ORDER.as_bytes()).unwrap());
            let rules = Rules { schema, ..Rules::default() };
            let _ = rules.check(&kind, &HeaderMap::new(), &body);
            is_deeper(&body, 2);
        }
    }
}
