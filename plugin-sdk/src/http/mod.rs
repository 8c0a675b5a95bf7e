//! Requests to hosts that the plugin's settings name.
//!
//! Wants `grants = ["http:api.example.com"]`, one for each host. A request
//! takes part of the time that the call has by the clock, twenty times its
//! `limits.time`: 1 s by default. The host sends it behind its guard against
//! private addresses, follows no redirect, and adds no secret. At most 8
//! requests a call, and 1 MiB an answer.
//!
//! ```
//! use hookwright_plugin::{http, prelude::*, testing};
//!
//! fn handle(event: Event) -> Result<Verdict> {
//!     let url = format!("https://api.example.com/users/{}", event.kind());
//!     let answer = http::get(url).send()?;
//!     match answer.status() {
//!         200 => Ok(Amendment::new().attribute("user", answer.text().unwrap_or_default()).into()),
//!         404 => Ok(Verdict::drop("no such user")),
//!         status => Err(Error::retry(format!("the API answers {status}"))),
//!     }
//! }
//!
//! testing::answer_requests(|request| match request.url() {
//!     "https://api.example.com/users/ann" => Ok(http::Response::new(200, "Ann")),
//!     _ => Ok(http::Response::new(404, "")),
//! });
//! let dropped = handle(Event::sample().kind("bob").build()).unwrap();
//! assert_eq!(dropped, Verdict::drop("no such user"));
//! ```
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod double;

use std::fmt;
use std::time::Duration;

use crate::Error;

#[cfg(target_arch = "wasm32")]
use crate::guest as host;

#[cfg(not(target_arch = "wasm32"))]
use double as host;

/// Until a request ends where it names no time: the call's own end comes first.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request in the making; see [`get`] and [`post`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is sent by `send`"]
pub struct Request {
    pub(crate) post: bool,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
}

/// What the host that was asked answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer. Turned into an [`Error`] by `?`, it asks for another
/// try where one may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The request may not be sent: its host is not granted, or it is none.
    Refused(String),
    /// No answer came.
    Failed(String),
    /// No answer came in time.
    Timeout,
    /// The answer's body has more than 1 MiB.
    TooLarge,
}

/// Asks for a URL.
pub fn get(url: impl Into<String>) -> Request {
    Request {
        post: false,
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: TIMEOUT,
    }
}

/// Sends a body to a URL.
pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    Request { post: true, body: body.into(), ..get(url) }
}

impl Request {
    /// One more header. Those that the host owns are refused when it is sent.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Until it ends with [`HttpError::Timeout`], 10 s otherwise; in any case at the call's own end.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where it goes to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is a POST.
    pub fn is_post(&self) -> bool {
        self.post
    }

    /// What is sent with it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends it once and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub fn send(self) -> Result<Response, HttpError> {
        host::http_send(self)
    }
}

impl Response {
    /// An answer for a test.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// 200, 404 and the like.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; none where it is no UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "the request is refused: {why}"),
            Self::Failed(why) => write!(f, "no answer: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("the answer has more than 1 MiB"),
        }
    }
}

// No error of the standard kind: those always leave the decision to `on_failure`.
impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Failed(_) | HttpError::Timeout => Self::retry(error),
            HttpError::Refused(_) | HttpError::TooLarge => Self::other(error),
        }
    }
}
