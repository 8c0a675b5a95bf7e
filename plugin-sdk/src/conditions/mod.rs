//! Conditions on an event as settings write them, shared by `filter` and `route`. Feature `conditions`.
mod test;
mod value;

pub use test::{Test, compile};

use crate::ConfigError;
use serde_json::Value;

/// A condition: a field with what must hold of it, or a group of conditions.
///
/// ```toml
/// { field = "kind", one_of = ["push", "release"] }
/// { field = "/ref", starts_with = "refs/tags/" }
/// { any = [ { field = "header:x-a", exists = true }, { field = "/amount", at_least = 100 } ] }
/// ```
///
/// Of several operators all must hold. Where the event lacks the field, none
/// holds but `not` and `exists = false`.
#[crate::config]
#[derive(Debug, Clone, Default)]
#[serde(default)]
pub struct Condition {
    /// What reasons and log lines call it.
    pub name: Option<String>,
    /// All of these hold.
    pub all: Option<Vec<Condition>>,
    /// One of these holds, or more.
    pub any: Option<Vec<Condition>>,
    /// None of these holds.
    pub none: Option<Vec<Condition>>,
    /// What is looked at: `kind`, `source`, `content_type`, `id`,
    /// `header:<name>`, `attribute:<name>`, or a JSON pointer into the body.
    pub field: Option<String>,
    /// The value is this. Numbers are equal by value, headers by their text.
    pub equals: Option<Value>,
    /// The value is not this, or there is none.
    pub not: Option<Value>,
    /// The value is one of these.
    pub one_of: Option<Vec<Value>>,
    /// There is a value, or with `false` there is none. `null` is a value.
    pub exists: Option<bool>,
    /// The text holds this text; the list holds this value.
    pub contains: Option<Value>,
    /// The text begins so.
    pub starts_with: Option<String>,
    /// The text ends so.
    pub ends_with: Option<String>,
    /// The regular expression matches somewhere in the text. Anchor it with
    /// `^` and `$`; `(?i)` ignores case.
    pub regex: Option<String>,
    /// The number is less than this.
    pub less: Option<f64>,
    /// The number is greater than this.
    pub greater: Option<f64>,
    /// The number is this or less.
    pub at_most: Option<f64>,
    /// The number is this or greater.
    pub at_least: Option<f64>,
}

impl Condition {
    /// Compiles it, once, in `init`.
    ///
    /// # Errors
    /// All that is wrong with it, places from here.
    pub fn prepare(&self, fields: &mut crate::fields::Fields) -> Result<Test, Vec<ConfigError>> {
        Test::new(self, fields)
    }
}

/// Prepares each of a list, and reports the mistakes of all under `name`.
///
/// # Errors
/// All that is wrong with them, places from the level of `name`.
pub fn prepare_all<T, P>(
    name: &str,
    list: &[T],
    mut prepare: impl FnMut(&T) -> Result<P, Vec<ConfigError>>,
) -> Result<Vec<P>, Vec<ConfigError>> {
    let (mut prepared, mut errors) = (Vec::new(), Vec::new());
    for (index, item) in list.iter().enumerate() {
        match prepare(item) {
            Ok(item) => prepared.push(item),
            Err(mistakes) => {
                errors.extend(mistakes.into_iter().map(|error| error.inside(index).inside(name)));
            }
        }
    }
    if errors.is_empty() { Ok(prepared) } else { Err(errors) }
}
