//! For a plugin's own tests, on any machine and without Wasm: sample events, settings and the log.
use std::cell::{OnceCell, RefCell};
use std::str::FromStr;

use serde::Serialize;

use crate::event::{Head, Lent};
use crate::json::{Document, Pointer};
use crate::log::Level;
use crate::{ConfigError, Event, Prepare};

pub use crate::http::double::answer_requests;
pub use crate::kv::double::pass_time;
pub use crate::responder::double::take_answer;

/// An event in the making; see [`Event::sample`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Sample {
    head: Head,
    body: Vec<u8>,
}

impl Event {
    /// An event for a test, empty JSON object and source `sample` until told otherwise:
    ///
    /// ```
    /// # use hookwright_plugin::prelude::*;
    /// let event = Event::sample().source("github").kind("push").body(r#"{"ref":"main"}"#).build();
    /// assert_eq!(event.pointer("/ref").unwrap().text().as_deref(), Some("main"));
    /// ```
    pub fn sample() -> Sample {
        let head = Head {
            id: "evt_00000000000000000000000000".into(),
            source: "sample".into(),
            content_type: "application/json".into(),
            received_ms: 1_700_000_000_000,
            ..Head::default()
        };
        Sample { head, body: b"{}".to_vec() }
    }
}

impl Sample {
    /// The name of the source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.head.source = source.into();
        self
    }

    /// The provider's name for what happened.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.head.kind = kind.into();
        self
    }

    /// The content type, `application/json` otherwise.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.head.content_type = content_type.into();
        self
    }

    /// When it was accepted, milliseconds since 1970.
    pub fn received_ms(mut self, received_ms: u64) -> Self {
        self.head.received_ms = received_ms;
        self
    }

    /// As a person asked for it again.
    pub fn replay(mut self) -> Self {
        self.head.replay = true;
        self
    }

    /// One more header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.head.headers.push((name.as_ref().to_ascii_lowercase(), value.into()));
        self
    }

    /// One more attribute.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.head.attributes.push((name.into(), value.into()));
        self
    }

    /// The body, byte for byte.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The body, written as JSON.
    ///
    /// # Panics
    /// When the value can't be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        self.body(serde_json::to_vec(value).expect("a sample that can be written as JSON"))
    }

    /// The event.
    pub fn build(self) -> Event {
        Event { head: self.head, lent: Box::new(Kept(self.body)), bytes: OnceCell::new() }
    }
}

impl From<Sample> for Event {
    fn from(sample: Sample) -> Self {
        sample.build()
    }
}

/// Reads and prepares settings as the host does at load.
///
/// # Errors
/// All that is wrong with them.
///
/// # Panics
/// When the value can't be written as JSON.
pub fn settings<P: Prepare>(config: &impl Serialize) -> Result<P, Vec<ConfigError>> {
    let json = serde_json::to_string(config).expect("settings that can be written as JSON");
    crate::settings::load(&json)
}

/// The JSON Schema of the settings, as the component will tell it to the host;
/// none where there are none.
pub fn schema<P: Prepare>() -> Option<String> {
    crate::settings::schema::<P>()
}

/// The lines that this thread logged since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    LOG.take()
}

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

#[expect(clippy::print_stderr, reason = "outside the host this is the log")]
pub(crate) fn keep_log(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
    LOG.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// A body that is here already; looked up as the host would.
struct Kept(Vec<u8>);

impl Lent for Kept {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn select(&self, pointers: Vec<String>) -> Vec<Option<String>> {
        let text = std::str::from_utf8(&self.0).ok();
        let Some(document) = text.and_then(|text| Document::parse(text).ok()) else {
            return vec![None; pointers.len()];
        };
        let find = |pointer: &String| {
            Some(document.at(&Pointer::from_str(pointer).ok()?)?.raw().to_owned())
        };
        pointers.iter().map(find).collect()
    }
}

/// Any JSON, small names and values, for property tests.
#[cfg(test)]
pub(crate) fn json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c/~\"\\\\é]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~01]{0,2}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}
