//! One source as HTTP reaches it: who may post there, and how a request is verified.
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use ipnet::IpNet;
use tokio::time::Instant;

use super::activity::Activity;
use super::addresses::Addresses;
use super::client::Client;
use super::headers::strip;
use super::keys::{Fetch, Keys, Requester};
use super::meters::Meters;
use super::refused::{Refused, reasons};
use super::rejects::Sample;
use super::url_tokens::UrlTokens;
use crate::{Attributes, Rate, Source};
use hookwright_model::Name;
use hookwright_server::Peer;
use hookwright_settings::{Answer, ClientPins, EndpointOptions};
use hookwright_signing::{Refusal, Request, Secret, Verified, Verifier};

/// Bytes of a query that is kept with an event.
const MAX_QUERY: usize = 8 << 10;

/// What HTTP has to know of a source, made ready for use. The service makes one for each source of the settings.
pub(super) struct Endpoint {
    /// What any way in has to know of it.
    pub(super) source: Source,
    pub(super) answer: Option<Answer>,
    pub(super) success: StatusCode,
    pub(super) respond_within: Option<Duration>,
    pub(super) meters: Meters,
    pub(super) activity: Arc<Activity>,
    methods: Vec<Method>,
    /// What a 405 says in `allow`.
    allowed: HeaderValue,
    bin: bool,
    verifier: Verifier,
    tokens: Vec<Secret>,
    /// Of all sources, to be kept nowhere.
    all_tokens: UrlTokens,
    require_tls: bool,
    client: Option<ClientPins>,
    allow: Vec<IpNet>,
    addresses: Option<Arc<Addresses>>,
    keys: Arc<Keys>,
}

