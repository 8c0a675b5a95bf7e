//! A condition made ready: fields found, expressions compiled.
use regex::Regex;
use serde_json::Value;

use super::value::{contains, equal};
use super::{Condition, prepare_all};
use crate::ConfigError;
use crate::fields::{Fact, Facts, Field, Fields};

/// A prepared [`Condition`].
#[derive(Debug, Clone)]
pub struct Test {
    name: Option<String>,
    /// All must hold.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    All(Vec<Test>),
    Any(Vec<Test>),
    None(Vec<Test>),
    Field(Field, Vec<Operator>),
}

#[derive(Debug, Clone)]
enum Operator {
    Equals(Value),
    Not(Value),
    OneOf(Vec<Value>),
    Exists(bool),
    Contains(Value),
    StartsWith(String),
    EndsWith(String),
    Regex(Regex),
    Less(f64),
    Greater(f64),
    AtMost(f64),
    AtLeast(f64),
}

/// A group's name, its conditions and what they become.
type Group<'c> = (&'static str, Option<&'c [Condition]>, fn(Vec<Test>) -> Part);

impl Test {
    pub(super) fn new(from: &Condition, fields: &mut Fields) -> Result<Self, Vec<ConfigError>> {
        let (mut parts, mut errors) = (Vec::new(), Vec::new());
        let groups: [Group<'_>; 3] = [
            ("all", from.all.as_deref(), Part::All),
            ("any", from.any.as_deref(), Part::Any),
            ("none", from.none.as_deref(), Part::None),
        ];
        for (name, list, part) in groups {
            let Some(list) = list else { continue };
            if list.is_empty() {
                errors.push(ConfigError::at("", "a group without conditions").inside(name));
            }
            match prepare_all(name, list, |condition| Self::new(condition, fields)) {
                Ok(tests) => parts.push(part(tests)),
                Err(mistakes) => errors.extend(mistakes),
            }
        }
        let (operators, mistakes) = operators(from);
        errors.extend(mistakes);
        match (&from.field, operators.is_empty()) {
            (Some(field), false) => match fields.add(field) {
                Ok(field) => parts.push(Part::Field(field, operators)),
                Err(mistake) => errors.push(mistake.inside("field")),
            },
            (Some(_), true) if errors.is_empty() => {
                let message = "a field without an operator such as `equals` or `exists`";
                errors.push(ConfigError::at("", message));
            }
            (None, false) => errors.push(ConfigError::at("", "an operator without a `field`")),
            _ => {}
        }
        if parts.is_empty() && errors.is_empty() {
            errors.push(ConfigError::at(
                "",
                "no condition: name a `field`, or `all`, `any` or `none`",
            ));
        }
        if errors.is_empty() { Ok(Self { name: from.name.clone(), parts }) } else { Err(errors) }
    }

    /// Whether it holds.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.parts.iter().all(|part| match part {
            Part::All(tests) => tests.iter().all(|test| test.holds(facts)),
            Part::Any(tests) => tests.iter().any(|test| test.holds(facts)),
            Part::None(tests) => !tests.iter().any(|test| test.holds(facts)),
            Part::Field(field, operators) => {
                let fact = facts.get(field);
                operators.iter().all(|operator| operator.holds(fact))
            }
        })
    }

    /// The name that the settings gave it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

fn operators(from: &Condition) -> (Vec<Operator>, Option<ConfigError>) {
    let mut mistake = None;
    let regex = from.regex.as_deref().and_then(|text| match compile(text) {
        Ok(regex) => Some(Operator::Regex(regex)),
        Err(error) => {
            mistake = Some(error.inside("regex"));
            None
        }
    });
    let text =
        |value: &Option<String>, operator: fn(String) -> Operator| value.clone().map(operator);
    let value =
        |value: &Option<Value>, operator: fn(Value) -> Operator| value.clone().map(operator);
    let operators = [
        value(&from.equals, Operator::Equals),
        value(&from.not, Operator::Not),
        from.one_of.clone().map(Operator::OneOf),
        from.exists.map(Operator::Exists),
        value(&from.contains, Operator::Contains),
        text(&from.starts_with, Operator::StartsWith),
        text(&from.ends_with, Operator::EndsWith),
        from.less.map(Operator::Less),
        from.greater.map(Operator::Greater),
        from.at_most.map(Operator::AtMost),
        from.at_least.map(Operator::AtLeast),
        regex,
    ];
    (operators.into_iter().flatten().collect(), mistake)
}

/// Compiles a regular expression of the settings and runs it once, so that
/// what it allocates for a search is in the snapshot.
///
/// # Errors
/// When it is no regular expression, or one above a MiB.
pub fn compile(text: &str) -> Result<Regex, ConfigError> {
    let regex = regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| ConfigError::at("", error))?;
    let _warm = regex.is_match("a");
    Ok(regex)
}

