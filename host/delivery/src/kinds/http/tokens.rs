//! Access tokens of one destination: one is kept, renewed before its end, and fetched once for all who wait.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{FutureExt, Shared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use parking_lot::Mutex;
use tokio::time::Instant;

use hookwright_egress::{Client, Egress, Request, SetupError};
use hookwright_model::Outcome;
use hookwright_settings::{OAuth2, Transport};
use hookwright_signing::{Token, token_refusal};

/// For one request to the authorization server.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longer answers are none.
const ANSWER_BYTES: usize = 64 * 1024;
/// The pause after the server gave no token, where it asks for none; it doubles.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest of those.
const LAST_REST: Duration = Duration::from_secs(300);
/// However long a `retry-after` of the server asks.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// A destination that refuses every token costs the server one in so long.
const REFUSED_REST: Duration = Duration::from_secs(30);
/// A token is renewed in the last tenth of its time, and not earlier than this before its end.
const EARLIEST: Duration = Duration::from_secs(60);

type Fetched = Result<HeaderValue, Arc<str>>;
type Answer = Shared<Pin<Box<dyn Future<Output = Fetched> + Send>>>;

#[derive(Clone)]
pub(super) struct Tokens(Arc<Parts>);

struct Parts {
    client: Client,
    /// What the client was made of.
    made_of: hookwright_egress::Options,
    headers: HeaderMap,
    form: Bytes,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// A fetch in flight, or one that has ended.
    fetch: Option<(tokio::task::AbortHandle, Answer)>,
    /// The server gave none: it is not asked before the end.
    rest: Option<Rest>,
    /// When a token was last dropped because the destination refused it.
    refused: Option<Instant>,
}

struct Rest {
    until: Instant,
    why: Arc<str>,
    /// The next one, where the server asks for none.
    next: Duration,
}

struct Held {
    authorization: HeaderValue,
    renew: Instant,
    end: Instant,
}

impl Tokens {
    /// Keeps the token of settings `before` these that ask the same server for the same.
    pub(super) fn new(
        options: OAuth2,
        egress: &Egress,
        name: &str,
        transport: &Transport,
        user_agent: &HeaderValue,
        before: Option<&Self>,
    ) -> Result<Self, SetupError> {
        let made_of = hookwright_egress::Options {
            transport: transport.clone(),
            in_flight: 1,
            excerpt: ANSWER_BYTES,
            ..hookwright_egress::Options::new(name, options.token_url)
        };
        let (form, authorization) = options.grant.request();
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        headers.insert(USER_AGENT, user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        let same = |parts: &Parts| {
            parts.made_of == made_of && parts.headers == headers && parts.form == form
        };
        if let Some(before) = before.filter(|before| same(&before.0)) {
            return Ok(before.clone());
        }
        let client = egress.client(made_of.clone())?;
        let (form, state) = (form.into(), Mutex::default());
        Ok(Self(Arc::new(Parts { client, made_of, headers, form, state })))
    }

    /// The value of `authorization`. A token in the last part of its time is
    /// still given while another one is on its way.
    ///
    /// # Errors
    /// Why there is none: all who waited for the same fetch hear the same.
    pub(super) async fn get(&self) -> Fetched {
        let answer = {
            let mut state = self.0.state.lock();
            let now = Instant::now();
            let held = state.held.as_ref().filter(|held| now < held.end);
            match held.map(|held| (held.authorization.clone(), held.renew)) {
                Some((authorization, renew)) if now < renew => return Ok(authorization),
                Some((authorization, _)) => {
                    if state.rest.as_ref().is_none_or(|rest| rest.until <= now) {
                        // It runs in its task, even if nobody waits.
                        drop(self.join(&mut state));
                    }
                    return Ok(authorization);
                }
                None => match state.rest.as_ref().filter(|rest| now < rest.until) {
                    Some(rest) => return Err(rest.why.clone()),
                    None => self.join(&mut state),
                },
            }
        };
        answer.await
    }

    /// Until when the server is not asked, where it gave no token.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        let state = self.0.state.lock();
        state.rest.as_ref().map(|rest| rest.until).filter(|_| state.held.is_none())
    }

    /// The destination does not take this token: whether to ask for another one.
    /// Not where one was dropped a moment ago and this one is refused as well.
    pub(super) fn drop_if(&self, refused: &HeaderValue) -> bool {
        let mut state = self.0.state.lock();
        if state.held.as_ref().is_some_and(|held| held.authorization == *refused) {
            let now = Instant::now();
            if state.refused.is_some_and(|at| now < at + REFUSED_REST) {
                return false;
            }
            state.refused = Some(now);
            state.held = None;
        }
        true
    }

    /// The fetch in flight, or a new one. In a task, so that it ends even if callers stop waiting.
    fn join(&self, state: &mut State) -> Answer {
        if let Some((task, answer)) = &state.fetch
            && !task.is_finished()
        {
            return answer.clone();
        }
        let parts = Arc::clone(&self.0);
        let task = tokio::spawn(async move { parts.fetch().await });
        let handle = task.abort_handle();
        let answer = async move {
            task.await.unwrap_or_else(|_| Err("the fetch of a token panicked".into()))
        };
        let answer = answer.boxed().shared();
        state.fetch = Some((handle, answer.clone()));
        answer
    }
}

