//! Makes a new JSON body from a template. Values are copied byte for byte as the host finds them.
mod parse;
mod render;
mod template;

use hookwright_plugin::fields::Fields;
use hookwright_plugin::prelude::*;
use hookwright_plugin::serde_json::Value;

use parse::Parser;
use template::{Part, Template};

/// The new event.
#[config]
pub struct Config {
    /// The new body. A text `$` and a field (`$/a/b`, `$kind`, `$header:x-a`)
    /// becomes the value there; `{{…}}` inside a text its text; `{"$": "/a/b",
    /// "default": …, "each": …, "limit": …}` the value with a default, or a
    /// list made anew. `$$` stands for `$`.
    output: Value,
    /// What becomes of a value that the event lacks, where it has no default.
    #[serde(default)]
    missing: Missing,
    /// The new kind, a text with `{{…}}`.
    kind: Option<String>,
    /// The new content type.
    #[serde(default = "json_type")]
    content_type: String,
}

/// What becomes of a missing value.
#[config]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// `null`, or nothing within a text.
    #[default]
    Null,
    /// The member or element is left out; a text with it too.
    Omit,
    /// The event is at fault, and goes to the dead letters.
    Reject,
}

fn json_type() -> String {
    "application/json".into()
}

/// The template, read.
pub struct Transform {
    fields: Fields,
    output: Template,
    kind: Option<Vec<Part>>,
    missing: Missing,
    content_type: String,
}

impl Prepare for Transform {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        let mut parser = Parser::default();
        let output = parser.template(&config.output, "/output");
        let kind = config.kind.as_deref().map(|text| parser.text(text, "/kind"));
        let (fields, errors) = parser.finish();
        if !errors.is_empty() {
            return Err(errors);
        }
        let Config { missing, content_type, .. } = config;
        Ok(Self { fields, output, kind, missing, content_type })
    }
}

/// Amends the event by the template. The event is at fault where its body is
/// no JSON and the template looks into it.
#[plugin]
pub fn handle(event: Event, transform: &Transform) -> Result<Verdict> {
    let facts = transform.fields.read(&event);
    if !transform.fields.pointers().is_empty() && !facts.has_body() && event.document().is_err() {
        return Err(Error::reject("the body is no JSON"));
    }
    let body = render::body(&transform.output, &facts, transform.missing)?;
    let mut amendment = Amendment::new().body(body).content_type(transform.content_type.as_str());
    if let Some(parts) = &transform.kind {
        amendment.kind = render::text(parts, &facts, transform.missing)?;
    }
    Ok(amendment.into())
}

#[cfg(test)]
mod tests;
