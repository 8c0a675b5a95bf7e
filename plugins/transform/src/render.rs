//! Writes the new body.
use std::borrow::Cow;

use hookwright_plugin::fields::Facts;
use hookwright_plugin::json::{Document, Kind, Node};
use hookwright_plugin::serde_json::Value;
use hookwright_plugin::{Error, Result};

use crate::Missing;
use crate::template::{Each, Part, Place, Pull, Template};

/// The body that the template makes of the event.
pub(crate) fn body(template: &Template, facts: &Facts<'_>, missing: Missing) -> Result<String> {
    let mut out = String::new();
    if !(Scope { facts, element: None, missing }).write(template, &mut out)? {
        out.push_str("null");
    }
    Ok(out)
}

/// The text that the parts make of the event; none where one is missing and
/// what is missing is left out.
pub(crate) fn text(parts: &[Part], facts: &Facts<'_>, missing: Missing) -> Result<Option<String>> {
    Scope { facts, element: None, missing }.text(parts)
}

/// Where values are looked for.
#[derive(Clone, Copy)]
struct Scope<'s> {
    facts: &'s Facts<'s>,
    element: Option<Node<'s>>,
    missing: Missing,
}

impl<'s> Scope<'s> {
    /// Writes a value, or says that there is none to write.
    fn write(self, template: &Template, out: &mut String) -> Result<bool> {
        match template {
            Template::Constant(json) => out.push_str(json),
            Template::Pull(pull) => return self.pull(pull, out),
            Template::Text(parts) => match self.text(parts)? {
                Some(text) => out.push_str(&Value::from(text).to_string()),
                None => return Ok(false),
            },
            Template::Object(members) => {
                let parts = members.iter().map(|(name, value)| (format!("{name}:"), value, self));
                list(['{', '}'], parts, out)?;
            }
            Template::Array(items) => {
                list(['[', ']'], items.iter().map(|item| (String::new(), item, self)), out)?;
            }
        }
        Ok(true)
    }

    fn pull(self, pull: &Pull, out: &mut String) -> Result<bool> {
        match (self.find(&pull.place), &pull.default, &pull.each) {
            (Some((json, _)), _, Some(each)) => self.each(&json, each, out)?,
            (Some((json, _)), _, None) => out.push_str(&json),
            (None, Some(default), _) => return self.write(default, out),
            (None, None, _) if self.leaves_out(&pull.place)? => return Ok(false),
            (None, None, _) => out.push_str("null"),
        }
        Ok(true)
    }

    /// Writes a list anew; a value that is no list counts as a list of one.
    fn each(self, json: &str, each: &Each, out: &mut String) -> Result<()> {
        let document = Document::parse(json)?;
        let root = document.root();
        let alone = (root.kind() != Kind::Array).then_some(root);
        let elements = root.items().chain(alone).take(each.limit);
        let inside = elements.map(|element| {
            let scope = Scope { facts: self.facts, element: Some(element), missing: self.missing };
            (String::new(), &*each.element, scope)
        });
        list(['[', ']'], inside, out)
    }

    fn text(self, parts: &[Part]) -> Result<Option<String>> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Pull(place) => match self.find(place) {
                    Some((_, found)) => text.push_str(&found),
                    None if self.leaves_out(place)? => return Ok(None),
                    None => {}
                },
            }
        }
        Ok(Some(text))
    }

    /// The value as JSON, and as text.
    fn find(self, place: &Place) -> Option<(Cow<'s, str>, Cow<'s, str>)> {
        match place {
            Place::Event(field) => self.facts.get(field).map(|fact| (fact.json(), fact.text())),
            Place::Element(pointer) => {
                let node = self.element?.at(pointer)?;
                Some((node.raw().into(), node.text().unwrap_or(node.raw().into())))
            }
        }
    }

    /// Whether what is missing is left out.
    fn leaves_out(self, place: &Place) -> Result<bool> {
        match self.missing {
            Missing::Null => Ok(false),
            Missing::Omit => Ok(true),
            Missing::Reject => Err(Error::reject(match place {
                Place::Element(pointer) => format!("an element has no `{pointer}`"),
                Place::Event(field) => format!("the event has no {}", self.facts.describe(field)),
            })),
        }
    }
}

/// Writes an object or an array: of each part the name, if any, and the value.
fn list<'t>(
    [open, close]: [char; 2],
    parts: impl Iterator<Item = (String, &'t Template, Scope<'t>)>,
    out: &mut String,
) -> Result<()> {
    out.push(open);
    let first = out.len();
    for (name, value, scope) in parts {
        let before = out.len();
        if before > first {
            out.push(',');
        }
        out.push_str(&name);
        if !scope.write(value, out)? {
            out.truncate(before);
        }
    }
    out.push(close);
    Ok(())
}
