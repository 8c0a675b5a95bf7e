//! A plugin's settings against the JSON Schema that its component carries: all that is wrong, each with a cure.
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, PatternOptions, ValidationError};
use serde_json::Value;

use crate::gate::report::ConfigIssue;
use crate::text::escape;
use hookwright_model::{listed, nearest};

/// Mistakes in the settings that are reported.
pub(crate) const ISSUES: usize = 100;
/// Characters of a text that came from a schema.
const TEXT: usize = 512;

/// Holds settings against a schema. None wrong: an empty list.
///
/// # Errors
/// Where the schema is none itself.
pub(crate) fn check(schema: &str, config_json: &str) -> Result<Vec<ConfigIssue>, String> {
    let config: Value = serde_json::from_str(config_json).map_err(|error| error.to_string())?;
    let schema: Value = serde_json::from_str(schema)
        .map_err(|error| format!("its schema of the settings is no JSON: {error}"))?;
    // Nothing is fetched, and patterns take time in proportion to the text.
    let validator = jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|error| {
            let text = escape(&error.to_string(), TEXT);
            format!("its schema of the settings is no JSON Schema: {text}")
        })?;
    let mut issues = Vec::new();
    for error in validator.iter_errors(&config) {
        explain(&schema, &error, &mut issues);
        if issues.len() >= ISSUES {
            break;
        }
    }
    issues.truncate(ISSUES);
    issues.dedup();
    Ok(issues)
}

fn explain(schema: &Value, error: &ValidationError<'_>, issues: &mut Vec<ConfigIssue>) {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = known(schema, error);
            let unknown = |key: &String| unknown(error, key, &known);
            issues.extend(unexpected.iter().map(unknown));
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match (allowed(context), nearest_branch(error, context)) {
                (Some(allowed), _) => issues.push(none_of(error, &allowed)),
                (None, Some(branch)) => {
                    branch.iter().for_each(|error| explain(schema, error, issues));
                }
                (None, None) => {
                    let message = format!("fits none of {} allowed forms", context.len());
                    issues.push(issue(error, message, about(schema, error)));
                }
            }
        }
        Kind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            issues.push(none_of(error, &options.iter().collect::<Vec<_>>()));
        }
        Kind::Constant { expected_value } => issues.push(none_of(error, &[expected_value])),
        Kind::Type { kind } => {
            let message = format!("expected {}, found {}", types(kind), what(error.instance()));
            issues.push(issue(error, message, about(schema, error)));
        }
        Kind::Required { property } => issues.push(missing(schema, error, property)),
        Kind::Pattern { pattern } => {
            let message = format!("does not match the pattern `{pattern}`");
            issues.push(issue(error, message, about(schema, error)));
        }
        _ => {
            let message = error.masked_with("the value").to_string();
            issues.push(issue(error, message, about(schema, error)));
        }
    }
}

fn issue(error: &ValidationError<'_>, message: String, help: String) -> ConfigIssue {
    ConfigIssue {
        path: escape(error.instance_path().as_str(), TEXT),
        message: escape(&message, TEXT),
        help: escape(&help, TEXT),
    }
}

fn unknown(error: &ValidationError<'_>, key: &str, known: &[&str]) -> ConfigIssue {
    let help = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it: no settings are known here".into(),
        None => format!("remove it; known here are {}", listed(known)),
    };
    let path = error.instance_path().join(key);
    ConfigIssue { path: escape(path.as_str(), TEXT), ..issue(error, "unknown key".into(), help) }
}

fn missing(schema: &Value, error: &ValidationError<'_>, property: &Value) -> ConfigIssue {
    let name = property.as_str().unwrap_or_default();
    let known = outer(schema, error).and_then(|outer| outer.get("properties")?.get(name));
    let meaning = known.map(description).unwrap_or_default();
    let help = match meaning.as_str() {
        "" => format!("add `{name} = …`"),
        text => format!("add `{name} = …`: {text}"),
    };
    issue(error, format!("`{name}` is missing, and required"), help)
}

