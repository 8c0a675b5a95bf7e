//! The way of one request: from its head to an event on the disk.
use std::collections::HashMap;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::activity::Activity;
use super::anomaly::Anomaly;
use super::client::Client;
use super::decode::{self, DecodeError};
use super::keys::Fetch;
use super::meters::Meters;
use super::refused::{Refused, stray_reasons};
use super::rejects::{Refusal, Seen};
use super::shares::Shares;
use super::source::Source;
use super::{Options, Proxies, Sources, target};
use crate::clock::Clock;
use crate::model::{EventId, Name, Rejected, Reply};
use crate::replies::Replies;
use crate::server::{BodyError, Peer, Service, discard, read_body};
use crate::signing::hops::Hops;
use crate::signing::{self, Answer, Verified};
use crate::store::{Appended, Dedupe, NewEvent, Store};

/// The source in the metrics where the path names none that there is.
const STRAY: &str = "-";
/// How much of a refused body is read so that its sender sees the answer.
const DISCARD: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// The ingress: serve it with [`crate::server::serve`]. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    sources: ArcSwap<HashMap<Name, Arc<Source>>>,
    store: Arc<dyn Store>,
    replies: Replies,
    clock: Clock,
    proxies: Proxies,
    body_timeout: Duration,
    hops: Option<Arc<Hops>>,
    shares: Shares,
    stray: Meters,
    strays: Activity,
    fetch: Arc<dyn Fetch>,
}

impl Handle {
    pub fn new(options: Options, store: Arc<dyn Store>, replies: Replies, clock: Clock) -> Self {
        let sources = build(&options.sources, &HashMap::new());
        Self(Arc::new(Inner {
            sources: ArcSwap::from_pointee(sources),
            store,
            replies,
            clock,
            proxies: options.proxies,
            body_timeout: options.body_timeout,
            hops: options.hops,
            shares: Shares::default(),
            stray: Meters::new(STRAY, stray_reasons(), 0, None),
            strays: Activity::default(),
            fetch: options.fetch,
        }))
    }

    /// Takes new sources for the requests from now on; those under way finish
    /// under the old ones.
    pub fn reconfigure(&self, sources: &Sources) {
        let before = self.0.sources.load_full();
        self.0.sources.store(Arc::new(build(sources, &before)));
    }

    /// The last refused requests of a source, or of those that named none (`-`),
    /// the newest first. None where there is no such source.
    pub fn rejected(&self, source: &str) -> Option<Vec<Rejected>> {
        if source == STRAY {
            return Some(self.0.strays.rejects.list());
        }
        Some(self.0.sources.load().get(source)?.activity.rejects.list())
    }

    /// What is unusual about a source now.
    pub fn anomalies(&self, source: &str) -> Vec<Anomaly> {
        let sources = self.0.sources.load();
        sources.get(source).map(|source| source.activity.anomalies()).unwrap_or_default()
    }

    /// A minute of all sources has passed.
    pub(super) fn minute(&self) {
        for (name, source) in self.0.sources.load().iter() {
            source.activity.minute(name);
        }
    }
}

fn build(sources: &Sources, before: &HashMap<Name, Arc<Source>>) -> HashMap<Name, Arc<Source>> {
    let source = |(name, options)| {
        let before: Option<&Arc<Source>> = before.get(name);
        let source = Source::new(Name::clone(name), options, before.map(AsRef::as_ref));
        (name.clone(), Arc::new(source))
    };
    sources.iter().map(source).collect()
}

impl Service for Handle {
    type Body = Full<Bytes>;

    fn call(
        &self,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send + use<> {
        let inner = self.0.clone();
        async move { inner.answer(&peer, request).await }
    }
}

impl Inner {
    async fn answer<B>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let started = Instant::now();
        let client = self.proxies.client(peer, request.headers());
        let source = match self.find(request.uri().path()) {
            Ok(source) => source,
            Err(refused) => {
                let head = (request.method(), request.uri(), request.headers());
                let seen = self.strays.rejects.look(head, None, None, started);
                let counts = (&self.stray, &self.strays);
                let response = self.refuse(STRAY, counts, &refused, seen, client);
                spare(request);
                self.stray.answered(response.status(), started.elapsed());
                return response;
            }
        };
        let response = match self.receive(&source, (peer, client), request, started).await {
            Ok(Received::Event(appended, None)) => accept(&source, appended),
            Ok(Received::Event(appended, Some(reply))) => answered(&source, appended, reply),
            Ok(Received::Handshake(answer)) => greet(&source, answer),
            Err((refused, seen)) => {
                let counts = (&source.meters, source.activity.as_ref());
                self.refuse(&source.name, counts, &refused, seen, client)
            }
        };
        source.meters.answered(response.status(), started.elapsed());
        response
    }

