//! HTTP as a kind of destination: a signed POST over a pool of connections.
mod auth;
mod batch;
mod headers;
mod hidden;
mod response;
mod tokens;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tokio::time::Instant;

use self::auth::Authorizer;
use self::batch::Joined;
use self::headers::{is_credential, is_ours};
use self::hidden::{Hidden, filled};
use self::response::response;
use super::{Environment, Factory, Kind, LaneOptions, Packed, Sending};
use crate::error::Problem;
use hookwright_egress::{Client, Request};
use hookwright_model::{Cause, Delivery, Disposition, Outcome, Response};
use hookwright_settings::{Auth, Fill, Format, PostOptions};
use hookwright_signing::Signer;
use hookwright_signing::hops::Hops;
use hookwright_telemetry::traces::{Server, Spans};

/// One destination's client, and what every delivery carries.
pub(super) struct Http {
    client: Client,
    /// What the client was made of.
    made_of: hookwright_egress::Options,
    url: Uri,
    server: Option<Server>,
    signer: Signer,
    authorizer: Authorizer,
    headers: HeaderMap,
    /// Headers that no plugin may touch: signatures and credentials.
    owned: Vec<HeaderName>,
    user_agent: HeaderValue,
    hops: Option<Arc<Hops>>,
    traces: Option<Arc<Spans>>,
    timeout: Duration,
    fill: Option<Fill>,
    hidden: Hidden,
    /// None: each delivery in a request of its own.
    batch: Option<Format>,
}

/// Why a request was not made.
#[derive(Debug)]
struct Unmade {
    cause: Cause,
    message: String,
}

impl Unmade {
    fn credentials(message: String) -> Self {
        Self { cause: Cause::Credentials, message }
    }
}

impl From<String> for Unmade {
    /// The delivery itself is at fault.
    fn from(message: String) -> Self {
        Self { cause: Cause::Request, message }
    }
}

impl Http {
    /// Keeps the client, and with it the open connections, of settings before
    /// these that lead to the same place in the same way; likewise the token.
    fn new(
        options: PostOptions,
        lane: &LaneOptions<'_>,
        environment: &Environment,
        before: Option<&Self>,
    ) -> Result<Self, Problem> {
        let mut headers = options.headers;
        let auth = options.auth.iter().filter_map(|auth| match auth {
            Auth::Header(_, value) => Some(value),
            Auth::OAuth2(_) | Auth::Aws(_) => None,
        });
        let known = headers.values().filter(|value| value.is_sensitive()).chain(auth);
        let hidden = Hidden::new(&options.url, options.fill.as_ref(), known);
        let signer = Signer::new(options.sign.as_ref());
        let mut owned: Vec<HeaderName> = signer.headers().cloned().collect();
        owned.extend(options.auth.iter().flat_map(Auth::headers));
        if let Some(name) = headers.keys().find(|name| is_ours(name) || owned.contains(name)) {
            return Err(Problem::Header(name.to_string()));
        }
        let secret = headers.iter().filter(|(_, value)| value.is_sensitive());
        owned.extend(secret.map(|(name, _)| name.clone()));
        // They may be credentials, and a sensitive value is not printed.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let made_of = hookwright_egress::Options {
            name: lane.name.to_string(),
            url: options.url.clone(),
            transport: options.transport,
            in_flight: lane.in_flight,
            excerpt: environment.excerpt,
        };
        let client = match before.filter(|before| before.made_of == made_of) {
            Some(before) => before.client.clone(),
            None => environment.egress.client(made_of.clone())?,
        };
        let (egress, user_agent) = (&environment.egress, &environment.user_agent);
        let (auth, transport) = (options.auth, &made_of.transport);
        let held = before.map(|before| &before.authorizer);
        Ok(Self {
            authorizer: Authorizer::new(auth, egress, lane.name, transport, user_agent, held)?,
            client,
            server: Server::of(&options.url),
            url: options.url,
            signer,
            headers,
            owned,
            user_agent: user_agent.clone(),
            hops: environment.hops.clone(),
            // A request with many events is in the trace of none of them.
            traces: environment.traces.clone().filter(|_| lane.batch.is_none()),
            timeout: options.timeout,
            fill: options.fill,
            hidden,
            batch: lane.batch.map(|batch| batch.format),
            made_of,
        })
    }

    /// Whether only the settings and Hookwright itself set this header.
    fn owns(&self, name: &HeaderName) -> bool {
        is_ours(name) || is_credential(name) || self.owned.contains(name)
    }

    async fn respond(&self, delivery: &Delivery, at_ms: u64) -> Response {
        let Unmade { cause, message } = match self.post(delivery, at_ms).await {
            Ok(outcome) => return response(outcome),
            Err(unmade) => unmade,
        };
        let mut response = Response::failed(cause, message);
        if let Disposition::NoCredentials { until } = &mut response.disposition {
            *until = self.authorizer.rests_until();
        }
        response
    }

    async fn post(&self, delivery: &Delivery, at_ms: u64) -> Result<Outcome, Unmade> {
        let began = Instant::now();
        let body = self.fill.as_ref().and_then(|fill| filled(fill, delivery));
        let body = body.unwrap_or_else(|| delivery.body().clone());
        let mut headers = headers::build(self, delivery, &body, at_ms)?;
        let request = (&self.url, &mut headers, &body[..]);
        self.authorizer.apply(request, at_ms / 1_000, self.timeout).await?;
        // Only where it may be sent twice.
        let again = self.authorizer.can_renew().then(|| headers.clone());
        let left = || self.timeout.saturating_sub(began.elapsed());
        let sent = Request { headers, body: body.clone(), timeout: left() };
        let mut outcome = self.client.send(sent).await;
        let Some(mut headers) = again else {
            self.hidden.scrub(&mut outcome, None);
            return Ok(outcome);
        };
        // A token may be revoked before its end: that is no answer to the event.
        if matches!(outcome, Outcome::Answered { status: 401, .. })
            && let Some(refused) = headers.get(AUTHORIZATION)
            && let Some(token) = self.authorizer.renew(refused, left()).await?
        {
            headers.insert(AUTHORIZATION, token);
            let sent = Request { headers: headers.clone(), body, timeout: left() };
            outcome = self.client.send(sent).await;
        }
        self.hidden.scrub(&mut outcome, headers.get(AUTHORIZATION));
        Ok(outcome)
    }
}

impl Factory for PostOptions {
    fn make(
        &self,
        lane: &LaneOptions<'_>,
        environment: &Environment,
        before: Option<&dyn Kind>,
    ) -> Result<Arc<dyn Kind>, Problem> {
        let before = before.and_then(|kind| (kind as &dyn Any).downcast_ref());
        Ok(Arc::new(Http::new(self.clone(), lane, environment, before)?))
    }
}

impl Kind for Http {
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s> {
        Box::pin(self.respond(delivery, at_ms))
    }

    fn pack<'s>(&'s self, deliveries: &'s [Delivery]) -> Option<Box<dyn Packed + 's>> {
        Some(Box::new(Joined::new(self, deliveries, self.batch?)))
    }

    fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }
}
