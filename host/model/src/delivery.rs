//! Deliveries and their attempts: (event, destination) is the unit of success and failure.
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Event, EventId, Name};

/// The unit of success and failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    /// The event that is delivered.
    pub event: EventId,
    /// Where it goes.
    pub destination: Name,
}

/// A change to the headers of a delivery; none removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeaderEdit {
    /// The header, in any case of letters.
    pub name: String,
    /// The value that takes the place of all others of that name; none removes the header.
    pub value: Option<String>,
}

/// What a delivery sends where it differs from the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// None: the event's own body, byte for byte.
    pub body: Option<Bytes>,
    /// None: the event's own.
    pub content_type: Option<String>,
    /// None: the event's own.
    pub kind: Option<String>,
    /// Changes to the event's headers, in order: a later one of the same name wins.
    pub headers: Vec<HeaderEdit>,
}

impl Payload {
    /// Whether the delivery leaves as the event came. Such a delivery keeps no payload of its own.
    pub fn is_original(&self) -> bool {
        self == &Self::default()
    }

    /// Lays a further change over what is changed already.
    pub fn overlay(&mut self, change: Self) {
        self.body = change.body.or(self.body.take());
        self.content_type = change.content_type.or(self.content_type.take());
        self.kind = change.kind.or(self.kind.take());
        self.headers.extend(change.headers);
    }
}

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event, shared with its other deliveries.
    pub event: Arc<Event>,
    /// Where it goes.
    pub destination: Name,
    /// None where the event leaves as it came.
    pub payload: Option<Arc<Payload>>,
    /// Not before, milliseconds since 1970.
    pub due_ms: u64,
    /// Deliveries to one destination that have the same key are made one after
    /// the other, in the order of their events; none: in any order.
    pub order_key: Option<Box<str>>,
    /// Attempts of the present round (a replay starts a new one): what the
    /// retry policy counts.
    pub tries: u32,
    /// Attempts ever made: what the attempt log counts.
    pub attempts: u32,
    /// A person asked for the present round, who wants it however old the event is.
    pub replayed: bool,
}

impl Delivery {
    /// What it succeeds or fails as: the name of its row, and of its outcome.
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey { event: self.event.id, destination: self.destination.clone() }
    }

    /// Whether it may be too old: not what is sent once more. Rows from before
    /// `replayed` was kept tell a replay by their counts.
    pub fn has_age(&self) -> bool {
        !self.replayed && self.tries == self.attempts
    }

    /// The bytes that leave.
    pub fn body(&self) -> &Bytes {
        self.payload.as_ref().and_then(|p| p.body.as_ref()).unwrap_or(&self.event.body)
    }

    /// The `content-type` that leaves with the body; empty where there is none.
    pub fn content_type(&self) -> &str {
        let own = self.payload.as_ref().and_then(|p| p.content_type.as_deref());
        own.unwrap_or_else(|| self.event.content_type())
    }
}

/// What has become of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Due now or later.
    Waiting,
    /// The destination answered 2xx.
    Delivered,
    /// Given up; see its cause.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// As the API, the commands and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// How an attempt ended where the destination gave no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The name did not resolve.
    Dns,
    /// The address is private, loopback or the like, and not allowed.
    Refused,
    /// No connection came about: refused, unreachable, or the proxy said no.
    Connect,
    /// The TLS handshake failed, or the destination could not prove who it is.
    Tls,
    /// The one deadline over everything passed, or that of a phase.
    Timeout,
    /// The connection broke, or the answer was no HTTP.
    Protocol,
    /// The request could not be made: a header or URL of our own is at fault.
    Request,
    /// There was nothing to prove by who sends it: no key or token that counts now.
    Credentials,
    /// A file could not be written.
    Write,
    /// It waited in vain for its turn among our own requests: nothing was sent.
    Queue,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Dns,
        Self::Refused,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Protocol,
        Self::Request,
        Self::Credentials,
        Self::Write,
        Self::Queue,
    ];

    /// As the API, the commands and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Request => "request",
            Self::Credentials => "credentials",
            Self::Write => "write",
            Self::Queue => "queue",
        }
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination answered. Only a 2xx is success.
    Answered {
        /// The status of the answer.
        status: u16,
        /// Seconds that its `retry-after` asked for, saturated.
        retry_after_s: Option<u64>,
        /// The start of its body, to a cap, for the log.
        excerpt: Bytes,
    },
    /// No answer came, or nothing was sent.
    Failed {
        /// Which failure it was.
        cause: Cause,
        /// The failure in words, for people.
        message: String,
    },
    /// The destination took it, and is of a kind without a status: a file, for example.
    Accepted,
}

impl Outcome {
    /// Whether the delivery is over and done with: a 2xx, or a destination without statuses that took it.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. } | Self::Accepted)
    }

    /// Whether nothing was sent for reasons that are neither the event's nor the
    /// destination's answer: the delivery keeps its attempts.
    pub fn is_no_attempt(&self) -> bool {
        matches!(self, Self::Failed { cause: Cause::Credentials | Cause::Queue, .. })
    }
}

/// One attempt of a delivery, as it is kept.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// From 1, over all rounds.
    pub number: u32,
    /// Start, milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it came to.
    pub outcome: Outcome,
}
