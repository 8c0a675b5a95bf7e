//! OpenTelemetry spans of events: which events are sampled, each span's place in its trace, and the export queue.
//!
//! All ids derive from the event's, so that nothing is stored for them, and a
//! retry after a restart joins the trace that it belongs to.
mod otlp;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri};
use metrics::{Counter, counter};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

pub use otlp::{Complaint, Resource, complaint, document};

use hookwright_model::metrics::TRACE_SPANS;
use hookwright_model::trace::{self, Parent, TRACEPARENT};
use hookwright_model::{Attempt, Decision, Delivery, Event, Name, Outcome, Share, VerdictRecord};

/// Spans that wait to be exported; what comes beyond is dropped and counted.
pub const WAITING: usize = 8_192;
/// Bytes of a collector's response that are read; a longer one counts as a success.
pub const ANSWER_BYTES: usize = 16 * 1024;

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Within the host.
    Internal,
    /// A request to the host.
    Server,
    /// A request by the host.
    Client,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// One step, as it is exported. Never a body, never a secret.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: u128,
    /// Its own id, unique in the trace.
    pub id: u64,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// What was done.
    pub name: String,
    /// The kind of the span.
    pub role: Role,
    /// Microseconds since 1970.
    pub start_us: u64,
    /// Its length in microseconds.
    pub took_us: u64,
    /// Its attributes, with OpenTelemetry's names.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Records the spans of a sample of all events. If a source says whether its
/// trace is sampled, that decides.
pub struct Spans {
    queue: mpsc::Sender<Span>,
    /// The sampled share of events without a trace of their own.
    share: Share,
    dropped: Counter,
}

/// The server of an attempt. The rest of its URL is not recorded, since it may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// A host name, or an address without brackets.
    pub address: String,
    /// The one of the URL, or its scheme's.
    pub port: u16,
}

impl Server {
    /// None where the URL names no host, or no port and a scheme without one.
    pub fn of(url: &Uri) -> Option<Self> {
        let default = match url.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        };
        let address = url.host()?.trim_matches(['[', ']']).to_owned();
        Some(Self { address, port: url.port_u16().or(default)? })
    }
}

/// An event's place in its trace.
#[derive(Clone, Copy)]
struct Place<'e> {
    event: &'e Event,
    trace: u128,
    parent: Option<u64>,
}

impl Spans {
    /// With where they come out.
    pub fn new(share: Share) -> (Arc<Self>, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(WAITING);
        let dropped = counter!(TRACE_SPANS, "result" => "dropped");
        (Arc::new(Self { queue, share, dropped }), spans)
    }