fn none_of(error: &ValidationError<'_>, options: &[&Value]) -> ConfigIssue {
    let texts: Vec<&str> = options.iter().filter_map(|option| option.as_str()).collect();
    let all = match texts.len() == options.len() {
        true => listed(&texts),
        false => options.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", "),
    };
    let near = error.instance().as_str().and_then(|text| nearest(text, texts.iter().copied()));
    let help = match near {
        Some(near) => format!("did you mean `{near}`? Known are {all}"),
        None if options.len() == 1 => format!("write {all}"),
        None => format!("write one of {all}"),
    };
    let message = match error.instance().as_ref() {
        Value::String(text) => format!("`{}` is not known here", escape(text, 80)),
        other => format!("{} is not known here", what(other)),
    };
    issue(error, message, help)
}

type Branch = Vec<ValidationError<'static>>;

/// The constants, where every branch is one or `null`: an enumeration with its texts.
fn allowed(branches: &[Branch]) -> Option<Vec<&Value>> {
    let mut all = Vec::new();
    for branch in branches {
        let mut options = Vec::new();
        for error in branch {
            match error.kind() {
                ValidationErrorKind::Constant { expected_value } => options.push(&**expected_value),
                ValidationErrorKind::Enum { options: some } => options.extend(some.as_array()?),
                ValidationErrorKind::OneOfNotValid { context } => options.extend(allowed(context)?),
                _ => {}
            }
        }
        let only_null = branch.iter().all(|error| {
            matches!(
                error.kind(),
                ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) }
            )
        });
        if options.is_empty() && !only_null {
            return None;
        }
        all.extend(options);
    }
    (!all.is_empty()).then_some(all)
}

/// The branch that the person most likely meant: the one whose type and marks fit, with the fewest mistakes.
fn nearest_branch<'b>(error: &ValidationError<'_>, branches: &'b [Branch]) -> Option<&'b Branch> {
    let depth = |error: &ValidationError<'_>| error.instance_path().as_str().matches('/').count();
    let here = depth(error);
    let score = |branch: &Branch| {
        let misfits = branch.iter().filter(|error| match error.kind() {
            ValidationErrorKind::Type { .. } => depth(error) == here,
            ValidationErrorKind::Constant { .. } => depth(error) <= here + 1,
            _ => false,
        });
        (misfits.count(), branch.len())
    };
    let mut scored: Vec<_> = branches.iter().map(|branch| (score(branch), branch)).collect();
    scored.sort_by_key(|(score, _)| *score);
    match scored.as_slice() {
        [((0, _), branch)] => Some(branch),
        [((0, few), branch), (next, _), ..] if (0, *few) < *next => Some(branch),
        _ => None,
    }
}

/// The schema that the failed keyword stands in.
fn outer<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Option<&'s Value> {
    let path = error.schema_path().as_str();
    schema.pointer(&path[..path.rfind('/')?])
}

fn known<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Vec<&'s str> {
    let properties = outer(schema, error).and_then(|outer| outer.get("properties")?.as_object());
    properties.map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What the schema says that a value is for, as a cure.
fn about(schema: &Value, error: &ValidationError<'_>) -> String {
    match outer(schema, error).map(description).unwrap_or_default().as_str() {
        "" => "`hookwright plugin inspect` shows the schema of its settings".into(),
        text => format!("what it is for: {text}"),
    }
}

/// The first paragraph of a schema's description, in one line.
fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn types(kind: &TypeKind) -> String {
    let all: Vec<JsonType> = match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(set) => set.iter().filter(|one| *one != JsonType::Null).collect(),
    };
    let name = |one: &JsonType| match one {
        JsonType::Null => "nothing",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::String => "text",
        JsonType::Array => "a list",
        JsonType::Object => "a table",
    };
    all.iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// In the words of the settings file.
fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the SDK makes it: an enumeration with texts, an optional one, a list of tables.
    const SCHEMA: &str = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {
            "rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}},
            "matching": {"description": "Who decides.", "$ref": "#/$defs/Matching"},
            "share": {"description": "Of all.", "type": ["number", "null"], "minimum": 0}
        },
        "additionalProperties": false, "required": ["rules"],
        "$defs": {
            "Matching": {"oneOf": [
                {"description": "One.", "type": "string", "const": "first"},
                {"description": "Each.", "type": "string", "const": "all"}]},
            "Rule": {"type": "object", "required": ["to"], "additionalProperties": false,
                "properties": {
                    "to": {"description": "The destinations,\nby name.", "type": "array"},
                    "when": {"anyOf": [{"$ref": "#/$defs/Rule"}, {"type": "null"}]},
                    "known": {"anyOf": [{"$ref": "#/$defs/Matching"}, {"type": "null"}]}}}
        }
    }"##;

    fn lines(config: &str) -> Vec<String> {
        let issues = check(SCHEMA, config).unwrap();
        let line =
            |issue: ConfigIssue| format!("{}: {} ({})", issue.path, issue.message, issue.help);
        issues.into_iter().map(line).collect()
    }

    #[test]
    fn good_settings_have_no_mistake() {
        assert!(lines(r#"{"rules": [{"to": ["ci"], "when": null}], "share": 0.5}"#).is_empty());
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_place_and_cure() {
        let config = r#"{"rulez": 1, "matching": "firts", "share": "half", "rules": [
            {"to": "ci"}, {"too": [], "known": "some", "when": {"to": [], "wen": 1}}]}"#;
        let mut found = lines(config);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "/matching: `firts` is not known here (did you mean `first`? Known are `first`, `all`)",
                "/rules/0/to: expected a list, found text (what it is for: The destinations, by name.)",
                "/rules/1/known: `some` is not known here (write one of `first`, `all`)",
                "/rules/1/too: unknown key (did you mean `to`?)",
                "/rules/1/when/wen: unknown key (did you mean `when`?)",
                "/rules/1: `to` is missing, and required (add `to = …`: The destinations, by name.)",
                "/rulez: unknown key (did you mean `rules`?)",
                "/share: expected a number, found text (what it is for: Of all.)",
            ]
        );
    }

    #[test]
    fn other_rules_are_told_without_the_value() {
        let found = lines(r#"{"rules": [], "share": -12345}"#);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("/share: the value is less than") && !found[0].contains("12345"),
            "{found:?}"
        );
    }

    #[test]
    fn a_broken_schema_is_named_and_nothing_is_fetched() {
        for schema in ["{", r#"{"type": 7}"#, r#"{"$ref": "http://127.0.0.1:1/x"}"#] {
            let error = check(schema, "{}").unwrap_err();
            assert!(error.starts_with("its schema of the settings is no JSON"), "{error}");
        }
    }

    /// A schema comes from whoever wrote the plugin: neither it nor settings as deep as it
    /// allows end the process.
    #[test]
    fn a_schema_that_leads_back_to_itself_ends() {
        let deep = format!("{}{}", "{\"a\":".repeat(120), "1".to_owned() + &"}".repeat(120));
        for schema in [
            r##"{"$ref": "#"}"##,
            r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##,
            r##"{"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}"##,
            r##"{"properties": {"a": {"$ref": "#"}}, "anyOf": [{"type": "object"}, {"type": "number"}]}"##,
        ] {
            let _ = check(schema, &deep);
        }
        let deep = format!("{}{}", "{\"not\":".repeat(200), "true".to_owned() + &"}".repeat(200));
        assert!(check(&deep, "{}").is_err(), "deeper than what is read");
    }

    #[test]
    fn no_more_than_a_hundred_are_told() {
        let many: Vec<String> = (0..500).map(|number| format!("\"k{number}\":1")).collect();
        let found = lines(&format!("{{\"rules\": [], {}}}", many.join(",")));
        assert_eq!(found.len(), ISSUES);
    }
}
