//! The event that a plugin decides about.
use std::cell::OnceCell;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::json::{Document, Editor, Json};
use crate::{Amendment, Error, Result, Verdict};

/// One webhook, as the host accepted it or as the plugin before this one left
/// it. Its body stays with the host until [`body`](Self::body) is called.
pub struct Event {
    pub(crate) head: Head,
    pub(crate) lent: Box<dyn Lent>,
    pub(crate) bytes: OnceCell<Vec<u8>>,
}

/// All of an event but its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) content_type: String,
    pub(crate) received_ms: u64,
    pub(crate) replay: bool,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
}

/// Where the body is until it is read.
pub(crate) trait Lent {
    fn size(&self) -> u64;
    fn read(&self) -> Vec<u8>;
    fn select(&self, pointers: Vec<String>) -> Vec<Option<String>>;
}

impl Event {
    /// `evt_` and 26 characters. The same over retries and replays.
    pub fn id(&self) -> &str {
        &self.head.id
    }

    /// The name of the source in the host's settings.
    pub fn source(&self) -> &str {
        &self.head.source
    }

    /// The provider's name for what happened, `push` or `invoice.paid`; empty where unknown.
    pub fn kind(&self) -> &str {
        &self.head.kind
    }

    /// As it came, with its parameters; empty where the request had none.
    pub fn content_type(&self) -> &str {
        &self.head.content_type
    }

    /// When the host accepted it, milliseconds since 1970. Clocks show the same.
    pub fn received_ms(&self) -> u64 {
        self.head.received_ms
    }

    /// True when a person asked for the event to be handled again.
    pub fn is_replay(&self) -> bool {
        self.head.replay
    }

    /// A fact from the host or from an earlier plugin; the latest of its name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes().rev().filter(|(known, _)| *known == name);
        found.next().map(|(_, value)| value)
    }

    /// All facts from the host and from earlier plugins.
    pub fn attributes(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.head.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A request's header, the first of its name in any case. Only those that
    /// the plugin's settings name under `headers` are here.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    /// The request's headers that the plugin's settings name, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body's length in bytes, without reading it.
    pub fn size(&self) -> u64 {
        self.lent.size()
    }

    /// The body. The first call copies it from the host.
    pub fn body(&self) -> &[u8] {
        self.bytes.get_or_init(|| self.lent.read())
    }

    /// The body as text; none where it is no UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.body()).ok()
    }

    /// The JSON value at the pointer, `/pull_request/title`. The host looks it
    /// up, so a large body costs the plugin nothing; ask for several at once
    /// with [`select`](Self::select).
    pub fn pointer(&self, pointer: &str) -> Option<Json> {
        let [found] = self.select([pointer]);
        found
    }

    /// The JSON values at the pointers, in one walk of the host over the body;
    /// none where a pointer leads nowhere or the body is no JSON.
    pub fn select<const N: usize>(&self, pointers: [&str; N]) -> [Option<Json>; N] {
        let mut found = self.select_all(pointers).into_iter();
        std::array::from_fn(|_| found.next().flatten())
    }

    /// [`select`](Self::select) for a number of pointers that the settings decide.
    pub fn select_all<'p>(&self, pointers: impl IntoIterator<Item = &'p str>) -> Vec<Option<Json>> {
        let pointers = pointers.into_iter().map(str::to_owned).collect();
        self.lent.select(pointers).into_iter().map(|raw| raw.map(Json::new)).collect()
    }

    /// The body as a type of yours.
    ///
    /// # Errors
    /// [`Error::reject`] when the body is no JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        // As the host's own look-ups do.
        let body = self.body();
        serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
            .map_err(|error| Error::reject(format!("the body: {error}")))
    }

    /// The body's text with the place of each JSON value in it.
    ///
    /// # Errors
    /// [`Error::reject`] when the body is no JSON.
    pub fn document(&self) -> Result<Document<'_>> {
        let text = self.text().ok_or_else(|| Error::reject("the body: no UTF-8"))?;
        Document::parse(text).map_err(|error| Error::reject(format!("the body: {error}")))
    }

    /// Edits the body in place: all bytes outside the edits stay as they came,
    /// and the verdict is `pass` where nothing changed.
    ///
    /// ```
    /// # use hookwright_plugin::prelude::*;
    /// fn handle(event: Event) -> Result<Verdict> {
    ///     event.edit_json(|body, edit| {
    ///         for email in body.all(&"/users/*/email".parse()?) {
    ///             edit.replace(email, "hidden")?;
    ///         }
    ///         Ok(())
    ///     })
    /// }
    /// # let event = Event::sample().body(r#"{ "users": [{"email": "a@b.c", "n": 1.0}] }"#).build();
    /// # let Verdict::Amend(amendment) = handle(event).unwrap() else { panic!() };
    /// # assert_eq!(amendment.body.unwrap(), br#"{ "users": [{"email": "hidden", "n": 1.0}] }"#);
    /// ```
    ///
    /// # Errors
    /// [`Error::reject`] when the body is no JSON; and what the function answers.
    pub fn edit_json(
        &self,
        change: impl for<'d> FnOnce(&'d Document<'d>, &mut Editor<'d>) -> Result<()>,
    ) -> Result<Verdict> {
        let document = self.document()?;
        let mut edit = document.edit();
        change(&document, &mut edit)?;
        Ok(match edit.finish() {
            Some(text) => Amendment::new().body(text).into(),
            None => Verdict::Pass,
        })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("head", &self.head).field("size", &self.size()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_read_once_and_looked_up_without_reading() {
        let event = Event::sample().body(r#"{"a":{"b":1.50},"s":"x\n"}"#).build();
        let [number, text, none] = event.select(["/a/b", "/s", "/none"]);
        assert_eq!(number.unwrap().raw(), "1.50");
        assert_eq!(text.unwrap().text().as_deref(), Some("x\n"));
        assert_eq!(none, None);
        assert_eq!(event.bytes.get(), None, "nothing was read yet");
        assert_eq!(event.body().len() as u64, event.size());
    }

    #[test]
    fn regression_a_byte_order_mark_in_front_is_no_part_of_the_json() {
        let event = Event::sample().body("\u{feff}{\"a\":7}").build();
        assert_eq!(event.json::<serde_json::Value>().unwrap()["a"], 7);
        assert_eq!(event.pointer("/a").unwrap().raw(), "7");
    }

    #[test]
    fn headers_in_any_case_and_the_latest_attribute() {
        let event = Event::sample()
            .header("X-GitHub-Event", "push")
            .attribute("repo", "old")
            .attribute("repo", "new")
            .build();
        assert_eq!(event.header("x-github-event"), Some("push"));
        assert_eq!(event.attribute("repo"), Some("new"));
        assert_eq!(event.attribute("none"), None);
    }

    #[test]
    fn a_body_that_is_no_json_is_the_events_fault() {
        let event = Event::sample().body("{").build();
        assert_eq!(event.pointer("/a"), None);
        let error = event.json::<serde_json::Value>().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Reject);
        assert_eq!(event.document().unwrap_err().kind(), crate::ErrorKind::Reject);
    }
}
