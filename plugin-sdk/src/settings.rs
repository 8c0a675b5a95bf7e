//! From the settings' JSON to what a plugin keeps over all events.
use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

/// What a plugin makes of its settings, once, when the host loads it. Every
/// event starts from the result, so whatever is compiled or looked up here is
/// paid for once. A type that is only read from the settings needs none of
/// this: it is its own `Prepare`.
///
/// ```
/// # use hookwright_plugin::prelude::*;
/// #[config]
/// struct Config { words: Vec<String> }
///
/// struct Words(std::collections::HashSet<String>);
///
/// impl Prepare for Words {
///     type Config = Config;
///     fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
///         if config.words.is_empty() {
///             return Err(vec![ConfigError::at("/words", "name one word at least")]);
///         }
///         Ok(Self(config.words.into_iter().collect()))
///     }
/// }
///
/// #[plugin]
/// fn handle(event: Event, words: &Words) -> Result<Verdict> {
///     Ok(if words.0.contains(event.kind()) { Verdict::pass() } else { Verdict::drop("no word") })
/// }
/// ```
pub trait Prepare: Sized + Send + Sync + 'static {
    /// The settings, as a person writes them.
    type Config: DeserializeOwned + JsonSchema;

    /// Checks the settings and prepares what the events need.
    ///
    /// # Errors
    /// All that is wrong with the settings, each with its place.
    fn prepare(config: Self::Config) -> Result<Self, Vec<ConfigError>>;
}

impl<C: DeserializeOwned + JsonSchema + Send + Sync + 'static> Prepare for C {
    type Config = C;

    fn prepare(config: C) -> Result<C, Vec<ConfigError>> {
        Ok(config)
    }
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// JSON pointer into the settings; empty means all of them.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ConfigError {
    /// A mistake at this JSON pointer.
    pub fn at(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }

    /// The same mistake, one level further in: for parts that check themselves.
    pub fn inside(mut self, name: impl fmt::Display) -> Self {
        let name = name.to_string().replace('~', "~0").replace('/', "~1");
        self.path = format!("/{name}{}", self.path);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for ConfigError {}

/// Stands for the settings of a plugin that has none: any setting is a mistake.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads and prepares the settings; empty text stands for `{}`.
pub(crate) fn load<P: Prepare>(json: &str) -> Result<P, Vec<ConfigError>> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    let mut parser = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = pointer(error.path());
        vec![ConfigError { path, message: plain(&error.into_inner()) }]
    })?;
    P::prepare(config)
}

/// The schema of the settings, or none where there are none.
pub(crate) fn schema<P: Prepare>() -> Option<String> {
    let schema = schemars::schema_for!(P::Config);
    let none = <P::Config as JsonSchema>::schema_id() == <NoConfig as JsonSchema>::schema_id();
    if none { None } else { serde_json::to_string(&schema).ok() }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let name: Cow<'_, str> = match segment {
            Segment::Seq { index } => index.to_string().into(),
            Segment::Map { key } => key.as_str().into(),
            // A variant is no level of its own in the text, and an unknown one has no name.
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// Without line and column: people write the settings in another format.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[derive(Debug, Deserialize, JsonSchema, Default, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        keep: Vec<String>,
    }

    #[test]
    fn empty_settings_are_an_empty_object() {
        assert_eq!(load::<Config>(""), Ok(Config::default()));
        assert_eq!(load::<Config>(r#"{"keep":["a"]}"#), Ok(Config { keep: vec!["a".into()] }));
        assert!(load::<NoConfig>(" ").is_ok());
        assert!(load::<NoConfig>(r#"{"a":1}"#).is_err());
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let errors = load::<Config>(r#"{"keep":["a",7]}"#).unwrap_err();
        assert_eq!(errors[0].path, "/keep/1");
        assert_eq!(errors[0].message, "invalid type: integer `7`, expected a string");
        let errors = load::<Config>(r#"{"kep":[]}"#).unwrap_err();
        assert_eq!(errors[0].message, "unknown field `kep`, expected `keep`");
    }

    #[test]
    fn only_real_settings_have_a_schema() {
        assert!(schema::<Config>().unwrap().contains("2020-12"));
        assert_eq!(schema::<NoConfig>(), None);
    }

    #[test]
    fn a_mistake_moves_outward() {
        let error = ConfigError::at("/x", "bad").inside(3).inside("a/b");
        assert_eq!(error.to_string(), "/a~1b/3/x: bad");
    }
}