    /// Counts, logs, keeps and answers a refusal.
    fn refuse(
        &self,
        source: &str,
        (meters, activity): (&Meters, &Activity),
        refused: &Refused,
        seen: Option<Box<Seen>>,
        client: Client,
    ) -> Response<Full<Bytes>> {
        meters.refused(refused.reason());
        if let Refused::NotVerified { .. } = refused {
            activity.unverified();
        }
        let (response, request) = refused.respond(source, client.address);
        if let Some(seen) = seen {
            let (at_ms, status) = (self.clock.now_ms(), response.status());
            let client = client.address;
            activity.rejects.keep(*seen, Refusal { request, at_ms, client, refused, status });
        }
        response
    }

    fn find(&self, path: &str) -> Result<Arc<Source>, Refused> {
        let (name, token) = target(path).ok_or(Refused::NotFound)?;
        let source = self.sources.load().get(name).cloned();
        // A wrong token, or one that is missing, tells nothing of the source.
        source.filter(|source| source.is_at(token)).ok_or(Refused::UnknownSource)
    }

    async fn receive<B>(
        &self,
        source: &Source,
        (peer, client): (&Peer, Client),
        request: Request<B>,
        now: Instant,
    ) -> Result<Received, (Refused, Option<Box<Seen>>)>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        if let Err(refused) = source.admit(request.method(), peer, client, now) {
            let head = (request.method(), request.uri(), request.headers());
            let seen = source.look(head, None, now);
            spare(request);
            return Err((refused, seen));
        }
        let (mut head, mut body) = request.into_parts();
        let bytes = match read_body(&mut body, source.max_body, self.body_timeout).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let seen = source.look((&head.method, &head.uri, &head.headers), None, now);
                if error == BodyError::TooLarge {
                    spare(Request::from_parts(head, body));
                }
                return Err((Refused::Body { error, max: source.max_body }, seen));
            }
        };
        drop(body);
        let (kind, dedupe, plain) = match self.judge(source, &head, &bytes, (client, now)).await {
            Ok(Judged::Event { kind, dedupe, plain }) => (kind, dedupe, plain),
            Ok(Judged::Handshake(answer)) => return Ok(Received::Handshake(answer)),
            Err(refused) => {
                let head = (&head.method, &head.uri, &head.headers);
                let seen = source.look(head, Some(&bytes), now);
                return Err((refused, seen));
            }
        };
        if plain.is_some() {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::CONTENT_LENGTH);
        }
        source.strip(&mut head.headers);
        let kind = source.capture(&mut head, kind);
        let body = plain.unwrap_or(bytes);
        let (name, size) = (source.name.clone(), body.len());
        let event = NewEvent { source: name, kind, headers: head.headers, body, dedupe };
        let expected = source.respond_within.map(|within| (self.replies.expect(), within));
        // Handed over before the first wait: from here on the event is kept
        // even where the client goes away.
        let appended = self.store.append(event).await;
        let appended = appended.map_err(|error| (Refused::Store(error), None))?;
        if let Appended::New(_) = appended {
            source.meters.accepted(size);
            source.activity.accepted();
        }
        let reply = match (appended, expected) {
            (Appended::New(id), Some((expected, within))) => expected.wait(id, within).await,
            _ => None,
        };
        Ok(Received::Event(appended, reply))
    }

    /// What a whole request is: verified first, and only then looked into.
    async fn judge(
        &self,
        source: &Source,
        head: &Parts,
        body: &Bytes,
        (client, now): (Client, Instant),
    ) -> Result<Judged, Refused> {
        let request = signing::Request {
            method: &head.method,
            query: head.uri.query(),
            headers: &head.headers,
            body,
        };
        let (now_s, fetch) = (self.clock.now_ms() / 1000, self.fetch.as_ref());
        match source.verify(&request, now_s, (fetch, client.address), now).await? {
            Verified::Event { .. } => {}
            Verified::Handshake(answer) => return Ok(Judged::Handshake(answer)),
            Verified::Confirm(url) => {
                source.confirm(url, fetch, now).await?;
                return Ok(Judged::Handshake(Answer::empty(StatusCode::OK)));
            }
        }
        if let Some(hops) = &self.hops {
            hops.check(&head.headers).map_err(Refused::Loop)?;
        }
        let plain = match source.decompress {
            true => decompress(&head.headers, body, source.max_body).await?,
            false => None,
        };
        let body = plain.as_ref().unwrap_or(body);
        let (kind, dedupe) = source.facts.read(&head.headers, body);
        source.check(&kind, &head.headers, body)?;
        if !self.shares.admit(&source.name, body.len(), self.store.fullness(), now) {
            return Err(Refused::Share);
        }
        Ok(Judged::Event { kind, dedupe, plain })
    }
}

