//! The settings of a plugin as a person reads them, from the JSON Schema in its component.
use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use hookwright_model::printable;

/// Tables in tables that are shown; a condition within a condition says nothing new.
const DEPTH: usize = 3;
/// Where the description of a setting begins, at the least.
const COLUMN: usize = 30;
/// Schemas that are looked into for one setting.
const STEPS: u32 = 200;

/// One line for each setting: its name, its kind, what it is for.
pub(super) fn render(schema: Option<&str>) -> String {
    let Some(text) = schema else { return "  settings   none\n".to_owned() };
    let Ok(schema) = serde_json::from_str::<Value>(text) else {
        return "  settings   its schema is not JSON\n".to_owned();
    };
    let mut out = "  settings\n".to_owned();
    let mut page =
        Page { root: &schema, shown: BTreeSet::new(), left: Cell::new(STEPS), out: &mut out };
    page.table(&schema, 0);
    out
}

struct Page<'s> {
    root: &'s Value,
    /// Definitions that were shown: they may hold themselves.
    shown: BTreeSet<&'s str>,
    /// Steps that are left for one setting: a definition may lead back to itself, and
    /// by many ways at once.
    left: Cell<u32>,
    out: &'s mut String,
}

impl<'s> Page<'s> {
    fn table(&mut self, schema: &'s Value, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required = schema.get("required").and_then(Value::as_array);
        for (name, property) in properties {
            self.left.set(STEPS);
            let must = required.is_some_and(|all| all.iter().any(|one| one == name.as_str()));
            self.line(name, property, must, depth);
            if let Some((definition, inner)) = self.inner(property)
                && depth + 1 < DEPTH
                && definition.is_none_or(|definition| self.shown.insert(definition))
            {
                self.table(inner, depth + 1);
            }
        }
    }

    fn line(&mut self, name: &str, property: &Value, must: bool, depth: usize) {
        let mut head = format!(
            "{:indent$}{}  {}",
            "",
            printable(name),
            self.kind(property),
            indent = 4 + 2 * depth
        );
        if must {
            head.push_str(", required");
        } else if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
            head.push_str(&format!(", {default} otherwise"));
        }
        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let first = text.split("\n\n").next().unwrap_or_default();
        let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = format!("{head:COLUMN$}  {first}");
        self.out.push_str(&format!("{}\n", printable(line.trim_end())));
    }

    /// The table that a setting is, or is a list of, with the name of its definition.
    fn inner(&self, property: &'s Value) -> Option<(Option<&'s str>, &'s Value)> {
        self.step()?;
        let (name, schema) = self.resolved(property);
        if schema.get("properties").is_some() {
            return Some((name, schema));
        }
        if let Some(items) = schema.get("items") {
            return self.inner(items);
        }
        let any = schema.get("anyOf")?.as_array()?;
        any.iter().find_map(|branch| self.inner(branch))
    }

    fn resolved(&self, schema: &'s Value) -> (Option<&'s str>, &'s Value) {
        let target = schema.get("$ref").and_then(Value::as_str);
        let found = target.and_then(|target| self.root.pointer(target.strip_prefix('#')?));
        (target, found.unwrap_or(schema))
    }

    fn step(&self) -> Option<()> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some(())
    }

    /// In the words of the settings file.
    fn kind(&self, property: &'s Value) -> String {
        if self.step().is_none() {
            return "any".to_owned();
        }
        let (_, schema) = self.resolved(property);
        if let Some(words) = words(schema) {
            return words;
        }
        if let Some(branches) =
            schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array)
        {
            let kinds = branches.iter().filter(|branch| branch["type"] != "null");
            return kinds.map(|branch| self.kind(branch)).collect::<Vec<_>>().join(" or ");
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let name = |one: &str| match one {
            "string" => "text".to_owned(),
            "integer" => "whole number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "object" => "table".to_owned(),
            "array" => match schema.get("items").map(|items| self.kind(items)) {
                Some(kind) if kind != "any" => format!("list of {kind}"),
                _ => "list".to_owned(),
            },
            other => other.to_owned(),
        };
        let kinds: Vec<_> = types.into_iter().filter(|one| *one != "null").map(name).collect();
        match kinds.is_empty() {
            true if schema.get("properties").is_some() => "table".to_owned(),
            true => "any".to_owned(),
            false => kinds.join(" or "),
        }
    }
}

/// The words of an enumeration.
fn words(schema: &Value) -> Option<String> {
    let all: Vec<&Value> = match (schema.get("enum"), schema.get("oneOf"), schema.get("const")) {
        (Some(Value::Array(all)), ..) => all.iter().collect(),
        (_, Some(Value::Array(branches)), _) => branches
            .iter()
            .map(|branch: &Value| branch.as_object().and_then(constant))
            .collect::<Option<_>>()?,
        (.., Some(one)) => vec![one],
        _ => return None,
    };
    Some(all.into_iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
}

fn constant(branch: &Map<String, Value>) -> Option<&Value> {
    branch.get("const")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault: a schema of a stranger's component ended the command that looks at it.
    #[test]
    fn regression_a_definition_that_leads_back_to_itself_ends() {
        let schema = r##"{"properties": {
            "list": {"$ref": "#/$defs/L"}, "any": {"$ref": "#/$defs/A"}, "loop": {"$ref": "#/$defs/R"}},
            "$defs": {
                "L": {"type": "array", "items": {"$ref": "#/$defs/L"}},
                "A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}, {"type": "string"}]},
                "R": {"$ref": "#/$defs/R"}}}"##;
        let page = render(Some(schema));
        assert_eq!(page.lines().count(), 4, "{page}");
        assert!(page.contains("list of list of"), "{page}");
    }

    #[test]
    fn each_setting_has_a_line_and_a_definition_that_holds_itself_ends() {
        let schema = r##"{"properties": {
            "keep": {"description": "One of these\nmust hold.\n\nMore.", "type": "array", "items": {"$ref": "#/$defs/C"}},
            "mode": {"oneOf": [{"const": "first"}, {"const": "all"}]},
            "share": {"type": ["number", "null"], "default": 0.5}},
            "required": ["mode"],
            "$defs": {"C": {"properties": {
                "any": {"type": ["array", "null"], "items": {"$ref": "#/$defs/C"}},
                "field": {"type": ["string", "null"], "default": null}}}}}"##;
        let page = render(Some(schema));
        let lines: Vec<_> = page
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "settings",
                "keep list of table One of these must hold.",
                "any list of table",
                "field text",
                "mode \"first\", \"all\", required",
                "share number, 0.5 otherwise",
            ]
        );
        assert_eq!(render(None), "  settings   none\n");
        assert!(render(Some("{")).contains("not JSON"));
    }
}
