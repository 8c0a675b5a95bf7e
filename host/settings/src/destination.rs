//! A destination: its target, who we are to it, and how its lane treats it.
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{Batch, Breaker, FileOptions, Transport};
use hookwright_model::retry::Policy;
use hookwright_model::{Name, Order, Rate};
use hookwright_signing::{Aws, Grant, Secret, Sign};

/// One destination, `[destinations.NAME]`.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The target, of one of the kinds.
    pub to: To,
    /// When a failed delivery is tried again. `first` is for routing, which makes the delivery; see
    /// [`Policy::first_due_ms`].
    pub policy: Policy,
    /// The most attempts in a time. Default: as fast as `in_flight` allows.
    pub rate: Option<Rate>,
    /// Attempts at the same time, at least 1. Default 8.
    pub in_flight: usize,
    /// Which deliveries are made one after the other. Default: none are.
    pub order: Option<Order>,
    /// Many deliveries in one request. Default: each in a request of its own.
    pub batch: Option<Batch>,
    /// Fewer attempts at the same time, and a pause, where the destination is overloaded. Default true.
    pub adaptive: bool,
    /// Leaves a failing destination alone for a while. None: never.
    pub breaker: Option<Breaker>,
    /// Disables the destination after nothing but failures for so long. None: never. Default 5 days.
    pub disable_after: Option<Duration>,
    /// Keeps all deliveries waiting. Default false.
    pub disabled: bool,
}

impl Destination {
    /// The defaults for a URL; nothing is signed.
    pub fn new(url: Uri) -> Self {
        Self::to(To::Post(Box::new(PostOptions::new(url))))
    }

    /// The defaults for a target of any kind.
    pub fn to(to: To) -> Self {
        Self {
            to,
            policy: Policy::default(),
            rate: None,
            in_flight: 8,
            order: None,
            batch: None,
            adaptive: true,
            breaker: Some(Breaker::default()),
            disable_after: Some(Duration::from_secs(5 * 24 * 3_600)),
            disabled: false,
        }
    }
}

/// The target of a destination, by its kind.
#[derive(Debug, Clone)]
pub enum To {
    /// A URL that deliveries are posted to.
    Post(Box<PostOptions>),
    /// A file or standard output that gets a line of JSON for each delivery.
    Lines(LinesOptions),
}

impl To {
    /// The URL, where the target is one.
    pub fn url(&self) -> Option<&Uri> {
        match self {
            Self::Post(post) => Some(&post.url),
            Self::Lines(_) => None,
        }
    }

    /// What is posted and how, where the target is a URL.
    pub fn post(&self) -> Option<&PostOptions> {
        match self {
            Self::Post(post) => Some(post),
            Self::Lines(_) => None,
        }
    }

    /// The file that lines are appended to, where the target is one.
    pub fn file(&self) -> Option<&FileOptions> {
        match self {
            Self::Post(_) => None,
            Self::Lines(lines) => lines.file.as_ref(),
        }
    }
}

/// A target that is posted to over HTTP.
#[derive(Debug, Clone)]
pub struct PostOptions {
    /// `http` or `https`, with a host, without user, password or fragment.
    pub url: Uri,
    /// How deliveries are signed. None: not at all.
    pub sign: Option<Sign>,
    /// Credentials beside the signature. None: none.
    pub auth: Option<Auth>,
    /// For the token, name lookup, connection, TLS, headers and body together. The settings say 30 s where nothing is
    /// written; [`PostOptions::new`] 10 s.
    pub timeout: Duration,
    /// How the destination is connected to.
    pub transport: Transport,
    /// Sent with every delivery; values that came from a secret are marked as sensitive. Names that Hookwright owns
    /// are refused.
    pub headers: HeaderMap,
    /// A secret that bodies hold a place for. None: bodies leave as they are.
    pub fill: Option<Fill>,
}

impl PostOptions {
    /// The defaults for a URL; nothing is signed.
    pub fn new(url: Uri) -> Self {
        Self {
            url,
            sign: None,
            auth: None,
            timeout: Duration::from_secs(10),
            transport: Transport::default(),
            headers: HeaderMap::new(),
            fill: None,
        }
    }
}

/// The credentials that a destination knows us by, beside the signature.
#[derive(Debug, Clone)]
pub enum Auth {
    /// The same header with every delivery; the value is marked as sensitive.
    Header(HeaderName, HeaderValue),
    /// Tokens from a token server.
    OAuth2(OAuth2),
    /// Signature Version 4 of AWS.
    Aws(Aws),
}

impl Auth {
    /// The headers that it sets, and nothing else may.
    pub fn headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Header(name, _) => vec![name.clone()],
            Self::OAuth2(_) => vec![AUTHORIZATION],
            Self::Aws(_) => Aws::HEADERS.to_vec(),
        }
    }
}

/// Tokens by client credentials (RFC 6749, 4.4).
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// The token server: `http` or `https`, with a host, without user, password or fragment. It is reached in the
    /// same way as the destination.
    pub token_url: Uri,
    /// The client's credentials and what they ask for.
    pub grant: Grant,
}

/// A placeholder in bodies that a secret replaces when they are sent.
///
/// What is stored, listed and backed up holds the placeholder alone.
#[derive(Debug, Clone)]
pub struct Fill {
    /// Only events of this source hold the placeholder.
    pub source: Name,
    /// The placeholder in the body, within a JSON string.
    pub place: &'static str,
    /// What replaces it.
    pub secret: Secret,
}

/// A target that gets a line of JSON for each delivery.
#[derive(Debug, Clone)]
pub struct LinesOptions {
    /// The file. None: standard output.
    pub file: Option<FileOptions>,
    /// For one line to be on the disk. The settings say 30 s where nothing is written.
    pub timeout: Duration,
}
