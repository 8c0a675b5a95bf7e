//! `[destinations.NAME]`: where events go, and how hard to try.
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::kind::{Choice, DURATION, File, Flag, Kind, List, Number, RATE, mismatch, whole};
use super::reader::{At, Section};
use super::secret::{self, Headers};
use super::unit::{Fault, Rate};
use super::verify::need_secrets;
use crate::retry::Policy;
use crate::signing::Sign;

#[derive(Debug, Clone)]
pub struct DestinationConfig {
    /// `http` or `https`, with a host, without user, password or fragment.
    pub url: Uri,
    pub sign: Sign,
    /// Over DNS, connect, TLS, headers and body together.
    pub timeout: Duration,
    pub retry: Policy,
    pub rate: Option<Rate>,
    /// Requests at the same time, at least 1.
    pub in_flight: usize,
    pub allow_private: bool,
    /// More authorities to trust, PEM; was readable when the settings were read.
    pub ca: Option<PathBuf>,
    /// Keep events, send none.
    pub disabled: bool,
    /// Sent with every delivery; those that came from a secret are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl DestinationConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let url = s.key("url", Url, "Where to post, `https://…` or `http://…`.").required();
        let sign = s
            .optional_section("sign", "How deliveries are signed. Not at all by default.", sign)
            .unwrap_or(Sign::None);
        let doc = "DNS, connect, TLS, headers and body together.";
        let timeout = s.key("timeout", DURATION, doc).range("10ms", "10m").default("30s");
        let doc = "When a failed delivery is tried again: `base · factorⁿ` after the n-th failure, at most `cap`, spread by `± jitter`.";
        let retry = s.section("retry", doc, retry);
        let rate = s.key("rate", RATE, "More wait for their turn.").optional("no limit");
        let doc = "Requests at the same time.";
        let in_flight = s.key("in_flight", whole(), doc).range("1", "10000").default("8");
        let doc = "Whether the URL may lead to a private or loopback address.";
        let allow_private = s.key("allow_private", Flag, doc).default("false");
        let doc = "More certificate authorities to trust, a PEM file.";
        let ca = s.key("ca", File { checked: true }, doc).optional("none");
        let doc = "Keep what is routed here, send nothing.";
        let disabled = s.key("disabled", Flag, doc).default("false");
        let doc = "Sent with every delivery. A value may be a secret, `env:NAME` or `file:PATH`; `authorization` and `cookie` must be.";
        let headers = s.key("headers", Headers, doc).default("{}");
        let url = url?;
        warn_about(s, &url, allow_private);
        Some(Self {
            url,
            sign,
            timeout,
            retry,
            rate,
            in_flight,
            allow_private,
            ca,
            disabled,
            headers,
        })
    }
}

fn sign(s: &Section<'_, '_>) -> Option<Sign> {
    #[derive(Clone, Copy, PartialEq)]
    enum Scheme {
        None,
        Standard,
    }
    const SCHEMES: Choice<Scheme> =
        Choice(&[("standard", Scheme::Standard), ("none", Scheme::None)]);
    let doc = "`standard` is Standard Webhooks, `v1`.";
    let scheme = s.key("scheme", SCHEMES, doc).required();
    let doc = "One signature for each, so that the receiver can change secrets: `whsec_` and base64 of 24 to 64 bytes.";
    let secrets = s.key("secrets", List(secret::STANDARD), doc).optional("required unless `none`");
    match scheme? {
        Scheme::None => {
            s.only(&["scheme"], "scheme `none`");
            Some(Sign::None)
        }
        Scheme::Standard => {
            need_secrets(s);
            secrets.map(|secrets| Sign::Standard { secrets })
        }
    }
}

fn retry(s: &Section<'_, '_>) -> Policy {
    let policy = Policy {
        base: s.key("base", DURATION, "The first wait.").range("10ms", "1d").default("1s"),
        factor: s.key("factor", Number, "From wait to wait.").range("1", "100").default("2"),
        cap: s.key("cap", DURATION, "The longest wait.").range("10ms", "30d").default("1h"),
        jitter: s
            .key("jitter", Number, "How far a wait is spread, as a share of it.")
            .range("0", "1")
            .default("0.2"),
        attempts: s
            .key("attempts", whole(), "In all; after them the delivery is dead.")
            .range("1", "1000")
            .default("16"),
        first: s
            .key("first", DURATION, "From acceptance to the first attempt.")
            .range("0s", "30d")
            .default("0s"),
    };
    if policy.cap < policy.base {
        let help = "make `cap` at least as long as `base`";
        s.wrong("cap", Fault::new("the longest wait is shorter than the first", help));
    }
    policy
}

fn warn_about(s: &Section<'_, '_>, url: &Uri, allow_private: bool) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().ok();
    let loopback =
        host.eq_ignore_ascii_case("localhost") || address.is_some_and(|a| a.is_loopback());
    let private = match address {
        Some(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local(),
        Some(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local(),
        None => false,
    };
    if (loopback || private) && !allow_private {
        let message = "leads to a private address, so every delivery would be refused";
        s.warn("url", Fault::new(message, "add `allow_private = true` if you mean it"));
    }
    if url.scheme_str() == Some("http") && !loopback {
        let message = "sends events over the network in clear text";
        s.warn("url", Fault::new(message, "use `https://` where the destination has it"));
    }
}

/// A URL may carry a password: no message quotes it, and one with an `@` is not shown.
struct Url;

impl Kind for Url {
    type Value = Uri;

    fn name(&self) -> String {
        "URL".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Uri> {
        let Some(text) = at.node.text() else {
            return mismatch(at, "a URL", "\"https://example.com/hooks\"");
        };
        if !text.contains('@') {
            at.public();
        }
        let help = "write it as `https://example.com/hooks`";
        if text.contains('#') {
            return at.wrong(Fault::new("a URL to post to has no `#` part", "remove it"));
        }
        let Ok(url) = text.parse::<Uri>() else {
            let help = format!("{help}; other characters than ASCII are percent-encoded");
            return at.wrong(Fault::new("is no URL", help));
        };
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return at
                .wrong(Fault::new("the URL does not start with `https://` or `http://`", help));
        }
        let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            let help = "send them in a header: `headers = { authorization = \"env:NAME\" }`";
            return at.wrong(Fault::new("a URL must not carry a user or a password", help));
        }
        let port = authority.strip_prefix(url.host().unwrap_or_default()).unwrap_or_default();
        if url.host().is_none_or(str::is_empty) || !port.is_empty() && url.port_u16().is_none() {
            return at.wrong(Fault::new("the URL has no host, or a bad port", help));
        }
        Some(url)
    }
}
