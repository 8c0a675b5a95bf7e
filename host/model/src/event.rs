//! The event: one webhook as it was accepted.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{EventId, Name};

/// The method that an event came by, a header of the host's own that the event is kept with. Missing for a POST.
pub static METHOD: HeaderName = HeaderName::from_static("hookwright-method");
/// The query that an event came by, kept in the same way, without the source's own secret. Missing where there was none.
pub static QUERY: HeaderName = HeaderName::from_static("hookwright-query");

/// One accepted webhook. Immutable: what plugins change lives in their verdicts
/// and in the deliveries' payloads.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its place in the order of acceptance.
    pub id: EventId,
    /// When it was accepted as the clock said then, milliseconds since 1970.
    pub received_ms: u64,
    /// The source that accepted it.
    pub source: Name,
    /// The provider's name for what happened; empty where unknown.
    pub kind: Box<str>,
    /// The request's headers, without those that carry credentials. Here is
    /// `content-type` too.
    pub headers: HeaderMap,
    /// As it came, byte for byte.
    pub body: Bytes,
}

impl Event {
    /// The `content-type` header as it came; empty where there was none or it
    /// is no text.
    pub fn content_type(&self) -> &str {
        let value = self.headers.get(http::header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What plugins are told beside headers and body: `http.method` and, where there was one,
    /// `http.query`, as it came and without the source's own secret.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let text = |name| self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok);
        let method = text(&METHOD).unwrap_or("POST");
        let query = text(&QUERY).map(|query| ("http.query".to_owned(), query.to_owned()));
        let method = ("http.method".to_owned(), method.to_owned());
        [method].into_iter().chain(query).collect()
    }

    /// Milliseconds since 1970.
    pub fn received_ms(&self) -> u64 {
        self.received_ms
    }
}

/// How far the routing of an event has come. What happened afterwards is in its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventState {
    /// Written down, not routed yet.
    Accepted,
    /// Routed to one destination or more.
    Routed,
    /// A plugin dropped it, with a reason.
    Dropped,
    /// A plugin rejected it, or `on_failure = "dead-letter"`.
    Dead,
    /// No plugin version could handle it; waits for a replay.
    Parked,
    /// Nothing routed it and its source names no destinations; kept.
    Unrouted,
}

impl EventState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Routed, Self::Dropped, Self::Dead, Self::Parked, Self::Unrouted];

    /// As the API, the commands and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Routed => "routed",
            Self::Dropped => "dropped",
            Self::Dead => "dead",
            Self::Parked => "parked",
            Self::Unrouted => "unrouted",
        }
    }
}
