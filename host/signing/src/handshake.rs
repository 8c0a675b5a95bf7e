//! How a provider makes sure that a URL is its customer's, and what it wants to hear.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::check::Check;
use super::message::parameter;
use super::preset::Handshake;
use super::request::{Answer, Request, in_body, in_form, single};
use super::{Refusal, Secret, Verify};

/// Bytes of a body that may be a handshake: all are far smaller.
const MAX_BODY: usize = 4096;
/// Bytes of a text that is handed back unsigned.
const MAX_ECHO: usize = 256;
/// The same of Microsoft Graph's, which is a sentence.
const MAX_GRAPH_ECHO: usize = 1_024;

static HOOK_SECRET: HeaderName = HeaderName::from_static("x-hook-secret");
static HOOK_SIGNATURE: HeaderName = HeaderName::from_static("x-hook-signature");
static SLACK_SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
static HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature");
static EVENT_KEY: HeaderName = HeaderName::from_static("x-event-key");
static WC_SIGNATURE: HeaderName = HeaderName::from_static("x-wc-webhook-signature");
static TWITCH_TYPE: HeaderName = HeaderName::from_static("twitch-eventsub-message-type");
static REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
static ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
static ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

impl Handshake {
    /// The method beside POST that it uses.
    pub fn method(self) -> Option<Method> {
        match self {
            Self::Hub | Self::Crc | Self::Slack => Some(Method::GET),
            Self::Head => Some(Method::HEAD),
            Self::Options => Some(Method::OPTIONS),
            _ => None,
        }
    }

    /// For the docs.
    pub fn describe(self) -> &'static str {
        match self {
            Self::None => "–",
            Self::Slack => "`url_verification`, `ssl_check`",
            Self::Zoom => "`endpoint.url_validation`",
            Self::Twitch => "`webhook_callback_verification`",
            Self::Discord => "PING",
            Self::Hub => "GET with `hub.challenge`",
            Self::Crc => "GET with `crc_token`",
            Self::Asana => "`x-hook-secret`",
            Self::Head => "HEAD",
            Self::WooCommerce => "the unsigned ping",
            Self::Bitbucket => "`diagnostics:ping`",
            Self::Graph => "POST with `validationToken`",
            Self::Options => "OPTIONS",
        }
    }
}

/// One source's handshake.
pub(super) struct Handshakes {
    kind: Handshake,
    method: Option<Method>,
    verify_token: Option<Secret>,
}

impl Handshakes {
    pub(super) fn new(verify: &Verify) -> Self {
        let verify_token = match verify {
            Verify::Preset(scheme) => scheme.verify_token.clone(),
            _ => None,
        };
        let kind = verify.handshake();
        Self { kind, method: kind.method(), verify_token }
    }

    pub(super) fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// Those that no signature protects. What they hand back must be of no use
    /// to a client that is not the provider.
    pub(super) fn unsigned(
        &self,
        request: &Request<'_>,
        check: &Check,
        now_s: u64,
    ) -> Result<Option<Answer>, Refusal> {
        match self.kind {
            Handshake::Hub if request.method == Method::GET => self.hub(request).map(Some),
            Handshake::Crc if request.method == Method::GET => crc(request, check, now_s).map(Some),
            // Else the answer to a `crc_token` would be a signature for that body.
            Handshake::Crc if is_token(request.body) => Err(Refusal::Malformed),
            // Slack's own framework answers it before it looks for a signature.
            Handshake::Slack if request.method == Method::GET => {
                let check = parameter(request.query.unwrap_or_default(), "ssl_check")?;
                let is = check.is_some_and(|value| value == "1");
                if is { Ok(Some(Answer::empty(StatusCode::OK))) } else { Err(Refusal::Missing) }
            }
            Handshake::Slack if !request.headers.contains_key(&SLACK_SIGNATURE) => {
                Ok(is_ssl_check(request).then(|| Answer::empty(StatusCode::OK)))
            }
            // Bitbucket signs it where the webhook has a secret by then; Data Center never does.
            Handshake::Bitbucket if !request.headers.contains_key(&HUB_SIGNATURE) => {
                Ok(is_ping(request).then(|| Answer::empty(StatusCode::OK)))
            }
            Handshake::Graph => graph(request),
            Handshake::Head if request.method == Method::HEAD => {
                Ok(Some(Answer::empty(StatusCode::OK)))
            }
            Handshake::Options if request.method == Method::OPTIONS => options(request).map(Some),
            Handshake::Asana if !request.headers.contains_key(&HOOK_SIGNATURE) => asana(request),
            Handshake::WooCommerce if !request.headers.contains_key(&WC_SIGNATURE) => {
                let id = request.body.strip_prefix(b"webhook_id=").unwrap_or_default();
                let ping = !id.is_empty() && id.len() < 20 && id.iter().all(u8::is_ascii_digit);
                Ok(ping.then(|| Answer::empty(StatusCode::OK)))
            }
            _ => Ok(None),
        }
    }

