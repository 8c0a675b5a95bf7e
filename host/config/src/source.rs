//! `[sources.NAME]`: who may post, and where it goes.
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::kind::{Choice, DURATION, Flag, Kind, List, PUBLIC_URL, Reference, SIZE, Text, header};
use super::reader::{At, Section};
use super::tree::Value;
use super::unit::{Fault, quote};
use super::validate::{self, OnInvalid};
use super::verify::{self, Scheme};
use super::{access, answer};
use hookwright_model::{Name, Rules, pointer};
use hookwright_settings::{Dedupe, EndpointOptions, Selector, SourceOptions};
use hookwright_signing::{Place, Proof, Verify};

/// One source: what the intake takes, and where its events go. Its URL is `/in/<name>`.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// How it is reached, what its clients must prove, and what is done with its events.
    pub endpoint: EndpointOptions,
    /// The plugins that see its events, in order.
    pub plugins: Vec<Name>,
    /// The destinations of what no plugin routed.
    pub destinations: Vec<Name>,
    /// Parks an event that breaks one of these rules. None: parks none.
    pub park_unless: Option<Arc<Rules>>,
    /// The most that the provider sends, in bytes, where that is more than usual.
    pub(super) provider_body: Option<u64>,
    /// `max_body` as it is written.
    pub(super) own_body: Option<u64>,
}

const KIND: Text<Option<Selector>> = Text {
    name: "`\"header:NAME\"`, `\"json:/POINTER\"`, `\"form:FIELD\"`, `\"cloudevents\"` or `\"none\"`",
    example: "\"header:x-event\"",
    unit: "",
    parse: |text| if text == "none" { Ok(None) } else { selector(text).map(Some) },
};

const METHODS: Choice<&str> = Choice(&[
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("DELETE", "DELETE"),
]);

/// None stands for the scheme's own id.
const ONE_KEY: Text<Option<Selector>> = Text {
    name: "`\"id\"`, `\"hash\"`, `\"cloudevents\"`, `\"header:NAME\"`, `\"json:/POINTER\"` or `\"form:FIELD\"`",
    example: "\"id\"",
    unit: "",
    parse: |text| match text {
        "id" => Ok(None),
        "hash" => Ok(Some(Selector::Body)),
        other => selector(other).map(Some),
    },
};

const PART: Text<Selector> =
    Text { name: "part", example: "\"json:/id\"", unit: "", parse: selector };

/// One of the above, or a list of parts.
struct KeyKind;

impl Kind for KeyKind {
    type Value = Option<Selector>;