    /// None if the event is not sampled.
    fn place<'e>(&self, event: &'e Event) -> Option<Place<'e>> {
        if let Some(Parent { trace, span, sampled }) = trace::parent(&event.headers) {
            return sampled.then_some(Place { event, trace, parent: Some(span) });
        }
        if !self.share.holds(spread(event)) {
            return None;
        }
        let hash = hash(event, b"trace");
        let trace = u128::from_be_bytes(hash[..16].try_into().expect("sixteen bytes"));
        Some(Place { event, trace, parent: None })
    }

    /// Records the plugins' spans of an event whose routing ends now, at `now_us` since 1970, and, if it is the
    /// `first` time, the span of its receipt.
    pub fn routed(&self, event: &Event, first: bool, verdicts: &[VerdictRecord], now_us: u64) {
        let Some(place) = self.place(event) else { return };
        let took: u64 = verdicts.iter().map(|record| record.took_us).sum();
        let mut start_us = now_us.saturating_sub(took);
        if first {
            let received_us = event.received_ms().saturating_mul(1_000);
            self.push(Span {
                parent: place.parent,
                attributes: place.about(),
                ..place.span(
                    (b"event", &[]),
                    format!("receive {}", event.source),
                    Role::Server,
                    (received_us, start_us.saturating_sub(received_us)),
                )
            });
        }
        for (index, record) in verdicts.iter().enumerate() {
            let round = [now_us.to_be_bytes(), (index as u64).to_be_bytes()].concat();
            let text = |text: &str| Value::Text(text.to_owned());
            let mut attributes = place.about();
            attributes.push(("hookwright.plugin", text(&record.plugin)));
            attributes.push(("hookwright.verdict", text(verdict(&record.decision))));
            let digest = record.digest.map(|digest| Value::Text(digest.to_string()));
            attributes.extend(digest.map(|digest| ("hookwright.plugin.digest", digest)));
            // The message is not recorded: it may contain parts of the body.
            let failed = matches!(
                record.decision,
                Decision::Fail(_) | Decision::Reject(_) | Decision::Retry(_)
            );
            self.push(Span {
                attributes,
                error: failed
                    .then(|| format!("the plugin's verdict: {}", verdict(&record.decision))),
                ..place.span(
                    (b"plugin", &round),
                    format!("plugin {}", record.plugin),
                    Role::Internal,
                    (start_us, record.took_us),
                )
            });
            start_us = start_us.saturating_add(record.took_us);
        }
    }

    /// Records an attempt that has ended; `server` is that of a destination over HTTP.
    pub fn attempted(
        &self,
        delivery: &Delivery,
        attempt: &Attempt,
        server: Option<&Server>,
        good: bool,
    ) {
        let Some(place) = self.place(&delivery.event) else { return };
        let mut attributes = place.about();
        let destination = Value::Text(delivery.destination.to_string());
        attributes.push(("hookwright.destination", destination));
        attributes.push(("hookwright.attempt", Value::Number(attempt.number.into())));
        if let Some(Server { address, port }) = server {
            attributes.push(("http.request.method", Value::Text("POST".to_owned())));
            attributes.push(("server.address", Value::Text(address.clone())));
            attributes.push(("server.port", Value::Number((*port).into())));
        }
        let error = match &attempt.outcome {
            Outcome::Answered { status, .. } => {
                attributes.push(("http.response.status_code", Value::Number((*status).into())));
                (!good).then(|| (status.to_string(), format!("answered {status}")))
            }
            Outcome::Failed { cause, message } => {
                Some((cause.as_str().to_owned(), message.clone()))
            }
            Outcome::Accepted => None,
        };
        let error = error.map(|(kind, message)| {
            attributes.push(("error.type", Value::Text(kind)));
            message
        });
        let times = (attempt.at_ms.saturating_mul(1_000), attempt.took_us);
        let key = of_attempt(&delivery.destination, attempt.number);
        let name = format!("deliver {}", delivery.destination);
        let span = place.span((b"attempt", &key), name, Role::Client, times);
        self.push(Span { attributes, error, ..span });
    }

    /// Writes the coming attempt into its headers, as the parent of the receiver's
    /// spans. Leaves them unchanged if the event is not sampled.
    pub fn pass_on(&self, delivery: &Delivery, headers: &mut HeaderMap) {
        let Some(place) = self.place(&delivery.event) else { return };
        let number = delivery.attempts.saturating_add(1);
        let id = place.id(b"attempt", &of_attempt(&delivery.destination, number));
        let text = format!("00-{:032x}-{id:016x}-01", place.trace);
        let value = HeaderValue::try_from(text).expect("digits and dashes stand in a header");
        headers.insert(TRACEPARENT, value);
    }

    fn push(&self, span: Span) {
        // Nothing waits for a collector.
        if self.queue.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }
}

impl Place<'_> {
    fn id(&self, step: &[u8], key: &[u8]) -> u64 {
        let hash = hash(self.event, &[step, b" ", key].concat());
        // Zero is not an id.
        u64::from_be_bytes(hash[..8].try_into().expect("eight bytes")).max(1)
    }

    fn span(
        &self,
        (step, key): (&[u8], &[u8]),
        name: String,
        role: Role,
        (start_us, took_us): (u64, u64),
    ) -> Span {
        Span {
            trace: self.trace,
            id: self.id(step, key),
            parent: Some(self.id(b"event", &[])),
            name,
            role,
            start_us,
            took_us,
            attributes: Vec::new(),
            error: None,
        }
    }

    /// What each of its spans says.
    fn about(&self) -> Vec<(&'static str, Value)> {
        let mut about = vec![
            ("hookwright.event.id", Value::Text(self.event.id.to_string())),
            ("hookwright.source", Value::Text(self.event.source.to_string())),
        ];
        if !self.event.kind.is_empty() {
            about.push(("hookwright.event.kind", Value::Text(self.event.kind.to_string())));
        }
        about
    }
}

fn of_attempt(destination: &Name, number: u32) -> Vec<u8> {
    [destination.as_str().as_bytes(), b" ", &number.to_be_bytes()].concat()
}

/// Evenly over all of 64 bits, and always the same for an event (the finalizer of SplitMix64).
fn spread(event: &Event) -> u64 {
    let mut mixed = event.id.row().cast_unsigned() ^ event.id.node();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn hash(event: &Event, of: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new_with_prefix(event.id.row().to_be_bytes());
    sha.update(event.id.node().to_be_bytes());
    sha.update(of);
    sha.finalize().into()
}

fn verdict(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Amend => "amend",
        Decision::Drop(_) => "drop",
        Decision::Deliver(_) => "deliver",
        Decision::Retry(_) => "retry",
        Decision::Reject(_) => "reject",
        Decision::Fail(_) => "fail",
    }
}

#[cfg(test)]
mod tests;
