//! The HTTP service: the way of one request, from its head to an event on the disk.
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tokio::time::Instant;

use super::activity::Activity;
use super::anomaly::Anomaly;
use super::answers::{handshake, plugin_reply, received};
use super::client::Client;
use super::endpoint::Endpoint;
use super::keys::Fetch;
use super::meters::Meters;
use super::refused::{Refused, unmatched_reasons};
use super::rejects::{Refusal, Sample};
use super::url_tokens::UrlTokens;
use super::{Options, Proxies, Sources, target};
use crate::extraction::Envelope;
use crate::intake::Admitted;
use crate::{Intake, Outcome};
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_model::{Name, Rejected, Reply};
use hookwright_server::{Arriving, BodyError, Charge, Peer, Service, Unread, read_body, spare};
use hookwright_signing::{Answer, Verified};

/// The source in the metrics where the path names none that there is.
const UNMATCHED: &str = "-";

/// The HTTP service of the intake: serve it with [`hookwright_server::serve`]. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    intake: Intake,
    endpoints: ArcSwap<HashMap<Name, Arc<Endpoint>>>,
    /// Of all sources.
    tokens: ArcSwap<UrlTokens>,
    replies: Replies,
    clock: Clock,
    proxies: Proxies,
    body_timeout: Duration,
    fetch: Arc<dyn Fetch>,
    unmatched: Unmatched,
}

/// Requests whose path names no source that there is.
struct Unmatched {
    meters: Meters,
    activity: Activity,
}

impl Handle {
    /// A service in front of the intake. `replies` is where plugins' answers come from.
    pub fn new(options: Options, intake: Intake, replies: Replies, clock: Clock) -> Self {
        let tokens = UrlTokens::of(&options.sources);
        let endpoints = build(&options.sources, &tokens, &HashMap::new());
        let meters = Meters::new(UNMATCHED, unmatched_reasons(), 0, None);
        Self(Arc::new(Shared {
            intake,
            endpoints: ArcSwap::from_pointee(endpoints),
            tokens: ArcSwap::from_pointee(tokens),
            replies,
            clock,
            proxies: options.proxies,
            body_timeout: options.body_timeout,
            fetch: options.fetch,
            unmatched: Unmatched { meters, activity: Activity::default() },
        }))
    }

    /// Takes new sources for the requests from now on; those in flight finish
    /// under the old ones.
    pub fn reconfigure(&self, sources: &Sources) {
        let before = self.0.endpoints.load_full();
        let tokens = UrlTokens::of(sources);
        self.0.endpoints.store(Arc::new(build(sources, &tokens, &before)));
        self.0.tokens.store(Arc::new(tokens));
    }

    /// The last refused requests of a source, or of those that named none (`-`),
    /// the newest first. None where there is no such source.
    pub fn rejected(&self, source: &str) -> Option<Vec<Rejected>> {
        if source == UNMATCHED {
            return Some(self.0.unmatched.activity.rejects.list());
        }
        Some(self.0.endpoints.load().get(source)?.activity.rejects.list())
    }

    /// A text without any token of a source's URL: for what was kept under settings before.
    pub fn without_tokens(&self, text: &str) -> String {
        self.0.tokens.load().bare(text).into_owned()
    }

    /// What is unusual about a source now.
    pub fn anomalies(&self, source: &str) -> Vec<Anomaly> {
        let endpoints = self.0.endpoints.load();
        endpoints.get(source).map(|endpoint| endpoint.activity.anomalies()).unwrap_or_default()
    }

    /// A minute of all sources has passed.
    pub(super) fn minute(&self) {
        for (name, endpoint) in self.0.endpoints.load().iter() {
            endpoint.activity.minute(name);
        }
    }
}

fn build(
    sources: &Sources,
    tokens: &UrlTokens,
    before: &HashMap<Name, Arc<Endpoint>>,
) -> HashMap<Name, Arc<Endpoint>> {
    let endpoint = |(name, options)| {
        let before: Option<&Arc<Endpoint>> = before.get(name);
        let before = before.map(AsRef::as_ref);
        let endpoint = Endpoint::new(Name::clone(name), options, tokens.clone(), before);
        (name.clone(), Arc::new(endpoint))
    };
    sources.iter().map(endpoint).collect()
}

impl Service for Handle {
    type Body = Full<Bytes>;

