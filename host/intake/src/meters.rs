//! One source's metrics of events, their handles fetched once.
use ::metrics::{Counter, counter};

use hookwright_model::metrics::{BODY_BYTES, EVENTS};

/// Counts the new events of one source.
pub(crate) struct Meters {
    body_bytes: Counter,
    events: Counter,
}

impl Meters {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            body_bytes: counter!(BODY_BYTES, "source" => source.to_owned()),
            events: counter!(EVENTS, "source" => source.to_owned()),
        }
    }

    /// A new event with so many bytes of a body is durable.
    pub(crate) fn durable(&self, body: usize) {
        self.events.increment(1);
        self.body_bytes.increment(body as u64);
    }
}
