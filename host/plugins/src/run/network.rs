//! The requests that a plugin's grants allow. The application that sets the engine up sends them.
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::run::bindings::hookwright::plugin::http as contract;
use crate::run::headers::headers;
use crate::text::escape;

/// Sends a plugin's requests, with the host's address guard. The application implements it.
pub trait Fetch: Send + Sync {
    /// Ends within the request's time.
    fn fetch(&self, request: Outgoing) -> Fetching;
}

/// An answer that is awaited.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Incoming, FetchError>> + Send>>;

/// A request that the plugin's grants allow.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method, GET or POST.
    pub method: Method,
    /// The URL, of a host that the grants name.
    pub url: Uri,
    /// The headers, none of them the host's own.
    pub headers: HeaderMap,
    /// The body; empty for a GET.
    pub body: Bytes,
    /// Time for the whole exchange.
    pub timeout: Duration,
    /// Whether the grant names an address or this machine explicitly, so that a private address is allowed.
    pub private: bool,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`HTTP_BODY`](crate::HTTP_BODY) bytes.
    pub body: Bytes,
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The request failed, for this reason.
    Failed(String),
    /// No answer within the request's time.
    Timeout,
    /// The answer's body has more than [`HTTP_BODY`](crate::HTTP_BODY) bytes.
    TooLarge,
}

/// What a version may reach, by its grants.
#[derive(Clone)]
pub(crate) struct NetworkPolicy {
    hosts: Arc<[Host]>,
    /// None if requests are refused: for a shadow, a preview, or on an author's machine.
    pub(crate) fetch: Option<Arc<dyn Fetch>>,
}

/// `HOST` or `HOST:PORT` of a grant.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    fn of(grant: &str) -> Option<Self> {
        let host = grant.strip_prefix("http:")?;
        let authority: http::uri::Authority = host.parse().ok()?;
        let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
        let name = authority.host().to_ascii_lowercase();
        plain.then(|| Self { name, port: authority.port_u16() })
    }

    fn is_private(&self) -> bool {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse::<IpAddr>().is_ok()
    }

    fn allows(&self, url: &Uri) -> bool {
        let usual = matches!(
            (url.scheme_str(), url.port_u16()),
            (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443))
        );
        let port = match self.port {
            Some(port) => url.port_u16() == Some(port),
            None => usual,
        };
        port && url.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.name))
    }
}

/// Whether a grant is one for `http`, and what is wrong with it.
///
/// # Errors
/// Where it names no host.
pub fn check_grant(grant: &str) -> Result<(), &'static str> {
    Host::of(grant).map(drop).ok_or("no host stands behind `http:`")
}

/// A URL that a plugin with these grants may ask.
///
/// # Errors
/// Where it may not, with the reason that the plugin would be told.
pub fn check_url(grants: &[String], url: &str) -> Result<Uri, String> {
    let hosts: Vec<Host> = grants.iter().filter_map(|grant| Host::of(grant)).collect();
    granted(&hosts, url).map(|(url, _)| url)
}

fn granted<'h>(hosts: &'h [Host], url: &str) -> Result<(Uri, &'h Host), String> {
    let shown = escape(url, 200);
    let url: Uri = url.parse().map_err(|_| format!("`{shown}` is no URL"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(format!("`{shown}` begins neither with `https://` nor with `http://`"));
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL may not hold a user or password".into());
    }
    let Some(host) = hosts.iter().find(|host| host.allows(&url)) else {
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        return Err(format!("no grant for `{}`", escape(&host, 200)));
    };
    Ok((url, host))
}

impl NetworkPolicy {
    /// None without such a grant.
    pub(crate) fn of(grants: &[String], fetch: Option<Arc<dyn Fetch>>) -> Option<Self> {
        let hosts: Arc<[Host]> = grants.iter().filter_map(|grant| Host::of(grant)).collect();
        (!hosts.is_empty()).then_some(Self { hosts, fetch })
    }

    /// The same grants, without sending anything.
    pub(crate) fn offline(&self) -> Self {
        Self { hosts: self.hosts.clone(), fetch: None }
    }

    pub(crate) fn prepare(&self, request: contract::Request) -> Result<Outgoing, String> {
        let (url, host) = granted(&self.hosts, &request.url)?;
        let method = match request.method {
            contract::Method::Get => Method::GET,
            contract::Method::Post => Method::POST,
        };
        if method == Method::GET && !request.body.is_empty() {
            return Err("a GET has no body".into());
        }
        Ok(Outgoing {
            method,
            headers: headers(request.headers)?,
            body: request.body.into(),
            timeout: Duration::from_millis(request.timeout_ms.into()),
            private: host.is_private(),
            url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(grants: &[&str]) -> Option<NetworkPolicy> {
        let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        NetworkPolicy::of(&grants, None)
    }

    fn get(url: &str) -> contract::Request {
        contract::Request {
            method: contract::Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 100,
        }
    }

    #[test]
    fn only_granted_hosts_and_ports_are_reached() {
        assert!(network(&["kv"]).is_none());
        let network = network(&["http:api.example.com", "http:127.0.0.1:8080"]).unwrap();
        for (url, private) in [
            ("https://api.example.com/a?b", false),
            ("http://API.example.com:80/", false),
            ("https://api.example.com:443", false),
            ("http://127.0.0.1:8080/x", true),
        ] {
            assert_eq!(network.prepare(get(url)).unwrap().private, private, "{url}");
        }
        for (url, part) in [
            ("https://example.com/", "no grant for `example.com`"),
            ("https://api.example.com.evil.example/", "no grant"),
            ("https://api.example.com:8443/", "no grant"),
            ("http://127.0.0.1/", "no grant"),
            ("https://api.example.com@evil.example/", "user or password"),
            ("ftp://api.example.com/", "begins neither"),
            ("/a", "begins neither"),
            ("http://a b/", "is no URL"),
        ] {
            let why = network.prepare(get(url)).unwrap_err();
            assert!(why.contains(part), "{url}: {why}");
        }
    }

    #[test]
    fn headers_of_the_host_and_a_body_of_a_get_are_refused() {
        let network = network(&["http:a.example"]).unwrap();
        let with = |name: &str, value: &str| {
            let headers = vec![(name.to_owned(), value.to_owned())];
            network.prepare(contract::Request { headers, ..get("https://a.example/") })
        };
        assert!(with("content-type", "text/plain").is_ok() && with("x-a", "b").is_ok());
        for (name, value) in [("Host", "b"), ("cookie", "b"), ("x-a", "b\r\nc: d"), ("", "b")] {
            assert!(with(name, value).is_err(), "{name:?} {value:?}");
        }
        let body = b"x".to_vec();
        assert!(network.prepare(contract::Request { body, ..get("https://a.example/") }).is_err());
    }

    #[test]
    fn a_grant_names_a_host() {
        for good in ["http:a.example", "http:a.example:8080", "http:[::1]:80", "http:localhost"] {
            assert_eq!(check_grant(good), Ok(()), "{good}");
        }
        for bad in ["http:", "http:a b", "http:u@a", "http://a", "kv", "http:a/b"] {
            assert!(check_grant(bad).is_err(), "{bad}");
        }
    }
}