    fn name(&self) -> String {
        format!("{}, or a list of the last three", ONE_KEY.name)
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Self::Value> {
        match &at.node.value {
            Value::List(parts) if parts.is_empty() => {
                at.wrong(Fault::new("is empty: no event would have a key", "name a part"))
            }
            Value::List(_) => {
                let mut parts = List(PART).read(at)?;
                let one = if parts.len() == 1 { parts.pop() } else { None };
                Some(one.or(Some(Selector::All(parts))))
            }
            _ => ONE_KEY.read(at),
        }
    }
}

impl SourceConfig {
    pub(super) fn read(
        s: &Section<'_, '_>,
        plugins: &[&str],
        destinations: &[&str],
        public_base: Option<&str>,
    ) -> Option<Self> {
        let doc = "A bin takes a request of any method from anybody, and keeps it with its headers, body and query for inspection. The method is its kind. `verify` is not required.";
        let bin = s.key("bin", Flag, doc).default("false");
        if !bin {
            s.missing("verify", "add `verify = { scheme = \"…\", secrets = [\"env:NAME\"] }`, or `verify = { scheme = \"none\" }` to let anybody post");
        } else if s.entry("verify").is_some() {
            s.wrong(
                "verify",
                Fault::new("has no meaning for a bin, which takes anything", "remove it"),
            );
        }
        let doc = "The URL that the provider posts to, for schemes that sign it; without a query.";
        let url = s.key("public_url", PUBLIC_URL, doc);
        let url = url.optional("`/in/NAME` behind `ingress.public_url`");
        let url =
            url.or_else(|| Some(format!("{}/in/{}", public_base?.trim_end_matches('/'), s.name())));
        let doc = "How a request proves that it comes from the source. Required.";
        let read = |inner: &Section<'_, '_>| Some(verify::read(inner, url.as_deref()));
        let verify = s.optional_section("verify", doc, read);
        let (scheme, verify) = match verify {
            None if bin => (Some(Scheme::None), Some(Verify::None)),
            verify => verify.unwrap_or_default(),
        };
        let doc = "Plugins that see the event, in order.";
        let plugins = Reference { what: "plugin", names: plugins };
        let plugins = s.key("plugins", List(plugins), doc).default("[]");
        let doc = "Destinations of an event that no plugin dropped or routed.";
        let destinations = Reference { what: "destination", names: destinations };
        let destinations = s.key("destinations", List(destinations), doc).default("[]");
        let doc = "Where the name of what happened stands: in a header, in the body by a JSON pointer, or in a field of a form. `cloudevents` is the `type` of a CloudEvent, in headers or in the body. By the scheme: see [the table](sources.md); where a scheme has no kind of its own, `cloudevents`.";
        let kind = s.key("kind", KIND, doc).optional("by the scheme");
        let doc = "Answer a repeated event with the first one's id and do not handle it again.";
        let dedupe = s.optional_section("dedupe", doc, |inner| dedupe(inner, scheme));
        let mut endpoint = EndpointOptions::default();
        access::read(s, &mut endpoint);
        let doc = "Decode a verified body's `content-encoding`: gzip, deflate, br or zstd. Plugins and destinations get the plain body, at most `max_body`. Without it they get the body as it came, and `kind`, `dedupe` and `validate` can't look into a compressed one.";
        let decompress = s.key("decompress", Flag, doc).default("false");
        let doc = "What a verified request must look like.";
        let validate = s.optional_section("validate", doc, validate::read);
        let doc = "What the provider gets for an accepted event, new or repeated. Without it: 202, or 200 where the provider may count nothing else as success ([the table](sources.md)), for a repeated one always 200; and the event's id as JSON.";
        let answer = s.optional_section("answer", doc, answer::read);
        let doc = "How long a request waits for the answer of a plugin with the grant `responder`; after that it gets the usual answer. Where none of the source's plugins has the grant, no request waits.";
        let respond_within = s.key("respond_within", DURATION, doc);
        let respond_within = respond_within.range("50ms", "30s").default("2s");
        let doc = "Methods by which events come; others are refused with 405. What a provider signs holds for any of them, so name those that it uses.";
        let methods = s.key("methods", List(METHODS), doc);
        let methods = methods.optional("`[\"POST\"]`, for `twilio` `GET` too");
        let methods = methods_of(s, methods, scheme, bin);
        let doc = "The largest body of this source.";
        let max_body = s.key("max_body", SIZE, doc).range("1KiB", "256MiB");
        let own_body = max_body.optional("as `ingress.max_body`, or the provider's limit where that is larger: see [the table](sources.md)");
        let preset = scheme.and_then(Scheme::preset);
        let kind = kind.unwrap_or_else(|| default_kind(scheme));
        let success = scheme.map_or(StatusCode::ACCEPTED, Scheme::success);
        let (rules, park_unless) = match validate {
            Some((rules, OnInvalid::Refuse)) => (Some(rules), None),
            Some((rules, OnInvalid::Park)) => (None, Some(rules)),
            None => (None, None),
        };
        let source = SourceOptions { kind, dedupe, decompress, rules, ..endpoint.source };
        let endpoint = EndpointOptions {
            source,
            verify: verify?,
            bin,
            methods,
            answer,
            success,
            respond_within: Some(respond_within),
            ..endpoint
        };
        let provider_body = preset.and_then(|preset| preset.max_body).map(|most| most as u64);
        Some(Self { endpoint, plugins, destinations, park_unless, provider_body, own_body })
    }
}

/// Those of the settings, or the provider's.
fn methods_of(
    s: &Section<'_, '_>,
    written: Option<Vec<&'static str>>,
    scheme: Option<Scheme>,
    bin: bool,
) -> Vec<Method> {
    let preset = scheme.and_then(Scheme::preset);
    let greeting = preset.and_then(|preset| preset.handshake.method());
    if let Some(written) = &written {
        let fault = if written.is_empty() {
            Some(Fault::new("is empty: no event could come", "name a method"))
        } else if bin {
            Some(Fault::new("has no meaning for a bin, which takes any method", "remove it"))
        } else {
            let asked = greeting.filter(|method| written.contains(&method.as_str()));
            asked.map(|method| {
                let message = format!("{method} is how the provider checks the URL, and no event");
                Fault::new(message, format!("remove `{method}`: it is answered by itself"))
            })
        };
        if let Some(fault) = fault {
            s.wrong("methods", fault);
        }
    }
    let own = || preset.map_or(vec!["POST"], |preset| preset.methods.to_vec());
    let names = written.unwrap_or_else(own);
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}

fn dedupe(s: &Section<'_, '_>, scheme: Option<Scheme>) -> Option<Dedupe> {
    let doc = "What makes two events the same. `id` is the scheme's own, see [the table](sources.md). `cloudevents` is a CloudEvent's `source` and `id`. `hash` is the whole body, byte for byte. Of a list, all parts must be the same; an event that lacks one is taken as new.";
    let key = s.key("key", KeyKind, doc).required();
    let doc = "How long a key is remembered.";
    let window = s.key("window", DURATION, doc).range("1s", "30d").default("24h");
    let key = match (key?, scheme?) {
        (Some(key), _) => return Some(Dedupe { key, window }),
        (None, scheme) => {
            let own = scheme.preset().and_then(|preset| preset.id).and_then(selected);
            let own = own.or_else(|| scheme.own_id());
            if own.is_none() {
                let message = format!("scheme `{}` has no id of its own", scheme.as_str());
                let help = "name where it stands, as `header:x-id` or `json:/id`";
                s.wrong("key", Fault::new(message, help));
            }
            own?
        }
    };
    Some(Dedupe { key, window })
}

fn default_kind(scheme: Option<Scheme>) -> Option<Selector> {
    let scheme = scheme?;
    let own = scheme.own_kind().or_else(|| scheme.preset()?.kind.and_then(selected));
    // Those of providers say nothing of anybody else's events.
    let open = scheme.preset().is_none_or(|preset| matches!(preset.proof, Proof::Token(_)));
    own.or_else(|| open.then_some(Selector::CloudEvents))
}

fn selected(place: Place) -> Option<Selector> {
    match place {
        Place::Header(["webhook-id", "svix-id"]) => Some(Selector::Id),
        Place::Header([name]) => Some(Selector::Header(HeaderName::from_static(name))),
        Place::Header(names) => {
            let each = names.iter().map(|name| Selector::Header(HeaderName::from_static(name)));
            Some(Selector::First(each.collect()))
        }
        Place::HeaderIs(name, value) => {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            Some(Selector::HeaderIs(name, value))
        }
        Place::Json(pointer) => Some(Selector::Json(pointer.to_owned())),
        Place::Form(field) => Some(Selector::Form(field.to_owned())),
        Place::First(places) => {
            Some(Selector::First(places.iter().filter_map(|place| selected(*place)).collect()))
        }
        Place::Entry(_) => None,
    }
}

fn selector(text: &str) -> Result<Selector, Fault> {
    match text.split_once(':') {
        None if text == "cloudevents" => Ok(Selector::CloudEvents),
        Some(("header", name)) => header(name).map(Selector::Header),
        Some(("form", "")) => Err(Fault::new("names no field", "write `form:FIELD`")),
        Some(("form", field)) => Ok(Selector::Form(field.to_owned())),
        Some(("json", path)) => match pointer::check(path) {
            Ok(()) => Ok(Selector::Json(path.to_owned())),
            Err(pointer::Unfit::Malformed) => {
                let message = format!("{} is no JSON pointer", quote(path));
                Err(Fault::new(message, "write it as `/data/id`: a `/` before each key"))
            }
            Err(why) => {
                Err(Fault::new(format!("the JSON pointer is too long: {why}"), "shorten it"))
            }
        },
        _ => {
            let help = "write `header:NAME`, `json:/POINTER` or `form:FIELD`";
            Err(Fault::new(format!("{} names no part of a request", quote(text)), help))
        }
    }
}
