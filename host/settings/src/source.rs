//! A source: how it is reached by HTTP, what its clients must prove, and what is done with its events.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use rustls::pki_types::ServerName;

use hookwright_model::{Rate, Rules};
use hookwright_signing::{Secret, Verify};

/// What is done with the events of one source, whatever protocol they come by.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Where an event's kind is read from. None, the default: events have none.
    pub kind: Option<Selector>,
    /// What makes two events the same. None, the default: every event is new.
    pub dedupe: Option<Dedupe>,
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
            kind: None,
            dedupe: None,
            rate: None,
            max_body: 1024 * 1024,
            decompress: false,
            max_json_depth: 100,
            rules: None,
        }
    }
}

/// A part of a request that an event's kind or its deduplication key is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// A header.
    Header(HeaderName),
    /// A header's value, where it is this one. Of a key: the header, whatever its value.
    HeaderIs(HeaderName, HeaderValue),
    /// A JSON pointer (RFC 6901) into the body.
    Json(String),
    /// A field of a form.
    Form(String),
    /// Of a CloudEvent, in whichever mode it comes: as a kind its `type`, as a key its `source` and `id` together. A
    /// batch has no key.
    CloudEvents,
    /// The id of Standard Webhooks: `webhook-id`, or `svix-id`. Not a kind.
    Id,
    /// The whole body, byte for byte. Not a kind.
    Body,
    /// The first of these that there is.
    First(Vec<Selector>),
    /// All of these together; an event without one of them has no key. Not a kind.
    All(Vec<Selector>),
}

/// Which events are duplicates: those with the same key within the window are one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// Where the key is read from. An event without a key is taken as new.
    pub key: Selector,
    /// How long a key is remembered.
    pub window: Duration,
}

/// How one source is reached by HTTP, and what its clients must prove.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// What holds for its events whatever protocol they come by.
    pub source: SourceOptions,
    /// The scheme by which requests are verified. Default: none, all are believed.
    pub verify: Verify,
    /// One of them must follow the name in the path. Default: empty, and none may.
    pub tokens: Vec<Secret>,
    /// Refuses what did not come encrypted. Default false.
    pub require_tls: bool,
    /// Which client certificates are asked for. None, the default: none.
    pub client: Option<ClientPins>,
    /// Which clients may post. Empty, the default: all.
    pub allow: Vec<IpNet>,
    /// Requests of each client by itself; an IPv6 network of 64 bits is one client. None, the default: any number.
    pub rate_per_address: Option<Rate>,
    /// Takes anything of any method unverified, and keeps the method and the query with it. Default false.
    pub bin: bool,
    /// The methods by which events come. Default POST. A bin takes any.
    pub methods: Vec<Method>,
    /// What an accepted event is answered with. None, the default: `success` or, for a duplicate,
    /// 200, and the event's id as JSON.
    pub answer: Option<Answer>,
    /// A status that the provider counts as success. Default 202.
    pub success: StatusCode,
    /// Waits so long for what a plugin answers, where one may. None, the default: does not wait.
    pub respond_within: Option<Duration>,
}

impl Default for EndpointOptions {
    /// Takes anything from anybody, up to 1 MiB.
    fn default() -> Self {
        SourceOptions::default().into()
    }
}

impl From<SourceOptions> for EndpointOptions {
    /// An endpoint without any protection, for these events.
    fn from(source: SourceOptions) -> Self {
        Self {
            source,
            verify: Verify::None,
            tokens: Vec::new(),
            require_tls: false,
            client: None,
            allow: Vec::new(),
            rate_per_address: None,
            bin: false,
            methods: vec![Method::POST],
            answer: None,
            success: StatusCode::ACCEPTED,
            respond_within: None,
        }
    }
}

/// The client certificates that a source knows, among those that the listener's
/// authorities vouch for. With nothing in it: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientPins {
    /// One of them must be among the certificate's alternative names.
    pub names: Vec<ServerName<'static>>,
    /// Or its SHA-256, of the whole in DER, must be one of these.
    pub fingerprints: Vec<[u8; 32]>,
}

/// A fixed answer, for providers that look at it. `webhook-id` names the event all the same.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 to 299: the event is on the disk.
    pub status: StatusCode,
    /// The `content-type`, where the answer has one.
    pub content_type: Option<HeaderValue>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// The proxies between the clients and the host.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The networks of proxies whose header is believed. Default none.
    pub trusted: Vec<IpNet>,
    /// The header that they write.
    pub told_by: ToldBy,
}

/// The one header by which the trusted proxies name their client. Any other header of the kind may be
/// the client's own invention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToldBy {
    /// `x-forwarded-for` and `x-forwarded-proto`.
    #[default]
    XForwardedFor,
    /// `forwarded` (RFC 7239).
    Forwarded,
}
