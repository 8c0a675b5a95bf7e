//! A request as a verifier sees it, and the answer to one that is not an event.
use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::refusal::Refusal;
use hookwright_model::form::{self, Field};
use hookwright_model::pointer;

/// What a source sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The method it came by.
    pub method: &'r Method,
    /// The query of its URL, without the `?`, as it was sent.
    pub query: Option<&'r str>,
    /// As they came.
    pub headers: &'r HeaderMap,
    /// As it came: signatures cover its bytes.
    pub body: &'r [u8],
}

impl<'r> Request<'r> {
    /// A POST without a query.
    pub fn post(headers: &'r HeaderMap, body: &'r [u8]) -> Self {
        Self { method: &Method::POST, query: None, headers, body }
    }
}

/// What a provider wants to hear when it checks that the source is whose it
/// says: the end of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status that the provider takes for success.
    pub status: StatusCode,
    /// None where there is no body.
    pub content_type: Option<HeaderValue>,
    /// More headers that the provider looks for.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Empty where none is expected.
    pub body: Vec<u8>,
}

impl Answer {
    /// Without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Vec::new() }
    }
}

/// The text at a JSON pointer of the body, where there is one.
pub(super) fn in_body<'b>(body: &'b [u8], pointer: &str) -> Option<Cow<'b, [u8]>> {
    pointer::plain(pointer::at(body, pointer)?)
}

/// A field of the body, where it is a form.
///
/// # Errors
/// The value is there twice.
pub(super) fn in_form<'r>(
    request: &Request<'r>,
    name: &str,
) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
    match form::field(request.headers, request.body, name) {
        Field::None => Ok(None),
        Field::One(value) => Ok(Some(value)),
        Field::Several(_) => Err(Refusal::Malformed),
    }
}

/// The value of a header that may be there once.
///
/// # Errors
/// It is there twice: which one was signed, nobody knows.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
}

/// The credentials of an `authorization` header with that scheme (in lower case).
pub(super) fn authorization<'r>(
    request: &Request<'r>,
    scheme: &str,
) -> Result<Option<&'r [u8]>, Refusal> {
    let Some(text) = single(request.headers, &header::AUTHORIZATION)? else { return Ok(None) };
    let (named, rest) = text.split_at_checked(scheme.len()).ok_or(Refusal::Malformed)?;
    let spaced = named.eq_ignore_ascii_case(scheme.as_bytes()) && rest.starts_with(b" ");
    if spaced { Ok(Some(rest.trim_ascii())) } else { Err(Refusal::Malformed) }
}
