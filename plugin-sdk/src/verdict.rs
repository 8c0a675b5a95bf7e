//! What a plugin decides about an event.
use std::time::Duration;

use serde::Serialize;

use crate::Result;

/// What happens to the event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Hand the event on as it is.
    Pass,
    /// Hand the event on, changed.
    Amend(Amendment),
    /// End here; nobody gets it. The reason is kept with the event.
    Drop(String),
    /// End here; these destinations get it, at most one delivery for each.
    Deliver(Vec<Delivery>),
}

impl Verdict {
    /// Hand the event on as it is: to the next plugin, or to the source's destinations.
    pub fn pass() -> Self {
        Self::Pass
    }

    /// End here; nobody gets it. The reason is kept with the event.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }

    /// Hand the event on, changed.
    pub fn amend(amendment: Amendment) -> Self {
        Self::Amend(amendment)
    }

    /// End here; these destinations get it, by their names in the settings:
    /// `Verdict::deliver(["ci", "audit"])`, or with [`Delivery::to`].
    pub fn deliver<D: Into<Delivery>>(deliveries: impl IntoIterator<Item = D>) -> Self {
        Self::Deliver(deliveries.into_iter().map(Into::into).collect())
    }
}

impl From<Amendment> for Verdict {
    fn from(amendment: Amendment) -> Self {
        Self::Amend(amendment)
    }
}

impl From<Delivery> for Verdict {
    fn from(delivery: Delivery) -> Self {
        Self::Deliver(vec![delivery])
    }
}

/// A change to the headers that a delivery will carry; no value removes the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderEdit {
    /// In any case; the host refuses names that are its own.
    pub name: String,
    /// None removes the header.
    pub value: Option<String>,
}

/// The event, changed. What is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Amendment {
    /// The new body.
    pub body: Option<Vec<u8>>,
    /// The new content type.
    pub content_type: Option<String>,
    /// The new kind.
    pub kind: Option<String>,
    /// Changes to the headers of the deliveries to come.
    pub headers: Vec<HeaderEdit>,
    /// Added to the event's attributes, for the plugins that follow.
    pub attributes: Vec<(String, String)>,
}

impl Amendment {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The new body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The new body as JSON, with `application/json` unless a type was set.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self> {
        self.body = Some(serde_json::to_vec(value)?);
        self.content_type.get_or_insert_with(|| JSON.into());
        Ok(self)
    }

    /// The new content type.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// The new kind.
    pub fn kind(mut self, value: impl Into<String>) -> Self {
        self.kind = Some(value.into());
        self
    }

    /// Sets a header of the deliveries to come.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(HeaderEdit { name: name.into(), value: Some(value.into()) });
        self
    }

    /// Removes a header from the deliveries to come.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(HeaderEdit { name: name.into(), value: None });
        self
    }

    /// Adds an attribute, for the plugins that follow.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

/// One delivery to one destination, by its name in the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Delivery {
    /// Its name in the host's settings.
    pub destination: String,
    /// None: the event's body, byte for byte.
    pub body: Option<Vec<u8>>,
    /// None: the event's.
    pub content_type: Option<String>,
    /// Changes to the headers.
    pub headers: Vec<HeaderEdit>,
    /// Not before this long from now. The host counts whole milliseconds.
    pub delay: Duration,
    /// Deliveries of one key keep their order where the destination's `order` is `key`.
    pub order_key: Option<String>,
}

impl Delivery {
    /// The event as it is, to this destination.
    pub fn to(destination: impl Into<String>) -> Self {
        Self { destination: destination.into(), ..Self::default() }
    }

    /// Another body than the event's.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Another body, as JSON, with `application/json` unless a type was set.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self> {
        self.body = Some(serde_json::to_vec(value)?);
        self.content_type.get_or_insert_with(|| JSON.into());
        Ok(self)
    }

    /// Another content type than the event's.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(HeaderEdit { name: name.into(), value: Some(value.into()) });
        self
    }

    /// Leaves a header out.
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(HeaderEdit { name: name.into(), value: None });
        self
    }

    /// Sends it no earlier than this long from now.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Deliveries of one key keep their order where the destination's `order` is `key`.
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order_key = Some(key.into());
        self
    }
}

impl From<&str> for Delivery {
    fn from(destination: &str) -> Self {
        Self::to(destination)
    }
}

impl From<String> for Delivery {
    fn from(destination: String) -> Self {
        Self::to(destination)
    }
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_delivery_of_the_event_as_it_is() {
        let verdict = Verdict::deliver(["ci", "audit"]);
        assert_eq!(verdict, Verdict::Deliver(vec![Delivery::to("ci"), Delivery::to("audit")]));
    }

    #[test]
    fn json_sets_the_type_unless_one_was_set() {
        let plain = Delivery::to("ci").json(&[1]).unwrap();
        assert_eq!(plain.content_type.as_deref(), Some("application/json"));
        assert_eq!(plain.body.as_deref(), Some(&b"[1]"[..]));
        let typed = Amendment::new().content_type("application/cloudevents+json").json(&1).unwrap();
        assert_eq!(typed.content_type.as_deref(), Some("application/cloudevents+json"));
    }
}
