//! One destination's client: sends a request within its deadline, and reads no more of the response than it needs.
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{Extensions, HeaderMap, Method, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::Payload;
use super::connector::Connector;
use super::failure::{classify, classify_h2, failed};
use super::guard::Guard;
use super::limits::{DRAIN_BYTES, HEAD_BYTES};
use super::permits::Permits;
use super::resolver::Resolver;
use super::status_line::Status;
use super::stream::Abort;
use super::tls::Tls;
use super::unprocessed::{Unprocessed, unprocessed};
use super::{Options, SetupError};
use hookwright_model::{Cause, Outcome};

/// How long idle connections are kept: less than the 60 s after which many servers and
/// load balancers close them.
const IDLE: Duration = Duration::from_secs(50);

/// Silence after which an HTTP/2 connection is pinged; it is closed after the same time
/// without a reply.
const PING: Duration = Duration::from_secs(10);

/// The longest that a request is in flight, whatever its timeout.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// A POST request. Host and content-length are added.
#[derive(Debug)]
pub struct Request {
    /// The headers, without host and content-length.
    pub headers: HeaderMap,
    /// The body, sent unchanged.
    pub body: Bytes,
    /// The timeout over name lookup, connection, TLS, headers and body together. The wait for a
    /// free HTTP/2 stream may take the same time in addition.
    pub timeout: Duration,
}

/// Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Payload>,
    url: Uri,
    excerpt: usize,
    first_byte: Option<Duration>,
    permits: Permits,
    /// Whether its connections may use HTTP/2.
    may_be_h2: bool,
}

/// How often a request is sent at most, if the receiver says that it did not process it.
const TRIES: u32 = 2;

/// The remaining time of a request, which all its tries share.
struct Left {
    tries: u32,
    /// For waiting for a free stream.
    wait: Duration,
    /// For the exchange with the receiver.
    work: Duration,
}

impl Client {
    pub(super) fn new(
        options: Options,
        guard: Guard,
        resolver: Arc<dyn Resolver>,
        tls: &Tls,
    ) -> Result<Self, SetupError> {
        let name = options.name.clone();
        let connects =
            metrics::counter!(hookwright_model::metrics::CONNECTS, "destination" => name);
        let connector = Connector::new(&options, guard, resolver, tls, connects)?;
        let permits = connector.permits();
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.in_flight.max(1))
            .http1_max_buf_size(HEAD_BYTES)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .http2_keep_alive_while_idle(true)
            .http2_max_header_list_size(HEAD_BYTES as u32)
            .http2_initial_stream_window_size(DRAIN_BYTES as u32)
            .build(connector);
        let first_byte = options.transport.phases.first_byte;
        let may_be_h2 = options.transport.http2 && options.url.scheme_str() == Some("https");
        Ok(Self {
            http,
            url: options.url,
            excerpt: options.excerpt,
            first_byte,
            permits,
            may_be_h2,
        })
    }

    /// Sends the request once. All failures are in the outcome. It never follows a
    /// redirect, and ends within the request's timeout. If the destination
    /// allows no more concurrent requests over HTTP/2, it first waits for a free stream,
    /// for at most the same time: this wait does not count as the destination's time.
    ///
    /// A request that the receiver says it did not process (HTTP/2) is sent again, within the same time.
    ///
    /// The response's status decides: a 2xx is a success even if the headers after it can't be
    /// parsed, the connection breaks off, or the response never ends.
    /// The body is only for the log.
    pub async fn send(&self, mut request: Request) -> Outcome {
        request.timeout = request.timeout.min(LONGEST);
        let tries = if self.may_be_h2 { TRIES } else { 1 };
        let mut left = Left { tries, wait: request.timeout, work: request.timeout };
        loop {
            left.tries = left.tries.saturating_sub(1);
            let headers = match left.tries {
                0 => std::mem::take(&mut request.headers),
                _ => request.headers.clone(),
            };
            match self.once(headers, &request, &mut left).await {
                Ok(outcome) => return outcome,
                Err(outcome) if left.tries == 0 => return outcome,
                Err(_) => {}
            }
        }
    }

    /// # Errors
    /// The outcome, if the receiver did not process the request.
    async fn once(
        &self,
        headers: HeaderMap,
        request: &Request,
        left: &mut Left,
    ) -> Result<Outcome, Outcome> {
        let came = Instant::now();
        let Ok(_permit) = tokio::time::timeout(left.wait, self.permits.acquire()).await else {
            let most = self.permits.known_limit().unwrap_or(u32::MAX);
            let message = format!(
                "not sent: no turn within {:?}; the destination allows {most} at once over HTTP/2",
                request.timeout
            );
            return Ok(failed(Cause::Queue, &message));
        };
        let limit = self.permits.known_limit();
        let began = Instant::now();
        left.wait = left.wait.saturating_sub(began - came);
        let deadline = began + left.work;
        let has_body = !request.body.is_empty();
        let (body, taken) = match self.first_byte {
            None => (Payload::new(request.body.clone()), None),
            Some(time) => {
                let (body, taken) = Payload::watched(request.body.clone());
                (body, Some((taken, time)))
            }
        };
        let mut message = http::Request::new(body);
        *message.method_mut() = Method::POST;
        *message.uri_mut() = self.url.clone();
        *message.headers_mut() = headers;
        let connection = capture_connection(&mut message);
        let answer = tokio::time::timeout_at(deadline, self.http.request(message));
        let answer = match taken {
            None => answer.await.map_err(|_| late(request.timeout)),
            Some((taken, time)) => tokio::select! {
                biased;
                answer = answer => answer.map_err(|_| late(request.timeout)),
                cut = silence(connection.clone(), taken, time) => {
                    Err(failed(Cause::Timeout, &cut.to_string()))
                }
            },
        };
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let h2 = is_h2(&connection);
                let unprocessed = unprocessed(&error, has_body).filter(|_| h2);
                left.work = deadline.saturating_duration_since(Instant::now());
                // A stream may be refused because the limit was not known yet when it was sent:
                // the connection is healthy then.
                let over_limit =
                    unprocessed == Some(Unprocessed::Stream) && self.permits.known_limit() != limit;
                if !(over_limit && left.tries > 0) {
                    retire(&connection);
                }
                let outcome = if h2 {
                    classify_h2(&error)
                } else {
                    status_alone(&connection).unwrap_or_else(|| classify(&error))
                };
                return if unprocessed.is_some() { Err(outcome) } else { Ok(outcome) };
            }
            Err(late) => {
                retire(&connection);
                return Ok(status_alone(&connection).unwrap_or(late));
            }
        };
        let (head, mut body) = answer.into_parts();
        if let Some(status) = head.extensions.get::<Status>() {
            status.clear();
        }
        let asked = head.headers.get(RETRY_AFTER);
        let retry_after_s = asked.and_then(|v| super::retry_after::parse(v, SystemTime::now()));
        let mut excerpt = BytesMut::new();
        if !body.is_end_stream() {
            let reading = read(&mut body, &mut excerpt, self.excerpt);
            // The part that arrived before the deadline, or before an error, is kept.
            if tokio::time::timeout_at(deadline, reading).await != Ok(true) {
                retire(&connection);
            }
        }
        let (status, excerpt) = (head.status.as_u16(), excerpt.freeze());
        Ok(Outcome::Answered { status, retry_after_s, excerpt })
    }
}

