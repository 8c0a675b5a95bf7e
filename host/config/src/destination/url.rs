//! `url` of a destination: where deliveries are posted to.
use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

use super::super::kind::{Kind, mismatch};
use super::super::reader::{At, Section};
use super::super::secret;
use super::super::unit::Fault;
use hookwright_settings::NetworkPolicy;

pub(super) fn warn_about(s: &Section<'_, '_>, url: &Uri, network: &NetworkPolicy) {
    let (address, loopback) = host(url);
    let (private, link_local) = match address {
        Some(IpAddr::V4(v4)) => (v4.is_private(), v4.is_link_local()),
        Some(IpAddr::V6(v6)) => (v6.is_unique_local(), v6.is_unicast_link_local()),
        None => (false, false),
    };
    let allowed = match (network, address) {
        (NetworkPolicy::Public, _) => false,
        (NetworkPolicy::Networks(list), Some(address)) => {
            list.iter().any(|one| one.contains(&address))
        }
        (NetworkPolicy::Networks(_), None) | (NetworkPolicy::Any, _) => true,
    };
    let by_itself = |address: IpAddr| match network {
        NetworkPolicy::Networks(list) => list.contains(&address.into()),
        NetworkPolicy::Public | NetworkPolicy::Any => false,
    };
    if let Some(address) = address.filter(|address| link_local && !by_itself(*address)) {
        let message = "leads to a link-local address, so every delivery would be refused";
        let network = IpNet::from(address);
        let help = format!("add `allow_private = [\"{network}\"]` if you mean it");
        s.warn("url", Fault::new(message, help));
    } else if (loopback || private) && !allowed {
        let message = "leads to a private address, so every delivery would be refused";
        s.warn("url", Fault::new(message, "add `allow_private = true` if you mean it"));
    }
    warn_about_clear_text(s, "url", url);
}

pub(super) fn warn_about_clear_text(s: &Section<'_, '_>, key: &str, url: &Uri) {
    if url.scheme_str() == Some("http") && !host(url).1 {
        let message = "goes over the network in clear text";
        s.warn(key, Fault::new(message, "use `https://` where the other side has it"));
    }
}

/// The address, where it is one, and whether it is this machine's.
fn host(url: &Uri) -> (Option<IpAddr>, bool) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>().ok();
    let loopback =
        host.eq_ignore_ascii_case("localhost") || address.is_some_and(|a| a.is_loopback());
    (address, loopback)
}

/// Whether a URL carries more than where it leads: a user, a query, or a part of
/// its path that is no word.
fn may_be_secret(text: &str) -> bool {
    text.contains(['@', '?']) || text.split('/').skip(3).any(|part| part.len() >= LONG_PART)
}

/// Longer parts of a path may be tokens.
const LONG_PART: usize = 16;

/// A URL may carry a password: no message quotes it, and one that may is not
/// shown. It may be a secret's reference, `env:NAME` or `file:PATH`, as a whole.
pub(crate) struct Url;

impl Kind for Url {
    type Value = Uri;

    fn name(&self) -> String {
        "URL or secret".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Uri> {
        let Some(text) = at.node.text() else {
            return mismatch(at, "a URL", "\"https://example.com/hooks\"");
        };
        let secret = match secret::referenced(at, text) {
            None => None,
            Some(bytes) => match String::from_utf8(bytes?) {
                Ok(text) => Some(text),
                Err(_) => return at.wrong(Fault::new("is no URL", "put the URL alone there")),
            },
        };
        let text = match &secret {
            Some(text) => text.trim(),
            None => text,
        };
        if secret.is_none() && !may_be_secret(text) {
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