impl Parts {
    async fn fetch(&self) -> Fetched {
        let began = Instant::now();
        let (headers, body) = (self.headers.clone(), self.form.clone());
        let outcome = self.client.send(Request { headers, body, timeout: TIMEOUT }).await;
        let mut asked = None;
        let token = match outcome {
            Outcome::Answered { status: 200..=299, excerpt, .. } => Token::read(&excerpt)
                .map_err(|error| format!("no token from the authorization server: {error}")),
            Outcome::Answered { status, excerpt, retry_after_s } => {
                asked = retry_after_s.map(Duration::from_secs);
                let code = token_refusal(&excerpt).map(|code| format!(" ({code})"));
                let code = code.unwrap_or_default();
                Err(format!("no token: the authorization server answered {status}{code}"))
            }
            Outcome::Failed { message, .. } => {
                Err(format!("no token: the authorization server was not reached: {message}"))
            }
            Outcome::Accepted => Err("no token: the answer had no status".to_owned()),
        };
        let mut state = self.state.lock();
        let token = match token {
            Ok(token) => token,
            Err(why) => {
                let why: Arc<str> = why.into();
                let before = state.rest.take();
                state.rest = Some(Rest::after(before, asked, why.clone()));
                return Err(why);
            }
        };
        let end = began + token.lasts;
        let renew = end - (token.lasts / 10).min(EARLIEST);
        let authorization = token.authorization;
        state.held = Some(Held { authorization: authorization.clone(), renew, end });
        state.rest = None;
        Ok(authorization)
    }
}

impl Rest {
    fn after(before: Option<Self>, asked: Option<Duration>, why: Arc<str>) -> Self {
        let own = before.map_or(FIRST_REST, |before| before.next);
        let wait = own.max(asked.unwrap_or_default().min(LONGEST_REST));
        Self { until: Instant::now() + wait, why, next: (own * 2).min(LAST_REST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_signing::{Grant, Secret};
    use hookwright_testkit::receiver::{Receiver, Reply, answer};

    async fn forward(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    async fn until(done: impl Fn() -> bool) {
        let waiting = async {
            while !done() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it comes to pass");
    }

    fn tokens(server: &Receiver) -> Tokens {
        let grant = Grant {
            client_id: "us".to_owned(),
            secret: Secret::new("s"),
            scope: None,
            audience: None,
            in_body: true,
        };
        let options = OAuth2 { token_url: server.url(), grant };
        let agent = HeaderValue::from_static("test");
        let transport = Transport::to_any_address();
        Tokens::new(options, &Egress::default(), "test", &transport, &agent, None)
            .expect("good settings")
    }

    fn token(number: usize) -> Reply {
        answer(200, "", &format!(r#"{{"access_token":"t{number}","expires_in":600}}"#))
    }

    #[tokio::test]
    async fn a_token_is_renewed_before_its_end_while_the_old_one_still_serves() {
        let server = Receiver::start(|seen| token(seen.number)).await;
        let tokens = tokens(&server);
        assert_eq!(tokens.get().await.expect("a token"), "Bearer t0");
        forward(Duration::from_secs(530)).await;
        assert_eq!(tokens.get().await.expect("a token"), "Bearer t0");
        assert_eq!(server.seen().len(), 1, "it is not the last tenth yet");
        forward(Duration::from_secs(20)).await;
        let old = tokens.get().now_or_never().expect("nobody waits");
        assert_eq!(old.expect("a token"), "Bearer t0");
        until(|| server.seen().len() == 2).await;
        until(|| {
            tokens.get().now_or_never().is_some_and(|got| got.is_ok_and(|got| got == "Bearer t1"))
        })
        .await;
        forward(Duration::from_secs(700)).await;
        assert_eq!(tokens.get().await.expect("a token"), "Bearer t2", "the end has come");
    }

    #[tokio::test]
    async fn all_who_wait_hear_of_the_same_failure_and_nobody_asks_before_the_rest_is_over() {
        let server = Receiver::start(|seen| match seen.number {
            0 => {
                let refusal = answer(503, "retry-after: 40\r\n", "");
                Reply::After(Duration::from_millis(20), Box::new(refusal))
            }
            1 => Reply::Close(Vec::new()),
            number => token(number),
        })
        .await;
        let tokens = tokens(&server);
        let all = futures_util::future::join_all((0..20).map(|_| tokens.get())).await;
        assert!(all.iter().all(|got| got.as_ref().is_err_and(|why| why.contains("503"))));
        forward(Duration::from_secs(35)).await;
        assert!(tokens.get().await.is_err_and(|why| why.contains("503")));
        assert_eq!(server.seen().len(), 1, "as it asked");
        forward(Duration::from_secs(6)).await;
        assert!(tokens.get().await.is_err_and(|why| why.contains("not reached")));
        let rests = tokens.rests_until().expect("it rests");
        assert!(rests > Instant::now() && rests <= Instant::now() + Duration::from_secs(2));
        forward(Duration::from_secs(3)).await;
        assert_eq!(tokens.get().await.expect("a token"), "Bearer t2");
        assert_eq!(tokens.rests_until(), None);
    }

    #[tokio::test]
    async fn a_destination_that_refuses_every_token_costs_the_server_few() {
        let server = Receiver::start(|seen| token(seen.number)).await;
        let tokens = tokens(&server);
        for _ in 0..50 {
            let token = tokens.get().await.expect("a token");
            tokens.drop_if(&token);
        }
        assert_eq!(server.seen().len(), 2);
        forward(REFUSED_REST + Duration::from_secs(1)).await;
        let token = tokens.get().await.expect("a token");
        assert!(tokens.drop_if(&token));
        assert_eq!(tokens.get().await.expect("a token"), "Bearer t2");
        assert!(tokens.drop_if(&token), "somebody has another one by now");
    }
}
