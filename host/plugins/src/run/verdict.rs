//! A guest's verdict, checked against the contract and turned into the host's own terms.
use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::limits::{DELIVERIES, JSON_DEPTH};
use crate::run::bindings::hookwright::plugin::types;
use crate::run::headers::is_hosts;
use crate::text::escape;
use hookwright_model::{HeaderEdit, Name, Payload, is_deeper};

/// What a plugin decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Hand the event on as it is.
    Pass,
    /// Hand the event on, changed.
    Amend(Box<Amendment>),
    /// Nobody gets it, for this reason.
    Drop(String),
    /// These destinations get it: 1 to 64, each once.
    Deliver(Vec<Target>),
}

/// A change to the event for the plugins that follow and for the deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    /// What is none here stays as it is.
    pub payload: Payload,
    /// Added to the event's attributes.
    pub attributes: Vec<(String, String)>,
}

impl Amendment {
    /// Lays it over what the plugins before have changed.
    pub fn apply(self, payload: &mut Payload, attributes: &mut Vec<(String, String)>) {
        payload.overlay(self.payload);
        for (name, value) in self.attributes {
            attributes.retain(|(known, _)| *known != name);
            attributes.push((name, value));
        }
    }
}

/// One delivery of a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The destination's name.
    pub destination: Name,
    /// What is none here is the event's own.
    pub payload: Payload,
    /// Not before that long from now; at most 366 days.
    pub delay: Duration,
    /// Deliveries with the same key reach the destination in order; none: in any order.
    pub order_key: Option<Box<str>>,
}

/// Characters of a reason that are kept.
const REASON: usize = 1_024;
const HEADERS: usize = 64;
const ATTRIBUTES: usize = 64;
const ATTRIBUTE_NAME: usize = 64;
const ATTRIBUTE_VALUE: usize = 4 << 10;
const KIND: usize = 256;
const ORDER_KEY: usize = 256;
const DELAY: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Checks a verdict about an event of that content type and takes it over; the
/// error says what breaks the contract.
pub(crate) fn check(verdict: types::Verdict, content_type: &str) -> Result<Verdict, String> {
    match verdict {
        types::Verdict::Pass => Ok(Verdict::Pass),
        types::Verdict::Amend(amendment) => amend(amendment, content_type).map(Verdict::Amend),
        types::Verdict::Drop(reason) => Ok(Verdict::Drop(escape(&reason, REASON))),
        types::Verdict::Deliver(deliveries) => {
            deliver(deliveries, content_type).map(Verdict::Deliver)
        }
    }
}

/// A reason that the plugin gave, fit to be kept and shown.
pub(crate) fn reason(text: &str) -> String {
    escape(text, REASON)
}

fn amend(amendment: types::Amendment, came_as: &str) -> Result<Box<Amendment>, String> {
    let types::Amendment { body, content_type, kind, headers, attributes } = amendment;
    if attributes.len() > ATTRIBUTES {
        return Err(format!("{} attributes; {ATTRIBUTES} is the limit", attributes.len()));
    }
    for (name, value) in &attributes {
        attribute(name, value)?;
    }
    if let Some(kind) = &kind
        && (kind.len() > KIND || kind.chars().any(char::is_control))
    {
        return Err(format!("the kind has a control character or more than {KIND} bytes"));
    }
    let mut payload = payload(body, content_type, headers, came_as)?;
    payload.kind = kind;
    Ok(Box::new(Amendment { payload, attributes }))
}

fn attribute(name: &str, value: &str) -> Result<(), String> {
    let shown = escape(name, ATTRIBUTE_NAME);
    if name.is_empty() || name.len() > ATTRIBUTE_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "the attribute name `{shown}` is empty, too long or has a control character"
        ));
    }
    if name.starts_with("hookwright.") {
        return Err(format!("the attribute `{shown}` is the host's: choose another prefix"));
    }
    if value.len() > ATTRIBUTE_VALUE {
        return Err(format!("the attribute `{shown}` has more than {ATTRIBUTE_VALUE} bytes"));
    }
    Ok(())
}