fn late(timeout: Duration) -> Outcome {
    failed(Cause::Timeout, &format!("no answer within {timeout:?}"))
}

fn is_h2(connection: &CaptureConnection) -> bool {
    connection.connection_metadata().as_ref().is_some_and(Connected::is_negotiated_h2)
}

/// Keeps further requests off the connection: it may be dead, or reset every
/// stream, and over HTTP/2 nothing else would close it. Requests in flight
/// on it continue.
fn retire(connection: &CaptureConnection) {
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.poison();
    }
}

/// The status, if no more of the response could be read. Over
/// HTTP/2 there is none: a malformed response is a protocol error there
/// (RFC 9113, 8.1.1).
fn status_alone(connection: &CaptureConnection) -> Option<Outcome> {
    let mut extras = Extensions::new();
    connection.connection_metadata().as_ref()?.get_extras(&mut extras);
    let status = extras.get::<Status>()?.get()?;
    Some(Outcome::Answered { status, retry_after_s: None, excerpt: Bytes::new() })
}

/// Fails if no response begins within the time after the request. Used over HTTP/2
/// only, where responses overlap; over HTTP/1.1 the connection itself checks this.
async fn silence(
    mut connection: CaptureConnection,
    taken: oneshot::Receiver<()>,
    time: Duration,
) -> Abort {
    let all_taken = taken.await.is_ok();
    // An empty body is read before there is a connection.
    let is_h2 = {
        let metadata = connection.wait_for_connection_metadata().await;
        metadata.as_ref().is_some_and(Connected::is_negotiated_h2)
    };
    if !(all_taken && is_h2) {
        return std::future::pending().await;
    }
    tokio::time::sleep(time).await;
    Abort::Silent(time)
}

/// Reads until the end, an error, or the point where reading on costs more than a new connection.
/// False after an error.
async fn read(body: &mut Incoming, excerpt: &mut BytesMut, cap: usize) -> bool {
    let mut total = 0usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        let Some(data) = frame.data_ref() else { continue };
        let room = cap.saturating_sub(excerpt.len()).min(data.len());
        excerpt.extend_from_slice(&data[..room]);
        total = total.saturating_add(data.len());
        if total > cap.saturating_add(DRAIN_BYTES) {
            return true;
        }
    }
    true
}
