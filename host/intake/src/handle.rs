//! The way of one request: from its head to an event on the disk.
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use tokio::time::Instant;

use super::activity::Activity;
use super::anomaly::Anomaly;
use super::answers::{handshake, plugin_reply, received};
use super::client::Client;
use super::decode::{self, DecodeError};
use super::extraction::Envelope;
use super::fair_queue::FairQueue;
use super::keys::Fetch;
use super::meters::Meters;
use super::refused::{Refused, unmatched_reasons};
use super::rejects::{Refusal, Sample};
use super::source::Source;
use super::url_tokens::UrlTokens;
use super::{Options, Proxies, Sources, target};
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_model::{Name, Rejected, Reply};
use hookwright_server::{
    Arriving, BodyError, Budget, Charge, Peer, Service, Unread, read_body, spare,
};
use hookwright_signing::hops::Hops;
use hookwright_signing::{Answer, Verified};
use hookwright_store::{Appended, Dedupe, EventLog, NewEvent};

/// The source in the metrics where the path names none that there is.
const UNMATCHED: &str = "-";

/// The ingress: serve it with [`hookwright_server::serve`]. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    sources: ArcSwap<HashMap<Name, Arc<Source>>>,
    /// Of all sources.
    tokens: ArcSwap<UrlTokens>,
    store: Arc<dyn EventLog>,
    replies: Replies,
    clock: Clock,
    proxies: Proxies,
    body_timeout: Duration,
    hops: Option<Arc<Hops>>,
    fair_queue: FairQueue,
    budget: Budget,
    unmatched: Meters,
    unmatched_activity: Activity,
    fetch: Arc<dyn Fetch>,
}

impl Handle {
    pub fn new(options: Options, store: Arc<dyn EventLog>, replies: Replies, clock: Clock) -> Self {
        let tokens = UrlTokens::of(&options.sources);
        let sources = build(&options.sources, &tokens, &HashMap::new());
        Self(Arc::new(Shared {
            sources: ArcSwap::from_pointee(sources),
            tokens: ArcSwap::from_pointee(tokens),
            store,
            replies,
            clock,
            proxies: options.proxies,
            body_timeout: options.body_timeout,
            hops: options.hops,
            fair_queue: FairQueue::default(),
            budget: options.budget,
            unmatched: Meters::new(UNMATCHED, unmatched_reasons(), 0, None),
            unmatched_activity: Activity::default(),
            fetch: options.fetch,
        }))
    }

    /// Takes new sources for the requests from now on; those under way finish
    /// under the old ones.
    pub fn reconfigure(&self, sources: &Sources) {
        let before = self.0.sources.load_full();
        let tokens = UrlTokens::of(sources);
        self.0.sources.store(Arc::new(build(sources, &tokens, &before)));
        self.0.tokens.store(Arc::new(tokens));
    }

    /// The last refused requests of a source, or of those that named none (`-`),
    /// the newest first. None where there is no such source.
    pub fn rejected(&self, source: &str) -> Option<Vec<Rejected>> {
        if source == UNMATCHED {
            return Some(self.0.unmatched_activity.rejects.list());
        }
        Some(self.0.sources.load().get(source)?.activity.rejects.list())
    }