impl Endpoint {
    /// `before` is the same source under the settings before: its rates continue to
    /// count where the new settings have the same ones.
    pub(super) fn new(
        name: Name,
        options: &EndpointOptions,
        all_tokens: UrlTokens,
        before: Option<&Self>,
    ) -> Self {
        let addresses = options.rate_per_address.map(Rate::from).map(|rate| {
            let kept = before.and_then(|endpoint| endpoint.addresses.clone());
            kept.filter(|kept| kept.pace == rate.pace())
                .unwrap_or_else(|| Addresses::new(rate).into())
        });
        let secrets = options.verify.keys();
        let verifier = Verifier::new(&options.verify);
        Self {
            answer: options.answer.clone(),
            success: options.success,
            respond_within: options.respond_within,
            meters: Meters::new(&name, reasons(), secrets, options.answer.as_ref()),
            activity: before.map(|endpoint| endpoint.activity.clone()).unwrap_or_default(),
            methods: options.methods.clone(),
            allowed: allowed(&options.methods, &verifier),
            bin: options.bin,
            verifier,
            tokens: options.tokens.clone(),
            all_tokens,
            require_tls: options.require_tls,
            client: options.client.clone(),
            allow: options.allow.clone(),
            addresses,
            keys: before.map(|endpoint| endpoint.keys.clone()).unwrap_or_default(),
            source: Source::new(name, &options.source, before.map(|endpoint| &endpoint.source)),
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.source.name
    }

    /// Whether the source is found at the path with this token. Every one of its
    /// own is compared, each in constant time.
    pub(super) fn is_at(&self, token: Option<&str>) -> bool {
        match token {
            None => self.tokens.is_empty(),
            Some(token) => {
                let token = token.as_bytes();
                self.tokens.iter().fold(false, |found, known| found | known.matches(token))
            }
        }
    }

    /// What can be told from the head alone, the cheapest first.
    pub(super) fn admit(
        &self,
        method: &Method,
        peer: &Peer,
        client: Client,
        now: Instant,
    ) -> Result<(), Refused> {
        if !self.takes(method) && !self.verifier.handles_handshake(method) {
            return Err(self.other_method());
        }
        if self.require_tls && !client.secure {
            return Err(Refused::NotEncrypted);
        }
        let address = client.address;
        if !self.allow.is_empty() && !self.allow.iter().any(|net| net.contains(&address)) {
            return Err(Refused::Address);
        }
        if let Some(addresses) = &self.addresses {
            addresses.take(address, now).map_err(|wait| Refused::AddressRate { wait })?;
        }
        if let Some(pins) = &self.client
            && !peer.certificate.as_ref().is_some_and(|own| super::knows(pins, own))
        {
            return Err(Refused::ClientCertificate);
        }
        // Without counting, so that a body need not come in vain: what is not
        // verified uses up nothing of the rate.
        Ok(self.source.peek(now)?)
    }

    /// Whether events come by the method.
    fn takes(&self, method: &Method) -> bool {
        self.bin || self.methods.contains(method)
    }

    fn other_method(&self) -> Refused {
        Refused::Method { allowed: self.allowed.clone() }
    }

    /// Fetches the keys first that the scheme needs and the settings do not have.
    pub(super) async fn verify(
        &self,
        request: &Request<'_>,
        now_s: u64,
        (fetch, address): (&dyn Fetch, IpAddr),
        now: Instant,
    ) -> Result<Verified, Refused> {
        if self.bin {
            return Ok(Verified::Event { secret: None });
        }
        let refused = |refusal| {
            let challenge = self.verifier.challenge();
            match refusal {
                Refusal::NoKeys => Refused::NoKeys,
                refusal => Refused::NotVerified { refusal, challenge },
            }
        };
        let wanted = self.verifier.wants(request, now_s).map_err(refused)?;
        let fetched = match &wanted {
            None => None,
            Some(wanted) => {
                let requester = Requester { verifier: &self.verifier, fetch, address, now };
                self.keys.get(wanted, requester).await
            }
        };
        let verified = self.verifier.verify_with(request, now_s, fetched.as_deref());
        let verified = verified.map_err(refused)?;
        if let Some(wanted) = &wanted {
            self.keys.proved(&wanted.url);
        }
        if let Verified::Event { secret } = verified {
            // One by which handshakes come alone.
            if !self.takes(request.method) {
                return Err(self.other_method());
            }
            if let Some(secret) = secret {
                self.meters.verified(secret);
            }
        }
        Ok(verified)
    }

    /// Fetches the URL by which a provider wants a subscription to be confirmed.
    pub(super) async fn confirm(
        &self,
        url: String,
        fetch: &dyn Fetch,
        now: Instant,
    ) -> Result<(), Refused> {
        self.keys.confirm(url, fetch, now).await.map_err(Refused::NotConfirmed)
    }

    /// What is kept of a request that is about to be refused: whose it is, and
    /// whether it was verified.
    pub(super) fn sample(
        &self,
        head: (&Method, &Uri, &HeaderMap),
        body: Option<&[u8]>,
        who: (IpAddr, bool),
        now: Instant,
    ) -> Option<Box<Sample>> {
        let secret = (self.verifier.credential(), &self.all_tokens);
        self.activity.rejects.sample(head, body, secret, who, now)
    }

    /// How the request came: its method where it is not POST, and its query without the secret that stood in it.
    /// A bin keeps every method.
    pub(super) fn attributes(&self, head: &Parts) -> Attributes {
        let told = self.bin || head.method != Method::POST;
        let method = told.then(|| HeaderValue::from_str(head.method.as_str()).ok()).flatten();
        let query = head.uri.query().filter(|query| query.len() <= MAX_QUERY);
        let query = query.map(|query| without(query, self.verifier.parameter()));
        let query = query.filter(|query| !query.is_empty());
        Attributes { method, query: query.and_then(|it| HeaderValue::from_str(&it).ok()) }
    }

    /// The kind of an event; in a bin the method, where the settings name no kind.
    pub(super) fn kind(&self, head: &Parts, kind: Box<str>) -> Box<str> {
        if self.bin && kind.is_empty() { head.method.as_str().into() } else { kind }
    }

    /// Takes out what must not be kept with the event.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        if let Some(name) = self.verifier.credential() {
            headers.remove(name);
        }
        strip(headers);
    }

    /// Takes the tokens of URLs out of all that is kept beside the body; the kind may come from a
    /// header, too.
    pub(super) fn without_tokens(&self, headers: &mut HeaderMap, kind: Box<str>) -> Box<str> {
        self.all_tokens.strip(headers);
        match self.all_tokens.bare(&kind) {
            Cow::Borrowed(_) => kind,
            Cow::Owned(bare) => bare.into(),
        }
    }
}

/// A query without one of its parameters.
fn without<'q>(query: &'q str, parameter: Option<&str>) -> Cow<'q, str> {
    let Some(parameter) = parameter else { return Cow::Borrowed(query) };
    let is_named =
        |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == parameter);
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_named(pair)).collect();
    Cow::Owned(kept.join("&"))
}

/// The methods of events, and the one of the scheme's handshake.
fn allowed(methods: &[Method], verifier: &Verifier) -> HeaderValue {
    let greeting = verifier.handshake_method().filter(|method| !methods.contains(method));
    let all: Vec<&str> = methods.iter().chain(greeting).map(Method::as_str).collect();
    HeaderValue::from_str(&all.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("POST"))
}
