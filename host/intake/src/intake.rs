//! The protocol-independent handling of an incoming event, up to its append to the store.
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;

use super::decode::{self, DecodeError};
use super::extraction::Envelope;
use super::fair_queue::FairQueue;
use super::refusal::Refusal;
use super::source::Source;
use hookwright_model::{EventId, METHOD, QUERY};
use hookwright_server::{Budget, Charge};
use hookwright_signing::hops::Hops;
use hookwright_store::{Appended, Dedupe, EventLog, NewEvent};

/// The sender in the byte budget for protocols without addresses: each source is one sender.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The settings that all ways in share.
#[derive(Clone)]
pub struct Options {
    /// The budget for bodies being received, in bytes. Default 64 MiB.
    pub budget: Budget,
    /// Refuses events that came back too often. Default: no loop check.
    pub hops: Option<Arc<Hops>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: Budget::new("ingress", 64 * 1024 * 1024), hops: None }
    }
}

/// Takes events in, whatever protocol they come by. Cheap to clone; clones share the byte budget and the fair queue.
#[derive(Clone)]
pub struct Intake(Arc<Shared>);

struct Shared {
    log: Arc<dyn EventLog>,
    budget: Budget,
    hops: Option<Arc<Hops>>,
    fair_queue: FairQueue,
}

/// An event that a way in has received and that is known to be the source's own.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// The sender's headers: kind and key may be read from them, and all of them are kept.
    pub headers: HeaderMap,
    /// The request that brought the event.
    pub attributes: Attributes,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// The method and query of an event's request, kept in headers of the host's own that no sender can forge.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// The method of an HTTP request. None means POST, or an event that came by another protocol.
    pub method: Option<HeaderValue>,
    /// The query of an HTTP request, without the secrets in it.
    pub query: Option<HeaderValue>,
}

/// The result for an event that was not refused: the sender may be told that it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The event is durable, with this id.
    Durable(EventId),
    /// An event with the same deduplication key was durable before, with this id.
    Duplicate(EventId),
}

/// An event that has passed every check and is to be appended.
pub(crate) struct Admitted {
    pub(crate) kind: Box<str>,
    pub(crate) dedupe: Option<Dedupe>,
    body: Bytes,
    /// Whether the body was compressed and is plain now.
    decoded: bool,
}

impl Intake {
    /// An intake in front of a store.
    pub fn new(options: Options, log: Arc<dyn EventLog>) -> Self {
        let Options { budget, hops } = options;
        Self(Arc::new(Shared { log, budget, hops, fair_queue: FairQueue::default() }))
    }

    /// Takes one event in: checks it, writes it down, and answers once it is durable. Only then may its sender get an
    /// acknowledgement. A way in that can stop pulling does so where the refusal's [class](Refusal::class) is `Busy`
    /// or `Throttled`, and hands the same event in again.
    ///
    /// The event is in the store's hands from the first poll that reaches it: dropping the future does not undo that.
    ///
    /// # Errors
    /// The event is not kept, and the sender must not be told that it was.
    pub async fn take(&self, source: &Source, candidate: Candidate) -> Result<Outcome, Refusal> {
        let Candidate { mut headers, attributes, body } = candidate;
        let mut charge = self.charge(source, NO_ADDRESS);
        if body.len() > source.max_body {
            return Err(Refusal::TooLarge { max: source.max_body });
        }
        charge.take(body.len()).map_err(|_| Refusal::Memory)?;
        let admitted = self.admit(source, Envelope::new(&headers), &body, &mut charge).await?;
        attributes.write(&mut headers);
        self.append(source, admitted, headers, charge).await
    }

    /// An empty account of the byte budget, for the bodies of one sender of the source.
    pub(crate) fn charge(&self, source: &Source, sender: IpAddr) -> Charge {
        self.0.budget.charge(sender, Some(&source.share))
    }

    /// Everything that may be refused before the event is written down, the cheapest first. The body is at most
    /// `max_body` bytes, which `charge` holds.
    pub(crate) async fn admit(
        &self,
        source: &Source,
        envelope: Envelope<'_>,
        body: &Bytes,
        charge: &mut Charge,
    ) -> Result<Admitted, Refusal> {
        let now = Instant::now();
        source.count(now)?;
        let headers = envelope.headers;
        if let Some(hops) = &self.0.hops {
            hops.check(headers).map_err(Refusal::Loop)?;
        }
        let plain = match source.decompress {
            true => decompress(headers, body, source.max_body, charge).await?,
            false => None,
        };
        let (decoded, body) = (plain.is_some(), plain.unwrap_or_else(|| body.clone()));
        let (kind, dedupe) = source.extraction.read(envelope, &body);
        source.validate(&kind, headers, &body)?;
        if !self.0.fair_queue.admit(&source.name, body.len(), self.0.log.fullness(), now) {
            return Err(Refusal::Share);
        }
        Ok(Admitted { kind, dedupe, body, decoded })
    }

    /// Writes an event down. `headers` are those to keep.
    pub(crate) async fn append(
        &self,
        source: &Source,
        admitted: Admitted,
        mut headers: HeaderMap,
        charge: Charge,
    ) -> Result<Outcome, Refusal> {
        let Admitted { kind, dedupe, body, decoded } = admitted;
        if decoded {
            headers.remove(header::CONTENT_ENCODING);
            headers.remove(header::CONTENT_LENGTH);
        }
        let (name, size) = (source.name.clone(), body.len());
        let event = NewEvent { source: name, kind, headers, body, dedupe };
        // Handed over before the first wait: from here on the event is kept even where the sender goes away.
        let appended = self.0.log.append(event).await;
        // The bytes belong to the store now, or are dropped.
        drop(charge);
        match appended.map_err(Refusal::Store)? {
            Appended::New(id) => {
                source.meters.durable(size);
                Ok(Outcome::Durable(id))
            }
            Appended::Duplicate(id) => Ok(Outcome::Duplicate(id)),
        }
    }
}

impl Attributes {
    /// Puts them into the headers, in place of what the sender wrote there.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let Self { method, query } = self;
        let mut put = |name: &HeaderName, value| {
            headers.remove(name);
            if let Some(value) = value {
                headers.insert(name, value);
            }
        };
        put(&METHOD, method);
        put(&QUERY, query);
    }
}

impl Outcome {
    /// The id of the event that is on the disk.
    pub fn id(self) -> EventId {
        let (Self::Durable(id) | Self::Duplicate(id)) = self;
        id
    }
}

/// The plain body; none where it is not compressed.
async fn decompress(
    headers: &HeaderMap,
    body: &Bytes,
    max: usize,
    charge: &mut Charge,
) -> Result<Option<Bytes>, Refusal> {
    let refused = |error| Refusal::Encoding { error, max };
    let encodings = decode::encodings(headers).map_err(refused)?;
    if encodings.is_empty() {
        return Ok(None);
    }
    let body = body.clone();
    // The account goes with the work, which continues where the sender does not wait for it.
    let mut held = charge.split();
    // Up to a large body's worth of computing: not on a thread that serves.
    let plain = tokio::task::spawn_blocking(move || {
        let plain = decode::plain(&encodings, body, max, &mut held);
        (plain, held)
    });
    let (plain, held) = plain.await.map_err(|_| refused(DecodeError::Broken))?;
    *charge = held;
    plain.map(Some).map_err(refused)
}