    /// Those that are signed as events are; `secret` is the one that signed.
    pub(super) fn signed(
        &self,
        request: &Request<'_>,
        check: &Check,
        secret: usize,
    ) -> Option<Answer> {
        if self.kind == Handshake::None || request.body.len() > MAX_BODY {
            return None;
        }
        let text = |pointer| in_body(request.body, pointer);
        let is = |pointer, wanted: &str| text(pointer).is_some_and(|it| *it == *wanted.as_bytes());
        match self.kind {
            Handshake::Slack if is("/type", "url_verification") => {
                Some(plain(text("/challenge")?.into_owned()))
            }
            Handshake::Slack if is_ssl_check(request) => Some(Answer::empty(StatusCode::OK)),
            Handshake::Bitbucket if is_ping(request) => Some(Answer::empty(StatusCode::OK)),
            Handshake::Twitch
                if request
                    .headers
                    .get(&TWITCH_TYPE)
                    .is_some_and(|kind| kind.as_bytes() == b"webhook_callback_verification") =>
            {
                Some(plain(text("/challenge")?.into_owned()))
            }
            Handshake::Zoom if is("/event", "endpoint.url_validation") => {
                let token = text("/payload/plainToken")?;
                let Check::Signed(signed) = check else { return None };
                let made = hex::encode(signed.keys.sign(Some(secret), 0, &token)?);
                let token = String::from_utf8_lossy(&token);
                Some(json(&json!({ "plainToken": token, "encryptedToken": made })))
            }
            // Of webhook events and of interactions, which count from 0 and from 1.
            Handshake::Discord if is("/type", "0") => Some(Answer::empty(StatusCode::NO_CONTENT)),
            Handshake::Discord if is("/type", "1") && text("/event").is_none() => {
                Some(json(&json!({ "type": 1 })))
            }
            _ => None,
        }
    }

    /// WebSub's verification of intent, with Meta's token.
    fn hub(&self, request: &Request<'_>) -> Result<Answer, Refusal> {
        let query = request.query.unwrap_or_default();
        let one = |name| parameter(query, name)?.ok_or(Refusal::Missing);
        let (mode, token) = (one("hub.mode")?, one("hub.verify_token")?);
        let challenge = one("hub.challenge")?;
        let known =
            self.verify_token.as_ref().is_some_and(|secret| secret.matches(token.as_bytes()));
        if !known {
            return Err(Refusal::Mismatch);
        }
        if mode != "subscribe" || challenge.len() > MAX_ECHO {
            return Err(Refusal::Malformed);
        }
        Ok(plain(challenge.into_owned().into_bytes()))
    }
}

/// X's challenge-response check. It signs what anybody asks for, with the key
/// of the events: so only what can't be an event's body is signed.
fn crc(request: &Request<'_>, check: &Check, now_s: u64) -> Result<Answer, Refusal> {
    let token = parameter(request.query.unwrap_or_default(), "crc_token")?;
    let token = token.ok_or(Refusal::Missing)?;
    let Check::Signed(signed) = check else { return Err(Refusal::Malformed) };
    if !is_token(token.as_bytes()) {
        return Err(Refusal::Malformed);
    }
    let made = signed.keys.sign(None, now_s, token.as_bytes()).ok_or(Refusal::Expired)?;
    let response = format!("sha256={}", STANDARD.encode(made));
    Ok(json(&json!({ "response_token": response })))
}

/// A look at the certificate of a slash command's URL.
fn is_ssl_check(request: &Request<'_>) -> bool {
    let small = request.body.len() <= MAX_BODY;
    small && in_form(request, "ssl_check").is_ok_and(|value| value.as_deref() == Some(b"1"))
}

fn is_ping(request: &Request<'_>) -> bool {
    let small = request.body.len() <= MAX_BODY;
    small && request.headers.get(&EVENT_KEY).is_some_and(|key| key == "diagnostics:ping")
}

/// Microsoft's check of a subscription's URL: the token comes back decoded, as plain text.
fn graph(request: &Request<'_>) -> Result<Option<Answer>, Refusal> {
    let token = parameter(request.query.unwrap_or_default(), "validationToken")?;
    let Some(token) = token else { return Ok(None) };
    if token.len() > MAX_GRAPH_ECHO {
        return Err(Refusal::Malformed);
    }
    // A browser must not take it for anything else.
    let sniff = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(Some(Answer { headers: vec![sniff], ..plain(token.into_owned().into_bytes()) }))
}

/// Letters, digits and the signs of base64: no JSON object, no form.
fn is_token(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=.".contains(byte);
    text.len() <= MAX_ECHO && text.iter().all(plain)
}

/// The secret that Asana has just made comes back. It is not learnt from here:
/// the person who made the webhook was told it and puts it in the settings.
fn asana(request: &Request<'_>) -> Result<Option<Answer>, Refusal> {
    let Some(secret) = single(request.headers, &HOOK_SECRET)? else { return Ok(None) };
    if !is_token(secret) {
        return Err(Refusal::Malformed);
    }
    let value = HeaderValue::from_bytes(secret).map_err(|_| Refusal::Malformed)?;
    Ok(Some(Answer {
        headers: vec![(HOOK_SECRET.clone(), value)],
        ..Answer::empty(StatusCode::OK)
    }))
}

/// CloudEvents' abuse protection: any origin may send, at any rate; each event
/// still has to show the token.
fn options(request: &Request<'_>) -> Result<Answer, Refusal> {
    let origin = single(request.headers, &REQUEST_ORIGIN)?.ok_or(Refusal::Missing)?;
    let origin = HeaderValue::from_bytes(origin).map_err(|_| Refusal::Malformed)?;
    let headers = vec![
        (ALLOWED_ORIGIN.clone(), origin),
        (ALLOWED_RATE.clone(), HeaderValue::from_static("*")),
        (header::ALLOW, HeaderValue::from_static("POST")),
    ];
    Ok(Answer { headers, ..Answer::empty(StatusCode::OK) })
}

fn plain(body: Vec<u8>) -> Answer {
    let content_type = Some(HeaderValue::from_static("text/plain"));
    Answer { content_type, body, ..Answer::empty(StatusCode::OK) }
}

fn json(value: &serde_json::Value) -> Answer {
    let content_type = Some(HeaderValue::from_static("application/json"));
    Answer { content_type, body: value.to_string().into_bytes(), ..Answer::empty(StatusCode::OK) }
}