/// A request that is the source's own.
enum Judged {
    Handshake(Answer),
    Event {
        kind: Box<str>,
        dedupe: Option<Dedupe>,
        /// In place of a compressed body.
        plain: Option<Bytes>,
    },
}

/// The plain body; none where it is not compressed.
async fn decompress(
    headers: &HeaderMap,
    body: &Bytes,
    max: usize,
) -> Result<Option<Bytes>, Refused> {
    let refused = |error| Refused::Encoding { error, max };
    let encodings = decode::encodings(headers).map_err(refused)?;
    if encodings.is_empty() {
        return Ok(None);
    }
    let body = body.clone();
    // Up to a large body's worth of computing: not on a thread that serves.
    let plain = tokio::task::spawn_blocking(move || decode::plain(&encodings, body, max)).await;
    plain.unwrap_or(Err(DecodeError::Broken)).map(Some).map_err(refused)
}

/// What a request that was not refused came to.
enum Received {
    /// With what a plugin answers.
    Event(Appended, Option<Reply>),
    /// The provider checks who the source is: answered, and no event.
    Handshake(Answer),
}

/// Reads on after a refusal, so that the sender sees the answer, unless it
/// waits for leave to send the body at all.
fn spare<B>(request: Request<B>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if !request.body().is_end_stream() && !request.headers().contains_key(header::EXPECT) {
        tokio::spawn(discard(request.into_body(), DISCARD, DISCARD_TIME));
    }
}

fn accept(source: &Source, appended: Appended) -> Response<Full<Bytes>> {
    let (status, id) = match appended {
        Appended::New(id) => (StatusCode::ACCEPTED, id),
        Appended::Duplicate(id) => (StatusCode::OK, id),
    };
    tracing::debug!(source = %source.name, %id, status = status.as_u16(), "accepted");
    let (body, id) = written(id);
    let json = || HeaderValue::from_static("application/json");
    let (status, content_type, body) = match &source.answer {
        Some(own) => (own.status, own.content_type.clone(), own.body.clone()),
        None => (status, Some(json()), body),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(&WEBHOOK_ID, id);
    response
}

/// A plugin's own answer; `webhook-id` names the event all the same.
fn answered(source: &Source, appended: Appended, reply: Reply) -> Response<Full<Bytes>> {
    let (Appended::New(id) | Appended::Duplicate(id)) = appended;
    tracing::debug!(source = %source.name, %id, status = reply.status.as_u16(), "a plugin answered");
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(&WEBHOOK_ID, written(id).1);
    response
}

fn greet(source: &Source, answer: Answer) -> Response<Full<Bytes>> {
    tracing::info!(source = %source.name, status = answer.status.as_u16(), "handshake");
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    if let Some(content_type) = answer.content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// The id as a JSON document and as a header, both in one piece of memory.
fn written(id: EventId) -> (Bytes, HeaderValue) {
    const BEFORE: &str = r#"{"id":""#;
    const AFTER: &str = r#""}"#;
    let mut text = Vec::with_capacity(BEFORE.len() + 30 + AFTER.len());
    write!(text, "{BEFORE}{id}{AFTER}").expect("a vector takes all that is written");
    let body = Bytes::from(text);
    let id = body.slice(BEFORE.len()..body.len() - AFTER.len());
    (body, HeaderValue::from_maybe_shared(id).expect("an id is ASCII"))
}
