//! The settings of a source that hold whatever protocol its events come by.
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use hookwright_model::Rules;
use hookwright_model::token_bucket::Pace;

/// What is done with the events of one source, whatever protocol they come by.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Where an event's kind is read from. Default: events have none.
    pub kind: KindFrom,
    /// What makes two events the same. None, the default: every event is new.
    pub dedupe: Option<DedupeFrom>,
    /// How many events all senders together may hand in. None, the default: any number.
    pub rate: Option<Rate>,
    /// Bytes of a body. Default 1 MiB.
    pub max_body: usize,
    /// Takes a body's `content-encoding` away: what is kept and handed on is the plain body,
    /// of at most `max_body` bytes. Default false: the body is kept as it came.
    pub decompress: bool,
    /// Levels of arrays and objects in each other, where the content type is JSON. Default 100.
    pub max_json_depth: usize,
    /// Refuses an event that breaks one of these rules. None, the default: takes all.
    pub rules: Option<Arc<Rules>>,
}

impl Default for SourceOptions {
    /// Takes anything up to 1 MiB.
    fn default() -> Self {
        Self {
            kind: KindFrom::None,
            dedupe: None,
            rate: None,
            max_body: 1024 * 1024,
            decompress: false,
            max_json_depth: 100,
            rules: None,
        }
    }
}

/// Where the provider's name for what happened is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindFrom {
    /// Nowhere: the kind is empty.
    None,
    /// A header.
    Header(HeaderName),
    /// A header's value, where it is this one.
    HeaderIs(HeaderName, HeaderValue),
    /// A JSON pointer into the body.
    Pointer(String),
    /// A field of a form.
    Form(String),
    /// The `type` of a CloudEvent, in whichever mode it comes.
    CloudEvents,
    /// The first of these that there is.
    First(Vec<KindFrom>),
}

/// Which events are duplicates: those with the same key within the window are one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeFrom {
    /// Where the key is read from.
    pub key: KeyFrom,
    /// How long a key is remembered.
    pub window: Duration,
}

/// Where the deduplication key is read from. An event without a key is taken as new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFrom {
    /// The id of Standard Webhooks: `webhook-id`, or `svix-id`.
    Id,
    /// A header.
    Header(HeaderName),
    /// A JSON pointer into the body.
    Pointer(String),
    /// A field of a form.
    Form(String),
    /// The `source` and `id` of a CloudEvent, in whichever mode it comes; a batch has none.
    CloudEvents,
    /// The whole body, byte for byte.
    Body,
    /// The first of these that there is.
    First(Vec<KeyFrom>),
    /// All of these together. An event without one of them has no key.
    All(Vec<KeyFrom>),
}

/// How many events or requests may come: the settings of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// In the long run, a second.
    pub per_s: f64,
    /// At once, after a pause. At least 1.
    pub burst: u32,
}

impl Rate {
    /// As token buckets take it.
    pub(crate) fn pace(self) -> Pace {
        Pace::per_second(self.per_s, self.burst)
    }
}
