//! What a plugin answers to the request that brought an event.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

/// An answer in place of the usual 202.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 499.
    pub status: StatusCode,
    /// Its headers, without those that speak for the connection or the whole host.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// Fields that speak for the connection or for the whole host, not for one answer:
/// to browsers, caches and proxies about every other path, or in the host's name.
const BEYOND: &[&str] = &[
    "accept-ch",
    "age",
    "alt-svc",
    "alt-used",
    "authentication-info",
    "clear-site-data",
    "connection",
    "content-length",
    "critical-ch",
    "date",
    "expect-ct",
    "expect-staple",
    "http2-settings",
    "keep-alive",
    "nel",
    "origin-agent-cluster",
    "origin-trial",
    "public-key-pins",
    "public-key-pins-report-only",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "server",
    "service-worker-allowed",
    "speculation-rules",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "webhook-id",
];
/// And whole families of them.
const FAMILIES: &[&str] = &["access-control-", "cross-origin-", "proxy-", "sec-", "set-"];

impl Reply {
    /// # Errors
    /// What is wrong with it, for the plugin's author.
    pub fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Result<Self, String> {
        if !(200..500).contains(&status.as_u16()) {
            return Err(format!("the status {} is not in 200 to 499", status.as_u16()));
        }
        // RFC 9110, 15.3.5, 15.3.6 and 15.4.5.
        if matches!(status.as_u16(), 204 | 205 | 304) && !body.is_empty() {
            return Err(format!("an answer of status {} has no body", status.as_u16()));
        }
        match headers.keys().find(|name| is_beyond(name)) {
            Some(name) => Err(format!("the header `{name}` is not a plugin's to send")),
            None => Ok(Self { status, headers, body }),
        }
    }
}

fn is_beyond(name: &HeaderName) -> bool {
    let name = name.as_str();
    BEYOND.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn reply(status: u16, name: &'static str, body: &'static str) -> Result<Reply, String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static("x"));
        Reply::new(StatusCode::from_u16(status).unwrap(), headers, body.into())
    }

    /// A responder could send a body with 205, and speak for the whole host.
    #[test]
    fn regression_an_answer_speaks_for_itself_only() {
        for good in ["content-type", "x-hook-secret", "validation-token", "webhook-allowed-rate"] {
            assert!(reply(200, good, "body").is_ok(), "{good}");
        }
        for good in ["cache-control", "retry-after", "www-authenticate", "content-encoding"] {
            assert!(reply(401, good, "body").is_ok(), "{good}");
        }
        let families = ["access-control-allow-origin", "proxy-status", "sec-x", "set-cookie"];
        for bad in BEYOND.iter().copied().chain(families) {
            assert!(reply(200, bad, "body").is_err(), "{bad}");
        }
        for status in [204, 205, 304] {
            assert!(reply(status, "x-a", "body").is_err(), "{status}");
            assert!(reply(status, "x-a", "").is_ok(), "{status}");
        }
        assert!(reply(199, "x-a", "").is_err() && reply(500, "x-a", "").is_err());
    }
}