    /// A text without any token of a source's URL: for what was kept under settings before.
    pub fn without_tokens(&self, text: &str) -> String {
        self.0.tokens.load().bare(text).into_owned()
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

fn build(
    sources: &Sources,
    tokens: &UrlTokens,
    before: &HashMap<Name, Arc<Source>>,
) -> HashMap<Name, Arc<Source>> {
    let source = |(name, options)| {
        let before: Option<&Arc<Source>> = before.get(name);
        let before = before.map(AsRef::as_ref);
        let source = Source::new(Name::clone(name), options, tokens.clone(), before);
        (name.clone(), Arc::new(source))
    };
    sources.iter().map(source).collect()
}

impl Service for Handle {
    type Body = Full<Bytes>;

    fn call(
        &self,
        peer: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send + use<> {
        let inner = self.0.clone();
        async move { inner.answer(&peer, request).await }
    }

    fn unread(&self, _: &'static str, peer: &Peer, unread: &Unread) {
        self.0.unread(peer, unread);
    }
}

impl Shared {
    async fn answer<B>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
    {
        let started = Instant::now();
        let client = self.proxies.client(peer, request.headers());
        let source = match self.find(request.uri().path()) {
            Ok(source) => source,
            Err(refused) => {
                let head = (request.method(), request.uri(), request.headers());
                let (tokens, who) = (self.tokens.load(), (client.address, false));
                let sample = self.unmatched_activity.rejects.sample(
                    head,
                    None,
                    (None, &tokens),
                    who,
                    started,
                );
                let counts = (&self.unmatched, &self.unmatched_activity);
                let response = self.refuse(UNMATCHED, counts, &refused, sample, client);
                spare(request);
                self.unmatched.answered(response.status(), started.elapsed());
                return response;
            }
        };
        let response = match self.receive(&source, (peer, client), request, started).await {
            Ok(Received::Event(appended, None)) => received(&source, appended),
            Ok(Received::Event(appended, Some(reply))) => plugin_reply(&source, appended, reply),
            Ok(Received::Handshake(answer)) => handshake(&source, answer),
            Err((refused, sample)) => {
                let counts = (&source.meters, source.activity.as_ref());
                self.refuse(&source.name, counts, &refused, sample, client)
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
        sample: Option<Box<Sample>>,
        client: Client,
    ) -> Response<Full<Bytes>> {
        meters.refused(refused.reason());
        if let Refused::NotVerified { .. } = refused {
            activity.unverified(client.address);
        }
        let cause = self.tokens.load().bare(&refused.to_string()).into_owned();
        let (response, request) = refused.respond(source, client.address, &cause);
        if let Some(sample) = sample {
            let (at_ms, status) = (self.clock.now_ms(), response.status().as_u16());
            let reason = refused.reason();
            activity.rejects.keep(*sample, Refusal { request, at_ms, reason, cause, status });
        }
        response
    }

    /// Counts, logs and keeps a request whose head the server refused: with the
    /// source, where its path names one.
    fn unread(&self, peer: &Peer, unread: &Unread) {
        let client = self.proxies.client(peer, &unread.headers).address;
        let found = self.find(unread.path()).ok();
        let (source, meters, activity) = match &found {
            Some(source) => (&*source.name, &source.meters, source.activity.as_ref()),
            None => (UNMATCHED, &self.unmatched, &self.unmatched_activity),
        };
        let (request, reason, cause) = (unread.request, unread.code.as_str(), unread.cause());
        tracing::info!(source, %client, %request, reason, cause, "refused");
        meters.refused(reason);
        meters.status(unread.code.status());
        if let Some(sample) =
            activity.rejects.sample_unread(unread, &self.tokens.load(), client, Instant::now())
        {
            let (at_ms, status) = (self.clock.now_ms(), unread.code.status().as_u16());
            let cause = cause.to_owned();
            activity.rejects.keep(*sample, Refusal { request, at_ms, reason, cause, status });
        }
    }

    fn find(&self, path: &str) -> Result<Arc<Source>, Refused> {
        let Some((name, token)) = target(path) else {
            let bare = path.strip_suffix('/').and_then(target);
            return Err(bare.map_or(Refused::NotFound, |_| Refused::Slash));
        };
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
    ) -> Result<Received, (Refused, Option<Box<Sample>>)>
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
    {
        if let Err(refused) = source.admit(request.method(), peer, client, now) {
            let head = (request.method(), request.uri(), request.headers());
            let sample = source.sample(head, None, (client.address, false), now);
            spare(request);
            return Err((refused, sample));
        }
        let (mut head, mut body) = request.into_parts();
        // Holds the body's bytes until the store has them.
        let mut charge = self.budget.charge(client.address, Some(&source.share));
        let (max, within) = (source.max_body, self.body_timeout);
        let bytes = match read_body(&mut body, max, within, &mut charge).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let told = (&head.method, &head.uri, &head.headers);
                let sample = source.sample(told, None, (client.address, false), now);
                if matches!(error, BodyError::TooLarge | BodyError::Memory) {
                    spare(Request::from_parts(head, body));
                }
                return Err((Refused::Body { error, max }, sample));
            }
        };
        drop(body);
        let (whole, when) = ((&bytes, &mut charge), (client, now));
        let (kind, dedupe, plain) = match self.judge(source, &head, whole, when).await {
            Ok(Judged::Event { kind, dedupe, plain }) => (kind, dedupe, plain),
            Ok(Judged::Handshake(answer)) => return Ok(Received::Handshake(answer)),
            Err(refused) => {
                let head = (&head.method, &head.uri, &head.headers);
                let who = (client.address, refused.is_verified());
                let sample = source.sample(head, Some(&bytes), who, now);
                return Err((refused, sample));
            }
        };
        if plain.is_some() {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::CONTENT_LENGTH);
        }
        source.strip(&mut head.headers);
        let kind = source.capture(&mut head, kind);
        let kind = source.without_tokens(&mut head.headers, kind);
        let body = plain.unwrap_or(bytes);
        let (name, size) = (source.name.clone(), body.len());
        let event = NewEvent { source: name, kind, headers: head.headers, body, dedupe };
        let expected = source.respond_within.map(|within| (self.replies.expect(), within));
        // Handed over before the first wait: from here on the event is kept
        // even where the client goes away.
        let appended = self.store.append(event).await;
        drop(charge);
        let appended = appended.map_err(|error| (Refused::Store(error), None))?;
        if let Appended::New(_) = appended {
            source.meters.accepted(size);
            source.activity.accepted(client.address);
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
        (body, charge): (&Bytes, &mut Charge),
        (client, now): (Client, Instant),
    ) -> Result<Judged, Refused> {
        let request = hookwright_signing::Request {
            method: &head.method,
            query: head.uri.query(),
            headers: &head.headers,
            body,
        };
        let (now_s, fetch) = (self.clock.now_ms() / 1000, self.fetch.as_ref());
        let verified = source.verify(&request, now_s, (fetch, client.address), now).await?;
        // Only now, and no handshake, which some providers don't sign: a stranger's requests use
        // up nothing of the source's own.
        if !matches!(verified, Verified::Handshake(_)) {
            source.count(Instant::now())?;
        }
        match verified {
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
            true => decompress(&head.headers, body, source.max_body, charge).await?,
            false => None,
        };
        let body = plain.as_ref().unwrap_or(body);
        let envelope = Envelope::new(&head.method, &head.uri, &head.headers);
        let (kind, dedupe) = source.extraction.read(envelope, body);
        source.check(&kind, &head.headers, body)?;
        if !self.fair_queue.admit(&source.name, body.len(), self.store.fullness(), now) {
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
    charge: &mut Charge,
) -> Result<Option<Bytes>, Refused> {
    let refused = |error| Refused::Encoding { error, max };
    let encodings = decode::encodings(headers).map_err(refused)?;
    if encodings.is_empty() {
        return Ok(None);
    }
    let body = body.clone();
    // It goes with the work, which goes on where the client does not wait for it.
    let mut held = charge.split();
    // Up to a large body's worth of computing: not on a thread that serves.
    let plain = tokio::task::spawn_blocking(move || {
        let plain = decode::plain(&encodings, body, max, &mut held);
        (plain, held)
    });
    let (plain, held) = plain.await.map_err(|_| refused(DecodeError::Broken))?;
    *charge = held;
    plain.map(Some).map_err(refused)
}

/// What a request that was not refused came to.
enum Received {
    /// With what a plugin answers.
    Event(Appended, Option<Reply>),
    /// The provider checks who the source is: answered, and no event.
    Handshake(Answer),
}
