//! Errors as HTTP: `application/problem+json`, RFC 9457.
use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use http_body_util::Full;
use serde::Serialize;

use super::ErrorCode;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one refused request, in its answer (`request` in the document, and the
/// header `x-request-id`) and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// A new one.
    pub fn random() -> Self {
        Self(hookwright_model::clock::random_u64())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{:016x}", self.0)
    }
}

/// An error on its way to the client. What only the operator may know goes
/// to the log, under the same request id.
#[derive(Debug, Clone)]
pub struct Problem {
    code: ErrorCode,
    detail: Cow<'static, str>,
    request: RequestId,
    retry_after_s: Option<u64>,
    errors: Vec<serde_json::Value>,
}

/// An error as it is told over HTTP: RFC 9457, and the code that it is known by.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'p> {
    /// `urn:hookwright:error:` and the code: a name, not an address.
    r#type: String,
    title: &'static str,
    /// As the answer's.
    status: u16,
    /// Stable: see the page of the error codes.
    code: &'static str,
    /// This case, and its cure.
    detail: &'p str,
    /// Whether the same request may succeed later without a change.
    retryable: bool,
    /// Names the request in the log.
    request: String,
    /// Single things that are wrong, where there are several.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<Object>, required = false)]
    errors: &'p [serde_json::Value],
}

impl Problem {
    /// `detail` is for the client: this case, and its cure.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let request = RequestId::random();
        Self { code, detail: detail.into(), request, retry_after_s: None, errors: Vec::new() }
    }

    /// With the seconds after which the client may try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Single things that are wrong: what each is, and its place.
    #[must_use]
    pub fn errors(mut self, errors: &[impl Serialize]) -> Self {
        let value = |error| serde_json::to_value(error).ok();
        self.errors = errors.iter().filter_map(value).collect();
        self
    }

    /// What kind of error it is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Names the refused request in the answer and in the log.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The answer.
    pub fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.document()));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        let id = HeaderValue::from_str(&self.request.to_string()).expect("an id is ASCII");
        headers.insert(&REQUEST_ID, id);
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// A whole answer of HTTP/1.1 after which the connection closes, for where
    /// there is no request to answer. `body` is false where the peer asked by HEAD.
    pub(super) fn closing(&self, body: bool) -> Bytes {
        let document = self.document();
        let status = self.code.status();
        let (number, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
        let retry = self.retry_after_s.map(|seconds| format!("retry-after: {seconds}\r\n"));
        let mut answer = format!(
            "HTTP/1.1 {number} {reason}\r\ncontent-type: application/problem+json\r\n\
             x-request-id: {}\r\n{}connection: close\r\ncontent-length: {}\r\n\r\n",
            self.request,
            retry.unwrap_or_default(),
            document.len()
        )
        .into_bytes();
        if body {
            answer.extend_from_slice(&document);
        }
        answer.into()
    }

    fn document(&self) -> Bytes {
        let document = ProblemDocument {
            r#type: format!("urn:hookwright:error:{}", self.code),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            retryable: self.code.retryable(),
            request: self.request.to_string(),
            errors: &self.errors,
        };
        serde_json::to_vec(&document).expect("texts and numbers are JSON").into()
    }
}