fn deliver(deliveries: Vec<types::Delivery>, came_as: &str) -> Result<Vec<Target>, String> {
    if deliveries.is_empty() {
        return Err("`deliver` without a delivery: use `drop` with a reason".into());
    }
    if deliveries.len() > DELIVERIES {
        return Err(format!("{} deliveries; {DELIVERIES} is the limit", deliveries.len()));
    }
    let target = |delivery| target(delivery, came_as);
    let targets = deliveries.into_iter().map(target).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    match targets.iter().find(|target| !seen.insert(target.destination.as_str())) {
        Some(twice) => Err(format!("two deliveries to `{}`", twice.destination)),
        None => Ok(targets),
    }
}

fn target(delivery: types::Delivery, came_as: &str) -> Result<Target, String> {
    let types::Delivery { destination, body, content_type, headers, delay_ms, order_key } =
        delivery;
    let destination: Name = destination
        .parse()
        .map_err(|_| format!("`{}` is no name of a destination", escape(&destination, 80)))?;
    let delay = Duration::from_millis(delay_ms);
    if delay > DELAY {
        return Err(format!("a delay of {delay_ms} ms to `{destination}`; 366 days is the limit"));
    }
    if order_key.as_ref().is_some_and(|key| key.len() > ORDER_KEY) {
        return Err(format!("the order key to `{destination}` has more than {ORDER_KEY} bytes"));
    }
    let payload = payload(body, content_type, headers, came_as)
        .map_err(|reason| format!("to `{destination}`: {reason}"))?;
    Ok(Target { destination, payload, delay, order_key: order_key.map(Into::into) })
}

fn payload(
    body: Option<Vec<u8>>,
    content_type: Option<String>,
    headers: Vec<types::HeaderEdit>,
    came_as: &str,
) -> Result<Payload, String> {
    if headers.len() > HEADERS {
        return Err(format!("{} header edits; {HEADERS} is the limit", headers.len()));
    }
    if let Some(value) = &content_type
        && HeaderValue::from_str(value).is_err()
    {
        return Err(format!("`{}` is no content type", escape(value, 80)));
    }
    // Plugins, receivers and pages that read it need a level of their stack for each.
    if let Some(body) = &body
        && is_json(content_type.as_deref().unwrap_or(came_as))
        && is_deeper(body, JSON_DEPTH)
    {
        return Err(format!("a JSON body of more than {JSON_DEPTH} levels; that is the limit"));
    }
    let headers = headers.into_iter().map(edit).collect::<Result<_, _>>()?;
    Ok(Payload { body: body.map(Bytes::from), content_type, kind: None, headers })
}

/// `application/json`, `text/json` and all that is built on JSON.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = essence.rsplit('/').next().unwrap_or_default();
    let last = subtype.rsplit('+').next().unwrap_or_default();
    last.eq_ignore_ascii_case("json")
}