impl Operator {
    fn holds(&self, fact: Option<Fact<'_>>) -> bool {
        let Some(fact) = fact else {
            return matches!(self, Self::Not(_) | Self::Exists(false));
        };
        let number = |holds: fn(&f64, &f64) -> bool, bound: &f64| {
            fact.number().is_some_and(|number| holds(&number, bound))
        };
        match self {
            Self::Equals(wanted) => equal(fact, wanted),
            Self::Not(wanted) => !equal(fact, wanted),
            Self::OneOf(list) => list.iter().any(|wanted| equal(fact, wanted)),
            Self::Exists(wanted) => *wanted,
            Self::Contains(wanted) => contains(fact, wanted),
            Self::StartsWith(start) => fact.text().starts_with(start.as_str()),
            Self::EndsWith(end) => fact.text().ends_with(end.as_str()),
            Self::Regex(regex) => regex.is_match(&fact.text()),
            Self::Less(bound) => number(f64::lt, bound),
            Self::Greater(bound) => number(f64::gt, bound),
            Self::AtMost(bound) => number(f64::le, bound),
            Self::AtLeast(bound) => number(f64::ge, bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use serde_json::json;

    const BODY: &str = r#"{"action":"opened","n":5,"draft":false,"labels":["bug"],"at":null}"#;

    fn holds(condition: Value) -> bool {
        let condition: Condition = serde_json::from_value(condition).unwrap();
        let mut fields = Fields::default();
        let test = condition.prepare(&mut fields).unwrap();
        let event = Event::sample().kind("pull_request").header("x-a", "12").body(BODY).build();
        test.holds(&fields.read(&event))
    }

    fn mistakes(condition: Value) -> Vec<String> {
        let condition: Condition = serde_json::from_value(condition).unwrap();
        let errors = condition.prepare(&mut Fields::default()).unwrap_err();
        errors.into_iter().map(|error| error.path).collect()
    }

    #[test]
    fn each_operator_holds_where_it_should() {
        let cases = [
            (json!({"field": "kind", "equals": "pull_request"}), true),
            (json!({"field": "kind", "not": "push"}), true),
            (json!({"field": "/action", "one_of": ["closed", "opened"]}), true),
            (json!({"field": "/draft", "equals": false}), true),
            (json!({"field": "/at", "exists": true}), true),
            (json!({"field": "/none", "exists": false}), true),
            (json!({"field": "/labels", "contains": "bug"}), true),
            (json!({"field": "/action", "contains": "pen"}), true),
            (json!({"field": "/action", "starts_with": "op", "ends_with": "ed"}), true),
            (json!({"field": "/action", "regex": "(?i)^OPEN"}), true),
            (json!({"field": "/n", "less": 6, "greater": 4, "at_most": 5, "at_least": 5}), true),
            (json!({"field": "header:X-A", "greater": 11.5}), true),
            (json!({"field": "/n", "less": 5}), false),
            (json!({"field": "/action", "less": 5}), false),
            (json!({"field": "/action", "starts_with": "op", "ends_with": "x"}), false),
        ];
        for (condition, expected) in cases {
            assert_eq!(holds(condition.clone()), expected, "{condition}");
        }
    }

    #[test]
    fn a_missing_field_fails_all_but_not_and_exists_false() {
        assert!(holds(json!({"field": "/x", "not": "a"})));
        for operator in ["equals", "contains", "starts_with", "ends_with", "regex"] {
            assert!(!holds(json!({"field": "/x", operator: ""})), "{operator}");
        }
        for operator in ["less", "greater", "at_most", "at_least"] {
            assert!(!holds(json!({"field": "/x", operator: 0})), "{operator}");
        }
    }

    #[test]
    fn groups_nest() {
        let yes = json!({"field": "kind", "exists": true});
        let no = json!({"field": "kind", "exists": false});
        assert!(holds(json!({"all": [yes, {"any": [no, yes]}, {"none": [no]}]})));
        assert!(!holds(json!({"any": [no, {"none": [yes]}]})));
        assert!(
            !holds(json!({"field": "kind", "exists": true, "all": [no]})),
            "a field and a group"
        );
    }

    #[test]
    fn all_mistakes_are_reported_with_their_places() {
        let bad = json!({"any": [
            {"field": "kinds", "equals": 1},
            {"all": [{"field": "/a", "regex": "("}]},
            {"equals": 1},
            {"field": "/a"},
            {},
        ]});
        let expected = ["/any/0/field", "/any/1/all/0/regex", "/any/2", "/any/3", "/any/4"];
        assert_eq!(mistakes(bad), expected);
        assert_eq!(mistakes(json!({"all": []})), ["/all"]);
    }
}
