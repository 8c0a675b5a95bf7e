//! Reads a template from the settings' JSON, and all of its mistakes.
use hookwright_plugin::ConfigError;
use hookwright_plugin::fields::Fields;
use hookwright_plugin::json::Pointer;
use hookwright_plugin::serde_json::{Map, Value};

use crate::template::{Each, Part, Place, Pull, Template};

#[derive(Default)]
pub(crate) struct Parser {
    fields: Fields,
    errors: Vec<ConfigError>,
    /// Inside an `each`, where pointers begin at the element.
    in_element: bool,
}

impl Parser {
    pub(crate) fn finish(self) -> (Fields, Vec<ConfigError>) {
        (self.fields, self.errors)
    }

    /// Reads a value; `path` is its place in the settings.
    pub(crate) fn template(&mut self, value: &Value, path: &str) -> Template {
        let template = match value {
            Value::String(text) => self.string(text, path),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Template::Array(
                    items.map(|(at, item)| self.template(item, &format!("{path}/{at}"))).collect(),
                )
            }
            Value::Object(members) if members.contains_key("$") => self.special(members, path),
            Value::Object(members) => {
                let read = |(name, value): (&String, &Value)| {
                    let inner = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                    (Value::from(name.as_str()).to_string(), self.template(value, &inner))
                };
                Template::Object(members.iter().map(read).collect())
            }
            constant => Template::Constant(constant.to_string()),
        };
        let constant = match &template {
            Template::Array(items) => items.iter().all(is_constant),
            Template::Object(members) => members.iter().all(|(_, value)| is_constant(value)),
            _ => false,
        };
        if constant { Template::Constant(value.to_string()) } else { template }
    }

    fn string(&mut self, text: &str, path: &str) -> Template {
        if let Some(literal) = text.strip_prefix("$$") {
            return Template::Constant(Value::from(format!("${literal}")).to_string());
        }
        if let Some(field) = text.strip_prefix('$') {
            let Some(place) = self.place(field, path) else { return nothing() };
            return Template::Pull(Pull { place, default: None, each: None });
        }
        if text.contains("{{") {
            return Template::Text(self.text(text, path));
        }
        Template::Constant(Value::from(text).to_string())
    }

    /// Reads a text with `{{…}}` in it.
    pub(crate) fn text(&mut self, text: &str, path: &str) -> Vec<Part> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            let Some((field, after)) = after.split_once("}}") else {
                self.wrong(path, "`{{` without `}}`");
                return parts;
            };
            parts.extend(self.place(field.trim(), path).map(Part::Pull));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        parts
    }

    /// Reads `{"$": …, "default": …, "each": …, "limit": …}`.
    fn special(&mut self, members: &Map<String, Value>, path: &str) -> Template {
        for name in members
            .keys()
            .filter(|name| !["$", "default", "each", "limit"].contains(&name.as_str()))
        {
            self.wrong(path, &format!("`{name}` beside `$`: only `default`, `each` and `limit`"));
        }
        let default = members.get("default");
        let default =
            default.map(|value| Box::new(self.template(value, &format!("{path}/default"))));
        let place = match members.get("$") {
            Some(Value::String(field)) => {
                self.place(field.strip_prefix('$').unwrap_or(field), path)
            }
            _ => {
                self.wrong(path, "`$` is no text");
                None
            }
        };
        let limit = match members.get("limit") {
            None => usize::MAX,
            Some(limit) => {
                limit.as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or_else(|| {
                    self.wrong(&format!("{path}/limit"), "no count");
                    0
                })
            }
        };
        let each = members.get("each").map(|element| {
            let outer = std::mem::replace(&mut self.in_element, true);
            let element = Box::new(self.template(element, &format!("{path}/each")));
            self.in_element = outer;
            Each { element, limit }
        });
        if each.is_none() && members.contains_key("limit") {
            self.wrong(path, "`limit` without `each`");
        }
        place.map_or_else(nothing, |place| Template::Pull(Pull { place, default, each }))
    }

    fn place(&mut self, field: &str, path: &str) -> Option<Place> {
        let in_element = self.in_element && (field.is_empty() || field.starts_with('/'));
        let place = if in_element {
            field.parse::<Pointer>().map(Place::Element).map_err(|error| error.to_string())
        } else {
            self.fields.add(field).map(Place::Event).map_err(|error| error.message)
        };
        place.map_err(|message| self.wrong(path, &message)).ok()
    }

    fn wrong(&mut self, path: &str, message: &str) {
        self.errors.push(ConfigError::at(path, message));
    }
}

fn nothing() -> Template {
    Template::Constant("null".into())
}

fn is_constant(template: &Template) -> bool {
    matches!(template, Template::Constant(_))
}