fn edit(edit: types::HeaderEdit) -> Result<HeaderEdit, String> {
    let shown = escape(&edit.name, 80);
    // Lower-cases it as well.
    let name = HeaderName::from_bytes(edit.name.as_bytes())
        .map_err(|_| format!("`{shown}` is no header name"))?;
    if name.as_str() == "content-type" {
        return Err("the header `content-type` has a field of its own".into());
    }
    if is_hosts(&name) {
        return Err(format!("the header `{shown}` is the host's"));
    }
    if let Some(value) = &edit.value
        && HeaderValue::from_str(value).is_err()
    {
        return Err(format!(
            "the value of the header `{shown}` has a character that no header may have"
        ));
    }
    Ok(HeaderEdit { name: name.as_str().to_owned(), value: edit.value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delivery(destination: &str) -> types::Delivery {
        types::Delivery {
            destination: destination.into(),
            body: None,
            content_type: None,
            headers: Vec::new(),
            delay_ms: 0,
            order_key: None,
        }
    }

    fn check(verdict: types::Verdict) -> Result<Verdict, String> {
        super::check(verdict, "application/json")
    }

    /// The fault: only what came from outside was held to a depth.
    #[test]
    fn regression_json_that_a_plugin_makes_is_bounded_in_depth() {
        let amend = |levels: usize, content_type: Option<&str>, came_as: &str| {
            let amendment = types::Amendment {
                body: Some(["[".repeat(levels), "]".repeat(levels)].concat().into_bytes()),
                content_type: content_type.map(str::to_owned),
                kind: None,
                headers: Vec::new(),
                attributes: Vec::new(),
            };
            super::check(types::Verdict::Amend(amendment), came_as).is_ok()
        };
        assert!(amend(JSON_DEPTH, None, "application/json"));
        for (content_type, came_as, good) in [
            (None, "application/json", false),
            (None, "Application/vnd.api+JSON; charset=utf-8", false),
            (Some("text/json"), "text/plain", false),
            (Some("text/plain"), "application/json", true),
            (None, "", true),
        ] {
            assert_eq!(
                amend(JSON_DEPTH + 1, content_type, came_as),
                good,
                "{content_type:?} {came_as}"
            );
        }
        let body = Some("[".repeat(JSON_DEPTH + 1).into_bytes());
        let deep = types::Verdict::Deliver(vec![types::Delivery { body, ..delivery("ci") }]);
        let why = check(deep).unwrap_err();
        assert!(why.starts_with("to `ci`: a JSON body of more than 1000 levels"), "{why}");
    }

    fn with_header(name: &str, value: &str) -> types::Verdict {
        let header = types::HeaderEdit { name: name.into(), value: Some(value.into()) };
        types::Verdict::Deliver(vec![types::Delivery { headers: vec![header], ..delivery("ci") }])
    }

    #[test]
    fn forbidden_headers_are_refused() {
        let owned =
            ["Host", "WEBHOOK-ID", "hookwright-attempt", "Proxy-X", "cookie", "Content-Type"];
        for name in owned {
            assert!(check(with_header(name, "x")).is_err(), "{name}");
        }
        assert!(check(with_header("x-team", "blue")).is_ok());
    }

    #[test]
    fn a_header_cannot_smuggle_a_line() {
        for (name, value) in [("x-a", "b\r\nhost: c"), ("x-a\r\nb", "c"), ("x-a", "\0"), ("", "a")]
        {
            assert!(check(with_header(name, value)).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn deliveries_are_counted_and_each_goes_elsewhere() {
        let many = |count: usize| {
            let list = (0..count).map(|n| delivery(&format!("d{n}"))).collect();
            check(types::Verdict::Deliver(list))
        };
        assert!(many(0).is_err() && many(65).is_err());
        assert!(many(1).is_ok() && many(64).is_ok());
        let twice = check(types::Verdict::Deliver(vec![delivery("a"), delivery("a")]));
        assert_eq!(twice, Err("two deliveries to `a`".into()));
        assert!(check(types::Verdict::Deliver(vec![delivery("../etc")])).is_err());
    }

    #[test]
    fn attributes_of_the_host_are_refused() {
        let amend = |name: &str| {
            check(types::Verdict::Amend(types::Amendment {
                body: None,
                content_type: None,
                kind: None,
                headers: Vec::new(),
                attributes: vec![(name.into(), "x".into())],
            }))
        };
        assert!(amend("hookwright.source").is_err() && amend("").is_err());
        assert!(amend("team").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_fit_for_http(name in "\\PC{0,20}", value in ".{0,20}") {
            if let Ok(Verdict::Deliver(targets)) = check(with_header(&name, &value)) {
                let edit = &targets[0].payload.headers[0];
                prop_assert!(HeaderName::from_lowercase(edit.name.as_bytes()).is_ok());
                prop_assert!(!edit.value.as_deref().unwrap_or_default().contains(['\r', '\n', '\0']));
            }
        }
    }
}
