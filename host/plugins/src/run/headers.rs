//! Headers that a plugin writes: which names are the host's, and what is a header at all.
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::text::escape;

/// Headers of one request, at most.
const HEADERS: usize = 64;

/// Header names that are the host's: what routes, frames, signs or
/// authenticates a delivery. A plugin has other ways for the first of them.
const FORBIDDEN: &[&str] = &[
    "content-type",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const FORBIDDEN_PREFIXES: &[&str] = &["webhook-", "hookwright-", "proxy-", "x-forwarded-"];

/// Whether only the host writes headers of this name.
pub(crate) fn is_hosts(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORBIDDEN.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Headers that a plugin wrote, unless one is the host's or none at all.
pub(crate) fn headers(list: Vec<(String, String)>) -> Result<HeaderMap, String> {
    if list.len() > HEADERS {
        return Err(format!("{} headers; {HEADERS} is the limit", list.len()));
    }
    let mut headers = HeaderMap::with_capacity(list.len());
    for (name, value) in list {
        let shown = escape(&name, 80);
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{shown}` is no header name"))?;
        if name != CONTENT_TYPE && is_hosts(&name) {
            return Err(format!("the header `{shown}` is the host's"));
        }
        let value = HeaderValue::from_str(&value).map_err(|_| {
            format!("the value of the header `{shown}` has a character that no header may have")
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}
