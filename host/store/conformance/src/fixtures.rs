//! Events, deliveries and outcomes as the suite hands them to an engine.
//!
//! An engine's own tests build theirs here too, so that a new field of the
//! store's types is filled in at one place. Each is the plainest of its type;
//! a test that needs another field changes it on the value.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use hookwright_model::{
    Attempt, Delivery, DeliveryKey, Event, EventId, EventState, Name, Outcome, Payload,
};
use hookwright_store::{Dedupe, NewEvent, Next, Routed, Settled};

/// The time of the manual clock when a test begins, in milliseconds since 1970.
pub const START: u64 = 1_700_000_000_000;
/// The source of every event that [`event`] and [`keyed`] make.
pub const SOURCE: &str = "forge";

/// A name, for a source or a destination.
///
/// # Panics
/// Where the text is not a name.
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A new event of [`SOURCE`] with this body, of type `push`, declared as JSON and without a deduplication key.
pub fn event(body: &str) -> NewEvent {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    NewEvent {
        source: name(SOURCE),
        kind: "push".into(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        dedupe: None,
    }
}

/// A new event with a deduplication key (this byte 16 times), which is remembered for `window_ms` milliseconds.
pub fn keyed(key: u8, window_ms: u64) -> NewEvent {
    let window = Duration::from_millis(window_ms);
    NewEvent { dedupe: Some(Dedupe { key: [key; 16], window }), ..event("keyed") }
}

/// The first delivery of the event to this destination: the body as it came, due when the event was received, without an order key.
pub fn delivery(event: &Arc<Event>, destination: &str) -> Delivery {
    Delivery {
        event: Arc::clone(event),
        destination: name(destination),
        payload: None,
        due_ms: event.received_ms(),
        order_key: None,
        tries: 0,
        attempts: 0,
        replayed: false,
    }
}

/// A payload as a plugin makes one: another body, the headers as they came.
pub fn changed(body: &str) -> Option<Arc<Payload>> {
    let body = Some(Bytes::copy_from_slice(body.as_bytes()));
    Some(Arc::new(Payload { body, ..Payload::default() }))
}

/// An outcome of routing with these deliveries, of an event that was read from the store
/// (`first` is false) and routed at the first try.
pub fn outcome(event: &Arc<Event>, state: EventState, deliveries: Vec<Delivery>) -> Routed {
    Routed {
        event: Arc::clone(event),
        state,
        reason: None,
        verdicts: Vec::new(),
        deliveries,
        first: false,
        state_rows: Vec::new(),
        retry_ms: 0,
        tries: 1,
    }
}

/// An attempt at [`START`] of this number: answered with 200 where `next` says that it was delivered, and with 503 otherwise.
pub fn settled(id: EventId, destination: &str, number: u32, next: Next) -> Settled {
    let status = if next == Next::Delivered { 200 } else { 503 };
    let outcome = Outcome::Answered { status, retry_after_s: None, excerpt: "so".into() };
    Settled {
        key: DeliveryKey { event: id, destination: name(destination) },
        attempt: Attempt { number, at_ms: START, took_us: 5, outcome },
        next,
        ordered: true,
    }
}

/// The delivery is dead for this reason.
pub fn dead(cause: &str) -> Next {
    Next::Dead { cause: cause.into() }
}
