//! Takes webhooks in: checks, verifies, has them written down, and only then answers 2xx.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use rustls::pki_types::ServerName;

use hookwright_model::{Name, Rules};
use hookwright_server::{Budget, Certificate};
use hookwright_signing::hops::Hops;
use hookwright_signing::{Secret, Verify};

mod activity;
mod addresses;
mod anomaly;
mod answers;
mod client;
mod decode;
mod extraction;
mod fair_queue;
mod handle;
mod headers;
mod keys;
mod known;
mod meters;
mod path;
mod rate;
mod refused;
mod rejects;
mod source;
mod url_tokens;

#[cfg(test)]
mod tests;

pub use activity::watch;
pub use anomaly::Anomaly;
pub use handle::Handle;
pub use keys::{Fetch, Fetching, NoFetch};
pub use path::target;
pub use url_tokens::UrlTokens;

/// How webhooks are taken in.
#[derive(Clone)]
pub struct Options {
    pub sources: Sources,
    pub proxies: Proxies,
    /// For schemes whose keys are at a URL. Default: nothing can be fetched.
    pub fetch: Arc<dyn Fetch>,
    /// For the whole body of one request. Default 10 s.
    pub body_timeout: Duration,
    /// Of bodies on their way in. Default 64 MiB.
    pub budget: Budget,
    /// Refuses events that came back too often. Default: none counts.
    pub hops: Option<Arc<Hops>>,
}

/// The sources by name: `POST /in/<name>`.
pub type Sources = BTreeMap<Name, SourceOptions>;

impl Options {
    /// The defaults, with these sources.
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            proxies: Proxies::default(),
            fetch: Arc::new(NoFetch),
            body_timeout: Duration::from_secs(10),
            budget: Budget::new("ingress", 64 * 1024 * 1024),
            hops: None,
        }
    }
}

/// A fixed answer, for providers that look at it. `webhook-id` names the event all the same.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 to 299: the event is on the disk.
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub body: Bytes,
}

/// Who stands between the senders and the host.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Who is believed when it says whom it speaks for. Default nobody.
    pub trusted: Vec<IpNet>,
    pub told_by: ToldBy,
}

/// The one header that the trusted proxies write. What stands in any other is
/// the sender's own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ToldBy {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// How one source's webhooks are taken in.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    pub verify: Verify,
    pub kind: KindFrom,
    pub dedupe: Option<DedupeFrom>,
    /// Any one of them must stand in the path, behind the name. Empty: none may.
    pub tokens: Vec<Secret>,
    /// Refuses what did not come encrypted.
    pub require_tls: bool,
    /// Which client certificates are asked for. None: none.
    pub client: Option<ClientPins>,
    /// Which clients may post. Empty: all.
    pub allow: Vec<IpNet>,
    /// Of each client by itself; an IPv6 network of 64 bits is one.
    pub rate_per_address: Option<Rate>,
    /// Of all clients together.
    pub rate: Option<Rate>,
    /// Bytes. Default 1 MiB.
    pub max_body: usize,
    /// Takes a verified body's `content-encoding` away: what is kept and handed on
    /// is the plain body, of at most `max_body`. Default false: as it came.
    pub decompress: bool,
    /// Takes anything of any method unverified, and keeps the method and the query
    /// with it. Default false.
    pub bin: bool,
    /// Of arrays and objects in each other, where the content type is JSON. Default 100.
    pub max_json_depth: usize,
    /// Refuses a verified request that is not so. None: takes all.
    pub rules: Option<Arc<Rules>>,
    /// By which events come. Default POST. A bin takes any.
    pub methods: Vec<Method>,
    /// What an accepted event is answered with. None: `success` or, for a duplicate,
    /// 200, and the event's id as JSON.
    pub answer: Option<Answer>,
    /// A status that the provider counts as success. Default 202.
    pub success: StatusCode,
    /// Waits so long for what a plugin answers, where one may. None: does not wait.
    pub respond_within: Option<Duration>,
}

impl Default for SourceOptions {
    /// Takes anything from anybody, up to 1 MiB.
    fn default() -> Self {
        Self {
            verify: Verify::None,
            kind: KindFrom::None,
            dedupe: None,
            tokens: Vec::new(),
            require_tls: false,
            client: None,
            allow: Vec::new(),
            rate_per_address: None,
            rate: None,
            max_body: 1024 * 1024,
            decompress: false,
            bin: false,
            max_json_depth: 100,
            rules: None,
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

impl ClientPins {
    fn know(&self, certificate: &Certificate) -> bool {
        let any = self.names.is_empty() && self.fingerprints.is_empty();
        any || self.names.iter().any(|name| certificate.is_for(name))
            || self.fingerprints.contains(&certificate.fingerprint())
    }
}

/// Where the provider's name for what happened stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindFrom {
    None,
    Header(HeaderName),
    /// The header's value, where it is this one.
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

/// Events with the same key within the window are one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeFrom {
    pub key: KeyFrom,
    pub window: Duration,
}

/// Where the key stands. An event without it is taken as new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFrom {
    /// The id of Standard Webhooks: `webhook-id`, or `svix-id`.
    Id,
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

/// How many requests may be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// In the long run, a second.
    pub per_s: f64,
    /// At once, after a pause. At least 1.
    pub burst: u32,
}
