//! Requests to hosts that the caller allows: with the address guard, one deadline, and a limit on the response.
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::Connector;
use super::failure::classify;
use super::limits::HEAD_BYTES;
use super::{Egress, Options, SetupError};
use hookwright_model::Outcome;
use hookwright_settings::{NetworkPolicy, Transport};

/// How long idle connections are kept.
const IDLE: Duration = Duration::from_secs(50);

/// One request. Host and content-length are added.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The method, such as `GET`.
    pub method: Method,
    /// The URL, `http` or `https`.
    pub url: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The complete body.
    pub body: Bytes,
    /// The timeout over name lookup, connection, TLS, headers and body together.
    pub timeout: Duration,
}

/// The response to a [`Fetch`].
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Any status: a redirect is not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The complete body.
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The request failed, for this reason, in one line.
    #[error("{0}")]
    Failed(String),
    /// The request timed out.
    #[error("no answer in time")]
    Timeout,
    /// The body is larger than the fetcher's limit.
    #[error("the answer's body is too large")]
    TooLarge,
}

/// Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Fetcher {
    http: legacy::Client<Connector, Full<Bytes>>,
    most: usize,
}

impl Fetcher {
    pub(super) fn new(
        name: &'static str,
        network: NetworkPolicy,
        most: usize,
        egress: &Egress,
    ) -> Result<Self, SetupError> {
        // HTTP/1.1 only: its limits are enforced by the connection.
        let transport = Transport { network, http2: false, ..Transport::default() };
        // The connector connects to each request's host; this URL is never requested.
        let url = Uri::from_static("http://any.invalid/");
        let options = Options { transport, excerpt: most, ..Options::new(name, url) };
        let connects =
            metrics::counter!(hookwright_model::metrics::CONNECTS, "destination" => name);
        let resolver = Arc::clone(&egress.resolver);
        let connector = Connector::new(&options, egress.guard, resolver, &egress.tls, connects)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.in_flight)
            .http1_max_buf_size(HEAD_BYTES)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .build(connector);
        Ok(Self { http, most })
    }

    /// Sends the request once and reads the complete response. Never follows a redirect.
    ///
    /// # Errors
    /// If no complete response arrives within the timeout and the size limit.
    pub async fn fetch(&self, request: Fetch) -> Result<Fetched, FetchError> {
        let Fetch { method, url, headers, body, timeout } = request;
        let mut message = http::Request::new(Full::new(body));
        *message.method_mut() = method;
        *message.uri_mut() = url;
        *message.headers_mut() = headers;
        let whole = async {
            let answer = self.http.request(message).await.map_err(|error| told(&error))?;
            let (head, mut body) = answer.into_parts();
            let mut bytes = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| FetchError::Failed(error.to_string()))?;
                let Some(data) = frame.data_ref() else { continue };
                if data.len() > self.most - bytes.len() {
                    return Err(FetchError::TooLarge);
                }
                bytes.extend_from_slice(data);
            }
            Ok(Fetched { status: head.status, headers: head.headers, body: bytes.freeze() })
        };
        tokio::time::timeout(timeout, whole).await.unwrap_or(Err(FetchError::Timeout))
    }
}

fn told(error: &legacy::Error) -> FetchError {
    match classify(error) {
        Outcome::Failed { message, .. } => FetchError::Failed(message),
        _ => FetchError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_testkit::receiver::{Receiver, Reply, Seen, answer};

    async fn fetched(
        network: NetworkPolicy,
        timeout: Duration,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> (Result<Fetched, FetchError>, Receiver) {
        let receiver = Receiver::start(script).await;
        let fetcher = Egress::default().fetcher("test", network, 1_000).expect("a client");
        let request = Fetch {
            method: Method::GET,
            url: receiver.url(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout,
        };
        (fetcher.fetch(request).await, receiver)
    }

    const AMPLE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_answer_comes_whole_and_a_redirect_is_one() {
        let script = |_: &Seen| answer(302, "location: http://127.0.0.1:1/\r\nx-a: b\r\n", "hi");
        let (answer, receiver) = fetched(NetworkPolicy::Any, AMPLE, script).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (302, &b"hi"[..]));
        assert_eq!(answer.headers["x-a"], "b");
        let seen = receiver.seen();
        assert_eq!((seen.len(), seen[0].headers.len()), (1, 1), "only `host` goes along: {seen:?}");
    }

    #[tokio::test]
    async fn a_large_answer_a_slow_one_and_a_private_address_are_refused() {
        let (large, _) =
            fetched(NetworkPolicy::Any, AMPLE, |_| answer(200, "", &"x".repeat(1_001))).await;
        assert_eq!(large.unwrap_err(), FetchError::TooLarge);
        let (slow, _) =
            fetched(NetworkPolicy::Any, Duration::from_millis(50), |_| Reply::Hang(Vec::new()))
                .await;
        assert_eq!(slow.unwrap_err(), FetchError::Timeout);
        let (private, receiver) =
            fetched(NetworkPolicy::default(), AMPLE, |_| answer(200, "", "")).await;
        let why = private.unwrap_err().to_string();
        assert!(why.contains("loopback") && receiver.connections() == 0, "{why}");
    }
}