    fn call(
        &self,
        peer: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send + use<> {
        let shared = self.0.clone();
        async move { shared.answer(&peer, request).await }
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
        let client = Client::of(&self.proxies, peer, request.headers());
        let endpoint = match self.find(request.uri().path()) {
            Ok(endpoint) => endpoint,
            Err(refused) => {
                let head = (request.method(), request.uri(), request.headers());
                let (tokens, who) = (self.tokens.load(), (client.address, false));
                let Unmatched { meters, activity } = &self.unmatched;
                let sample = activity.rejects.sample(head, None, (None, &tokens), who, started);
                let counts = (meters, activity);
                let response = self.refuse(UNMATCHED, counts, &refused, sample, client);
                spare(request);
                meters.answered(response.status(), started.elapsed());
                return response;
            }
        };
        let response = match self.receive(&endpoint, (peer, client), request, started).await {
            Ok(Received::Event(outcome, None)) => received(&endpoint, outcome),
            Ok(Received::Event(outcome, Some(reply))) => plugin_reply(&endpoint, outcome, reply),
            Ok(Received::Handshake(answer)) => handshake(&endpoint, answer),
            Err((refused, sample)) => {
                let counts = (&endpoint.meters, endpoint.activity.as_ref());
                self.refuse(endpoint.name(), counts, &refused, sample, client)
            }
        };
        endpoint.meters.answered(response.status(), started.elapsed());
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
        let client = Client::of(&self.proxies, peer, &unread.headers).address;
        let found = self.find(unread.path()).ok();
        let (source, meters, activity) = match &found {
            Some(endpoint) => (&**endpoint.name(), &endpoint.meters, endpoint.activity.as_ref()),
            None => (UNMATCHED, &self.unmatched.meters, &self.unmatched.activity),
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

    fn find(&self, path: &str) -> Result<Arc<Endpoint>, Refused> {
        let Some((name, token)) = target(path) else {
            let bare = path.strip_suffix('/').and_then(target);
            return Err(bare.map_or(Refused::NotFound, |_| Refused::Slash));
        };
        let endpoint = self.endpoints.load().get(name).cloned();
        // A wrong token, or one that is missing, tells nothing of the source.
        endpoint.filter(|endpoint| endpoint.is_at(token)).ok_or(Refused::UnknownSource)
    }

    /// Reads, verifies and hands in one request whose source is known.
    async fn receive<B>(
        &self,
        endpoint: &Endpoint,
        (peer, client): (&Peer, Client),
        request: Request<B>,
        now: Instant,
    ) -> Result<Received, (Refused, Option<Box<Sample>>)>
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static,
    {
        if let Err(refused) = endpoint.admit(request.method(), peer, client, now) {
            let head = (request.method(), request.uri(), request.headers());
            let sample = endpoint.sample(head, None, (client.address, false), now);
            spare(request);
            return Err((refused, sample));
        }
        let (mut head, mut body) = request.into_parts();
        // Holds the body's bytes until the store has them.
        let mut charge = self.intake.charge(&endpoint.source, client.address);
        let (max, within) = (endpoint.source.max_body, self.body_timeout);
        let bytes = match read_body(&mut body, max, within, &mut charge).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let told = (&head.method, &head.uri, &head.headers);
                let sample = endpoint.sample(told, None, (client.address, false), now);
                if matches!(error, BodyError::TooLarge | BodyError::Memory) {
                    spare(Request::from_parts(head, body));
                }
                return Err((Refused::Body { error, max }, sample));
            }
        };
        drop(body);
        let mut admitted =
            match self.examine(endpoint, &head, (&bytes, &mut charge), (client, now)).await {
                Ok(Examined::Event(admitted)) => admitted,
                Ok(Examined::Handshake(answer)) => return Ok(Received::Handshake(answer)),
                Err(refused) => {
                    let head = (&head.method, &head.uri, &head.headers);
                    let who = (client.address, refused.is_verified());
                    let sample = endpoint.sample(head, Some(&bytes), who, now);
                    return Err((refused, sample));
                }
            };
        // A compressed body is not held beside the plain one.
        drop(bytes);
        endpoint.strip(&mut head.headers);
        endpoint.attributes(&head).write(&mut head.headers);
        let kind = endpoint.kind(&head, admitted.kind);
        admitted.kind = endpoint.without_tokens(&mut head.headers, kind);
        let expected = endpoint.respond_within.map(|within| (self.replies.expect(), within));
        let appended = self.intake.append(&endpoint.source, admitted, head.headers, charge).await;
        let outcome = appended.map_err(|refusal| (refusal.into(), None))?;
        if let Outcome::Durable(_) = outcome {
            endpoint.activity.accepted(client.address);
        }
        let reply = match (outcome, expected) {
            (Outcome::Durable(id), Some((expected, within))) => expected.wait(id, within).await,
            _ => None,
        };
        Ok(Received::Event(outcome, reply))
    }

    /// What a whole request is: verified first, and only then looked into.
    async fn examine(
        &self,
        endpoint: &Endpoint,
        head: &Parts,
        (body, charge): (&Bytes, &mut Charge),
        (client, now): (Client, Instant),
    ) -> Result<Examined, Refused> {
        let request = hookwright_signing::Request {
            method: &head.method,
            query: head.uri.query(),
            headers: &head.headers,
            body,
        };
        let (now_s, fetch) = (self.clock.now_ms() / 1000, self.fetch.as_ref());
        let requester = (fetch, client.address);
        match endpoint.verify(&request, now_s, requester, now).await? {
            Verified::Event { .. } => {}
            // Counts against no rate: some providers don't sign it, and a stranger's requests
            // must use up nothing of the source's own.
            Verified::Handshake(answer) => return Ok(Examined::Handshake(answer)),
            Verified::Confirm(url) => {
                endpoint.source.count(Instant::now())?;
                endpoint.confirm(url, fetch, now).await?;
                return Ok(Examined::Handshake(Answer::empty(StatusCode::OK)));
            }
        }
        // A form that is sent by GET or HEAD, as Twilio's may be, has its fields in the query.
        let in_query = head.method == Method::GET || head.method == Method::HEAD;
        let envelope =
            Envelope::new(&head.headers).with_fields(head.uri.query().filter(|_| in_query));
        let admitted = self.intake.admit(&endpoint.source, envelope, body, charge).await?;
        Ok(Examined::Event(admitted))
    }
}

/// A request that is the source's own.
enum Examined {
    Handshake(Answer),
    Event(Admitted),
}

/// What a request that was not refused came to.
enum Received {
    /// With what a plugin answers.
    Event(Outcome, Option<Reply>),
    /// The provider checks who the source is: answered, and no event.
    Handshake(Answer),
}
