//! A request as a verifier sees it, and the answer to one that is no event.
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// What a source sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    pub method: &'r Method,
    /// What stands after the `?` of its URL, as it was sent.
    pub query: Option<&'r str>,
    pub headers: &'r HeaderMap,
    pub body: &'r [u8],
}

impl<'r> Request<'r> {
    /// A POST without a query.
    pub fn post(headers: &'r HeaderMap, body: &'r [u8]) -> Self {
        Self { method: &Method::POST, query: None, headers, body }
    }
}

impl Answer {
    /// Without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Vec::new() }
    }
}

/// What a provider wants to hear when it checks that the source is whose it
/// says: the end of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    /// None where there is no body.
    pub content_type: Option<HeaderValue>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}
