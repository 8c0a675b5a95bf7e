//! Which of a request's headers are kept with the event.
use http::{HeaderMap, HeaderName, header};

use hookwright_signing::is_credential;

/// Removes credentials and what concerned only the one connection (RFC 9110, 7.6.1).
pub(super) fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named =
        named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    // Empty for most requests, and then without an allocation.
    let mut gone: Vec<HeaderName> = named.filter(|name| *name != "close").collect();
    gone.extend(headers.keys().filter(|name| is_hop(name) || is_credential(name)).cloned());
    for name in gone {
        headers.remove(name);
    }
}

fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn credentials_and_hops_go_and_all_else_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("x-github-event", "twice"),
            ("webhook-signature", "v1,abc"),
            ("authorization", "Bearer secret"),
            ("cookie", "a=b"),
            ("connection", "keep-alive, X-Once"),
            ("x-once", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "webhook-signature", "x-github-event"]);
        assert_eq!(headers.get_all("x-github-event").iter().count(), 2);
    }

    #[test]
    fn a_hostile_connection_header_is_harmless() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static(",,a b,\t,close,,Connection"));
        strip(&mut headers);
        assert!(headers.is_empty());
    }
}
