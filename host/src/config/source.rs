//! `[sources.NAME]`: who may post, and where it goes.
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use super::kind::{DURATION, List, RATE, Reference, SIZE, Text, header};
use super::reader::Section;
use super::tree::Value;
use super::unit::{Fault, Rate, quote};
use super::verify::{self, Scheme};
use crate::model::{Name, pointer};
use crate::signing::Verify;

/// One source. Its URL is `/in/<name>`.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub verify: Verify,
    /// In order.
    pub plugins: Vec<Name>,
    /// For what no plugin routed.
    pub destinations: Vec<Name>,
    /// Where an event's kind stands; none leaves it empty.
    pub kind: Option<Selector>,
    pub dedupe: Option<DedupeConfig>,
    /// None lets every address post; never an empty list.
    pub allow: Option<Vec<IpNet>>,
    pub rate: Option<Rate>,
    /// Bytes; none means as `[ingress]` says.
    pub max_body: Option<u64>,
}

/// A part of a request: `header:x-event` or `json:/type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Header(HeaderName),
    /// A JSON pointer (RFC 6901) into the body.
    Json(String),
}

/// Refuse a second event with the same key within the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeConfig {
    pub key: Selector,
    pub window: Duration,
}

const KIND: Text<Option<Selector>> = Text {
    name: "`\"header:NAME\"`, `\"json:/POINTER\"` or `\"none\"`",
    example: "\"header:x-event\"",
    unit: "",
    parse: |text| if text == "none" { Ok(None) } else { selector(text).map(Some) },
};

/// None stands for the scheme's own id.
const DEDUPE_KEY: Text<Option<Selector>> = Text {
    name: "`\"id\"`, `\"header:NAME\"` or `\"json:/POINTER\"`",
    example: "\"id\"",
    unit: "",
    parse: |text| if text == "id" { Ok(None) } else { selector(text).map(Some) },
};

const NETWORK: Text<IpNet> =
    Text { name: "network", example: "[\"10.0.0.0/8\"]", unit: "", parse: network };

impl SourceConfig {
    pub(super) fn read(
        s: &Section<'_, '_>,
        plugins: &[&str],
        destinations: &[&str],
    ) -> Option<Self> {
        s.missing("verify", "add `verify = { scheme = \"…\", secrets = [\"env:NAME\"] }`, or `verify = { scheme = \"none\" }` to let anybody post");
        let doc = "How a request proves that it comes from the source. Required.";
        let verify = s.optional_section("verify", doc, |inner| Some(verify::read(inner)));
        let (scheme, verify) = verify.unwrap_or_default();
        let doc = "Plugins that see the event, in order.";
        let plugins = Reference { what: "plugin", names: plugins };
        let plugins = s.key("plugins", List(plugins), doc).default("[]");
        let doc = "Destinations of an event that no plugin dropped or routed.";
        let destinations = Reference { what: "destination", names: destinations };
        let destinations = s.key("destinations", List(destinations), doc).default("[]");
        let doc = "Where the name of what happened stands: in a header, or in the body by a JSON pointer. By the scheme: `github` `header:x-github-event`, `stripe` and `standard` `json:/type`, others none.";
        let kind = s.key("kind", KIND, doc).optional("by the scheme");
        let doc = "Answer a repeated event with the first one's id and do not handle it again.";
        let dedupe = s.optional_section("dedupe", doc, |inner| dedupe(inner, scheme));
        let doc = "Addresses that may post; one address, or a network as `140.82.112.0/20`.";
        let allow = s.key("allow", List(NETWORK), doc).optional("all");
        if matches!(s.entry("allow").map(|entry| &entry.node.value), Some(Value::List(list)) if list.is_empty())
        {
            let help = "remove it to let every address post, or name a network";
            s.wrong("allow", Fault::new("is empty: nobody could post", help));
        }
        let rate = s.key("rate", RATE, "More is refused with 429.").optional("no limit");
        let doc = "The largest body of this source.";
        let max_body = s.key("max_body", SIZE, doc).range("1KiB", "256MiB");
        let max_body = max_body.optional("as `ingress.max_body`");
        let kind = kind.unwrap_or_else(|| default_kind(scheme));
        Some(Self { verify: verify?, plugins, destinations, kind, dedupe, allow, rate, max_body })
    }
}

fn dedupe(s: &Section<'_, '_>, scheme: Option<Scheme>) -> Option<DedupeConfig> {
    let doc = "What makes two events the same. `id` is the scheme's own: `webhook-id` of `standard`, `x-github-delivery` of `github`, `/id` in the body of `stripe`.";
    let key = s.key("key", DEDUPE_KEY, doc).required();
    let doc = "How long a key is remembered.";
    let window = s.key("window", DURATION, doc).range("1s", "30d").default("24h");
    let key = match (key?, scheme?) {
        (Some(selector), _) => selector,
        (None, Scheme::Standard) => named("webhook-id"),
        (None, Scheme::Github) => named("x-github-delivery"),
        (None, Scheme::Stripe) => Selector::Json("/id".to_owned()),
        (None, other) => {
            let message = format!("scheme `{}` has no id of its own", other.as_str());
            let help = "name where it stands, as `header:x-id` or `json:/id`";
            s.wrong("key", Fault::new(message, help));
            return None;
        }
    };
    Some(DedupeConfig { key, window })
}

fn default_kind(scheme: Option<Scheme>) -> Option<Selector> {
    match scheme? {
        Scheme::Github => Some(named("x-github-event")),
        Scheme::Stripe | Scheme::Standard => Some(Selector::Json("/type".to_owned())),
        Scheme::None | Scheme::Hmac | Scheme::Basic | Scheme::Bearer => None,
    }
}

fn named(header: &'static str) -> Selector {
    Selector::Header(HeaderName::from_static(header))
}

fn selector(text: &str) -> Result<Selector, Fault> {
    match text.split_once(':') {
        Some(("header", name)) => header(name).map(Selector::Header),
        Some(("json", path)) if pointer::is_valid(path) => Ok(Selector::Json(path.to_owned())),
        Some(("json", path)) => {
            let message = format!("{} is no JSON pointer", quote(path));
            Err(Fault::new(message, "write it as `/data/id`: a `/` before each key"))
        }
        _ => {
            let help = "write `header:NAME` or `json:/POINTER`";
            Err(Fault::new(format!("{} names no part of a request", quote(text)), help))
        }
    }
}

fn network(text: &str) -> Result<IpNet, Fault> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let help = "write an address, or a network as `140.82.112.0/20`";
    let net: IpNet =
        text.parse().map_err(|_| Fault::new(format!("{} is no network", quote(text)), help))?;
    if net.trunc() != net {
        let message = format!("{} has bits set beyond its prefix", quote(text));
        return Err(Fault::new(message, format!("write `\"{}\"`", net.trunc())));
    }
    Ok(net)
}
