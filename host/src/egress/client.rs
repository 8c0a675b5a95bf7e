//! One destination's client: sends a request, ends within its deadline, and reads no more than it must.
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Uri};
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
use super::failure::{classify, failed};
use super::guard::Guard;
use super::resolver::Resolver;
use super::stream::Cut;
use super::tls::Tls;
use super::{Options, SetupError};
use crate::model::{Cause, Outcome};

/// Idle connections live so long: under the 60 s at which many servers and
/// balancers close them.
const IDLE: Duration = Duration::from_secs(50);
/// All of an answer's headers together.
pub(super) const HEAD_BYTES: usize = 64 * 1024;
/// What is read beyond the excerpt, so that the connection can be used again.
pub(super) const DRAIN_BYTES: usize = 64 * 1024;

/// No request is under way for longer, whatever its time-out.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// What is sent with POST. Host and content-length are added.
#[derive(Debug)]
pub struct Request {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Over name look-up, connection, TLS, headers and body together.
    pub timeout: Duration,
}

/// Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Payload>,
    url: Uri,
    excerpt: usize,
    first_byte: Option<Duration>,
}

impl Client {
    pub(super) fn new(
        options: Options,
        guard: Guard,
        resolver: Arc<dyn Resolver>,
        tls: &Tls,
    ) -> Result<Self, SetupError> {
        let name = options.name.clone();
        let connects = metrics::counter!(crate::metrics::CONNECTS, "destination" => name);
        let connector = Connector::new(&options, guard, resolver, tls, connects)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.in_flight.max(1))
            .http1_max_buf_size(HEAD_BYTES)
            .http2_max_header_list_size(HEAD_BYTES as u32)
            .http2_initial_stream_window_size(DRAIN_BYTES as u32)
            .build(connector);
        let first_byte = options.transport.phases.first_byte;
        Ok(Self { http, url: options.url, excerpt: options.excerpt, first_byte })
    }

    /// Sends it once. Never fails otherwise than by its outcome, never follows a
    /// redirect, and ends within the request's time-out.
    ///
    /// The answer's head decides: whoever says 2xx and then breaks off, or never
    /// comes to an end, has still said it. Its body is only for the log.
    pub async fn send(&self, request: Request) -> Outcome {
        let deadline = Instant::now() + request.timeout.min(LONGEST);
        let (body, taken) = match self.first_byte {
            None => (Payload::new(request.body), None),
            Some(time) => {
                let (body, taken) = Payload::watched(request.body);
                (body, Some((taken, time)))
            }
        };
        let mut message = http::Request::new(body);
        *message.method_mut() = Method::POST;
        *message.uri_mut() = self.url.clone();
        *message.headers_mut() = request.headers;
        let answer = match taken {
            None => tokio::time::timeout_at(deadline, self.http.request(message)).await,
            Some((taken, time)) => {
                let silence = silence(capture_connection(&mut message), taken, time);
                let answer = tokio::time::timeout_at(deadline, self.http.request(message));
                tokio::select! {
                    biased;
                    answer = answer => answer,
                    cut = silence => return failed(Cause::Timeout, &cut.to_string()),
                }
            }
        };
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return classify(&error),
            Err(_) => {
                return failed(Cause::Timeout, &format!("no answer within {:?}", request.timeout));
            }
        };
        let (head, mut body) = answer.into_parts();
        let asked = head.headers.get(RETRY_AFTER);
        let retry_after_s = asked.and_then(|v| super::retry_after::parse(v, SystemTime::now()));
        let mut excerpt = BytesMut::new();
        if !body.is_end_stream() {
            let reading = read(&mut body, &mut excerpt, self.excerpt);
            // What came before the deadline is kept.
            tokio::time::timeout_at(deadline, reading).await.ok();
        }
        Outcome::Answered { status: head.status.as_u16(), retry_after_s, excerpt: excerpt.freeze() }
    }
}

/// Ends where no answer begins within the time after the request. Over HTTP/2
/// only: there answers overlap, so the connection can't tell; over HTTP/1.1 it does.
async fn silence(
    mut connection: CaptureConnection,
    taken: oneshot::Receiver<()>,
    time: Duration,
) -> Cut {
    let all_taken = taken.await.is_ok();
    // An empty body is taken before there is a connection.
    let is_h2 = {
        let metadata = connection.wait_for_connection_metadata().await;
        metadata.as_ref().is_some_and(Connected::is_negotiated_h2)
    };
    if !(all_taken && is_h2) {
        return std::future::pending().await;
    }
    tokio::time::sleep(time).await;
    Cut::Silent(time)
}

/// Stops at the end, at an error, or where reading on costs more than a new connection.
async fn read(body: &mut Incoming, excerpt: &mut BytesMut, cap: usize) {
    let mut total = 0usize;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = cap.saturating_sub(excerpt.len()).min(data.len());
        excerpt.extend_from_slice(&data[..room]);
        total = total.saturating_add(data.len());
        if total > cap.saturating_add(DRAIN_BYTES) {
            return;
        }
    }
}
