//! Parts of an event that settings name by text: `kind`, `header:x-github-event`, `/pull_request/title`.
use std::borrow::Cow;
use std::collections::HashMap;

use crate::json::{Json, Pointer};
use crate::{ConfigError, Event};

/// One part of an event. Made by [`Fields::add`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `id`
    Id,
    /// `source`
    Source,
    /// `kind`
    Kind,
    /// `content_type`
    ContentType,
    /// `header:<name>`
    Header(String),
    /// `attribute:<name>`
    Attribute(String),
    /// A JSON pointer into the body; which of them in [`Facts`].
    Body(usize),
}

/// All fields that a plugin's settings name, so that one look-up in the host
/// serves them all.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    pointers: Vec<String>,
    known: HashMap<String, usize>,
}

impl Fields {
    /// Takes a field by its text.
    ///
    /// # Errors
    /// When the text names no field; its place is empty, see [`ConfigError::inside`].
    pub fn add(&mut self, text: &str) -> Result<Field, ConfigError> {
        let named = |prefix| text.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
        Ok(match text {
            "id" => Field::Id,
            "source" => Field::Source,
            "kind" => Field::Kind,
            "content_type" => Field::ContentType,
            _ if text.is_empty() || text.starts_with('/') => {
                text.parse::<Pointer>().map_err(|error| ConfigError::at("", error))?;
                Field::Body(self.pointer(text))
            }
            _ => match (named("header:"), named("attribute:")) {
                (Some(name), _) => Field::Header(name.to_ascii_lowercase()),
                (_, Some(name)) => Field::Attribute(name.to_owned()),
                _ => return Err(unknown(text)),
            },
        })
    }

    fn pointer(&mut self, text: &str) -> usize {
        let (next, pointers) = (self.pointers.len(), &mut self.pointers);
        *self.known.entry(text.to_owned()).or_insert_with(|| {
            pointers.push(text.to_owned());
            next
        })
    }

    /// The JSON pointers among them, in the order in which they were added.
    pub fn pointers(&self) -> &[String] {
        &self.pointers
    }

    /// Reads them all from an event: one walk of the host over the body.
    pub fn read<'e>(&'e self, event: &'e Event) -> Facts<'e> {
        let pointers = self.pointers.iter().map(String::as_str);
        let found = if self.pointers.is_empty() { Vec::new() } else { event.select_all(pointers) };
        Facts { event, found, pointers: &self.pointers }
    }
}

fn unknown(text: &str) -> ConfigError {
    let message = format!(
        "`{text}` is no field: use `kind`, `source`, `content_type`, `id`, `header:<name>`, \
         `attribute:<name>` or a JSON pointer such as `/action`"
    );
    ConfigError::at("", message)
}

/// What an event holds at the fields.
#[derive(Debug)]
pub struct Facts<'e> {
    event: &'e Event,
    found: Vec<Option<Json>>,
    pointers: &'e [String],
}

impl Facts<'_> {
    /// The value; none where the event has none, or an empty kind or content type.
    pub fn get(&self, field: &Field) -> Option<Fact<'_>> {
        let event = self.event;
        let text = match field {
            Field::Id => Some(event.id()),
            Field::Source => Some(event.source()),
            Field::Kind => Some(event.kind()).filter(|kind| !kind.is_empty()),
            Field::ContentType => Some(event.content_type()).filter(|value| !value.is_empty()),
            Field::Header(name) => event.header(name),
            Field::Attribute(name) => event.attribute(name),
            Field::Body(index) => return self.found.get(*index)?.as_ref().map(Fact::Json),
        };
        text.map(Fact::Text)
    }

    /// The field for people, as the settings name it.
    pub fn describe(&self, field: &Field) -> String {
        match field {
            Field::Id => "`id`".into(),
            Field::Source => "`source`".into(),
            Field::Kind => "`kind`".into(),
            Field::ContentType => "`content_type`".into(),
            Field::Header(name) => format!("header `{name}`"),
            Field::Attribute(name) => format!("attribute `{name}`"),
            Field::Body(index) => {
                format!("`{}`", self.pointers.get(*index).map_or("", String::as_str))
            }
        }
    }

    /// Whether any pointer led somewhere.
    pub fn has_body(&self) -> bool {
        self.found.iter().any(Option::is_some)
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'f> {
    /// Of the event itself.
    Text(&'f str),
    /// From the body.
    Json(&'f Json),
}

impl<'f> Fact<'f> {
    /// The text: of a string without its quotes, of other JSON as it stands.
    pub fn text(self) -> Cow<'f, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Json(json) => json.text().map_or(json.raw().into(), Cow::Owned),
        }
    }

    /// As JSON: from the body byte for byte as it stands there.
    pub fn json(self) -> Cow<'f, str> {
        match self {
            Self::Text(text) => serde_json::Value::from(text).to_string().into(),
            Self::Json(json) => json.raw().into(),
        }
    }

    /// The number, or a text that is one.
    pub fn number(self) -> Option<f64> {
        self.text().trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_field_is_read() {
        let mut fields = Fields::default();
        let names = ["source", "kind", "header:X-A", "attribute:repo", "/n", "/s", "/none", "/n"];
        let named: Vec<_> = names.iter().map(|name| fields.add(name).unwrap()).collect();
        assert_eq!(fields.pointers(), ["/n", "/s", "/none"], "each pointer is asked for once");
        let event = Event::sample()
            .header("x-a", "h")
            .attribute("repo", "r")
            .body(r#"{"n":1.50,"s":"é"}"#)
            .build();
        let facts = fields.read(&event);
        let texts: Vec<_> = named
            .iter()
            .map(|field| facts.get(field).map(|fact| fact.text().into_owned()))
            .collect();
        let expected = [Some("sample"), None, Some("h"), Some("r"), Some("1.50"), Some("é"), None];
        let expected: Vec<_> = expected.iter().map(|text| text.map(str::to_owned)).collect();
        assert_eq!(texts[..7], expected);
        assert_eq!(facts.get(&named[5]).unwrap().json(), "\"é\"");
        assert_eq!(facts.get(&named[2]).unwrap().json(), "\"h\"");
    }

    #[test]
    fn what_names_nothing_is_a_mistake() {
        for text in ["kinds", "header:", "a/b", "/~", "$.a"] {
            assert!(Fields::default().add(text).is_err(), "{text}");
        }
    }
}
