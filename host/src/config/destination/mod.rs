//! `[destinations.NAME]`: where events go, and how hard to try.
mod auth;
mod lane;
mod retry;
mod sign;
mod transport;
mod url;

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::kind::{DURATION, Flag, RATE, whole};
use super::reader::Section;
use super::secret::Headers;
use super::unit::{Fault, Rate};
use crate::retry::Policy;
use crate::signing::Sign;
pub use auth::AuthConfig;
pub use lane::{BatchConfig, BatchFormat, BreakerConfig, LaneConfig, Order};
pub use transport::{AllowPrivate, ClientTlsConfig, ProxyConfig, TimeoutsConfig, TransportConfig};
use url::Url;

#[derive(Debug, Clone)]
pub struct DestinationConfig {
    /// `http` or `https`, with a host, without user, password or fragment.
    pub url: Uri,
    /// None: not at all.
    pub sign: Option<Sign>,
    /// None: nothing but the signature.
    pub auth: Option<AuthConfig>,
    /// Over DNS, connect, TLS, headers and body together.
    pub timeout: Duration,
    pub retry: Policy,
    pub rate: Option<Rate>,
    /// Requests at the same time, at least 1.
    pub in_flight: usize,
    pub lane: LaneConfig,
    pub transport: TransportConfig,
    /// Keep events, send none.
    pub disabled: bool,
    /// Sent with every delivery; those that came from a secret are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl DestinationConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let url = s.key("url", Url, "Where to post, `https://…` or `http://…`.").required();
        let doc = "How deliveries are signed. Not at all by default.";
        let sign = s.optional_section("sign", doc, sign::read);
        let doc = "Who we are to it, beside the signature. Nobody by default.";
        let auth = s.optional_section("auth", doc, auth::read);
        let doc = "DNS, connect, TLS, headers and body together.";
        let timeout = s.key("timeout", DURATION, doc).range("10ms", "10m").default("30s");
        let doc = "When a failed delivery is tried again: `base · factorⁿ` after the n-th failure, at most `cap`, spread by `± jitter`.";
        let retry = s.section("retry", doc, retry::read);
        let rate = s.key("rate", RATE, "More wait for their turn.").optional("no limit");
        let doc = "Requests at the same time.";
        let in_flight = s.key("in_flight", whole(), doc).range("1", "10000").default("8");
        let lane = LaneConfig::read(s);
        let transport = TransportConfig::read(s);
        let doc = "Keep what is routed here, send nothing.";
        let disabled = s.key("disabled", Flag, doc).default("false");
        let doc = "Sent with every delivery. A value may be a secret, `env:NAME` or `file:PATH`; `authorization` and `cookie` must be.";
        let headers = s.key("headers", Headers, doc).default("{}");
        written_once(s, sign.as_ref(), auth.as_ref(), &headers);
        let url = url?;
        url::warn_about(s, &url, &transport.allow_private);
        Some(Self {
            url,
            sign,
            auth,
            timeout,
            retry,
            rate,
            in_flight,
            lane,
            transport,
            disabled,
            headers,
        })
    }
}

/// No header has two who write it.
fn written_once(
    s: &Section<'_, '_>,
    sign: Option<&Sign>,
    auth: Option<&AuthConfig>,
    headers: &[(HeaderName, HeaderValue)],
) {
    let sign = sign.into_iter().flat_map(|sign| sign.format.headers());
    let signed: Vec<HeaderName> = sign.cloned().collect();
    let known = auth.map(AuthConfig::headers).unwrap_or_default();
    let fixed = |name: &HeaderName| headers.iter().any(|(fixed, _)| fixed == name);
    for (section, names) in [("sign", &signed), ("auth", &known)] {
        if let Some(name) = names.iter().find(|name| fixed(name)) {
            let message = format!("`{name}` is written by `{section}`");
            s.wrong("headers", Fault::new(message, "remove it here"));
        }
    }
    if let Some(name) = signed.iter().find(|name| known.contains(name)) {
        let message = format!("`{name}` is written by `sign` already");
        s.wrong("auth", Fault::new(message, "choose another header"));
    }
}
