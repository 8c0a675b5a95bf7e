//! The headers of a delivery: the event's content type, the settings', the plugins', and ours on top.
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

use super::{Http, Unmade};
use hookwright_model::{Delivery, HeaderEdit, METHOD, QUERY, trace};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const ATTEMPT: HeaderName = HeaderName::from_static("hookwright-attempt");
const SOURCE: HeaderName = HeaderName::from_static("hookwright-source");

/// Names that no one but Hookwright sets: its own, and those that frame the
/// message or belong to the connection.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("webhook-")
        || name.starts_with("hookwright-")
        || name.starts_with("proxy-")
        || matches!(
            name,
            "host"
                | "content-length"
                | "transfer-encoding"
                | "connection"
                | "keep-alive"
                | "upgrade"
                | "expect"
                | "te"
                | "traceparent"
                | "tracestate"
                | "trailer"
                | "user-agent"
        )
}

/// Credentials for a destination come from the settings, never from a plugin.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    matches!(name.as_str(), "authorization" | "cookie")
}

/// All headers of one attempt; `body` is what leaves.
///
/// # Errors
/// A header that a payload must not or can't set, by name; no key to sign with.
pub(super) fn build(
    http: &Http,
    delivery: &Delivery,
    body: &[u8],
    at_ms: u64,
) -> Result<HeaderMap, Unmade> {
    let mut headers = http.headers.clone();
    headers.reserve(8);
    if let Some(value) = content_type(delivery)?
        && !headers.contains_key(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, value);
    }
    // A body that no plugin changed is still compressed as it came.
    let changed = delivery.payload.as_ref().is_some_and(|payload| payload.body.is_some());
    if let (Some(value), false) = (delivery.event.headers.get(CONTENT_ENCODING), changed) {
        headers.insert(CONTENT_ENCODING, value.clone());
    }
    // How the source was asked: a method other than POST, and a query.
    for name in [&METHOD, &QUERY] {
        if let Some(value) = delivery.event.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    trace::pass_on(&delivery.event.headers, &mut headers);
    if let Some(traces) = &http.traces {
        traces.pass_on(delivery, &mut headers);
    }
    if let Some(payload) = &delivery.payload {
        let mut changes = payload.headers.iter();
        changes.try_for_each(|change| edit(http, &mut headers, change))?;
    }
    let id = delivery.event.id.to_string();
    let timestamp_s = at_ms / 1_000;
    if let Some(hops) = &http.hops {
        hops.apply(&delivery.event.headers, &mut headers);
    }
    headers.insert(ID, text(&id)?);
    headers.insert(TIMESTAMP, HeaderValue::from(timestamp_s));
    headers.insert(USER_AGENT, http.user_agent.clone());
    headers.insert(ATTEMPT, HeaderValue::from(delivery.attempts.saturating_add(1)));
    headers.insert(SOURCE, text(&delivery.event.source)?);
    let signed = http.signer.apply(&mut headers, &id, timestamp_s, body);
    signed.map_err(|error| Unmade::credentials(error.to_string()))?;
    Ok(headers)
}

/// The payload's, or the event's byte for byte; none where that is empty.
fn content_type(delivery: &Delivery) -> Result<Option<HeaderValue>, String> {
    let own = delivery.payload.as_ref().and_then(|payload| payload.content_type.as_deref());
    match own {
        None => Ok(delivery.event.headers.get(CONTENT_TYPE).cloned()),
        Some("") => Ok(None),
        Some(value) => text(value).map(Some),
    }
}

fn edit(http: &Http, headers: &mut HeaderMap, change: &HeaderEdit) -> Result<(), String> {
    let refused = || format!("a plugin may not set the header `{:.80}`", change.name);
    let name: HeaderName = change.name.parse().map_err(|_| refused())?;
    if http.owns(&name) {
        return Err(refused());
    }
    match &change.value {
        None => drop(headers.remove(name)),
        Some(value) => drop(headers.insert(name, text(value)?)),
    }
    Ok(())
}

fn text(value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| format!("`{value:.80}` can't stand in a header"))
}
