//! The world `http`: which requests a plugin may make; whoever sets the engine up sends them.
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use wasmtime::{Result, bail};

use crate::limits::HTTP_CALLS;
use crate::run::bindings::hookwright::plugin::http as contract;
use crate::run::host::Guest;
use crate::run::log::escape;
use crate::run::slow::give_way;
use crate::run::verdict::is_hosts;

/// Sends a plugin's requests, behind whatever guards the host has.
pub trait Fetch: Send + Sync {
    /// Ends within the request's time.
    fn fetch(&self, request: Outgoing) -> Fetching;
}

pub type Fetching = Pin<Box<dyn Future<Output = Result<Incoming, FetchError>> + Send>>;

/// A request that the plugin's grants allow.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// GET or POST.
    pub method: Method,
    pub url: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub timeout: Duration,
    /// The grant names an address or this machine itself, so a private one is meant.
    pub private: bool,
}

#[derive(Debug, Clone)]
pub struct Incoming {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    Failed(String),
    Timeout,
    TooLarge,
}

/// Headers of one request, at most.
const HEADERS: usize = 64;

/// What a version may reach, by its grants.
#[derive(Clone)]
pub(crate) struct Reach {
    hosts: Arc<[Host]>,
    /// None where nobody answers: for a shadow, a preview, or on an author's machine.
    fetch: Option<Arc<dyn Fetch>>,
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
pub fn check_grant(grant: &str) -> std::result::Result<(), &'static str> {
    Host::of(grant).map(drop).ok_or("no host stands behind `http:`")
}

/// A URL that a plugin with these grants may ask.
///
/// # Errors
/// Where it may not, with the reason that the plugin would be told.
pub fn check_url(grants: &[String], url: &str) -> std::result::Result<Uri, String> {
    let hosts: Vec<Host> = grants.iter().filter_map(|grant| Host::of(grant)).collect();
    granted(&hosts, url).map(|(url, _)| url)
}

fn granted<'h>(hosts: &'h [Host], url: &str) -> std::result::Result<(Uri, &'h Host), String> {
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

impl Reach {
    /// None without such a grant.
    pub(crate) fn of(grants: &[String], fetch: Option<Arc<dyn Fetch>>) -> Option<Self> {
        let hosts: Arc<[Host]> = grants.iter().filter_map(|grant| Host::of(grant)).collect();
        (!hosts.is_empty()).then_some(Self { hosts, fetch })
    }

    /// The same grants, and nothing is sent.
    pub(crate) fn offline(&self) -> Self {
        Self { hosts: self.hosts.clone(), fetch: None }
    }

    fn prepare(&self, request: contract::Request) -> std::result::Result<Outgoing, String> {
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

/// Headers that a plugin wrote, unless one is the host's or none at all.
pub(crate) fn headers(list: Vec<(String, String)>) -> std::result::Result<HeaderMap, String> {
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

impl contract::Host for Guest {
    async fn send(
        &mut self,
        request: contract::Request,
    ) -> Result<std::result::Result<contract::Response, contract::Error>> {
        self.enter(request.body.len()).await?;
        let Some(reach) = self.reach.clone() else {
            bail!("`http` is there while an event is handled, not in `describe` or `init`");
        };
        let request = match reach.prepare(request) {
            Ok(request) => request,
            Err(why) => return Ok(Err(contract::Error::Refused(why))),
        };
        let Some(fetch) = &reach.fetch else {
            let why = "nothing is sent here: not for a shadow or a preview, nor by the commands of an author";
            return Ok(Err(contract::Error::Refused(why.into())));
        };
        if self.requests >= HTTP_CALLS {
            let why = format!("more than {HTTP_CALLS} requests in one call");
            return Ok(Err(contract::Error::Refused(why)));
        }
        self.requests += 1;
        // To wait, and to begin anew, is nothing for a thread that others need.
        give_way().await;
        Ok(match fetch.fetch(request).await {
            Ok(answer) => Ok(raise(answer)),
            Err(FetchError::Failed(why)) => Err(contract::Error::Failed(escape(&why, 512))),
            Err(FetchError::Timeout) => Err(contract::Error::Timeout),
            Err(FetchError::TooLarge) => Err(contract::Error::TooLarge),
        })
    }
}

fn raise(answer: Incoming) -> contract::Response {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let named = answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    contract::Response {
        status: answer.status,
        headers: named.collect(),
        body: answer.body.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(grants: &[&str]) -> Option<Reach> {
        let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        Reach::of(&grants, None)
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
        assert!(reach(&["kv"]).is_none());
        let reach = reach(&["http:api.example.com", "http:127.0.0.1:8080"]).unwrap();
        for (url, private) in [
            ("https://api.example.com/a?b", false),
            ("http://API.example.com:80/", false),
            ("https://api.example.com:443", false),
            ("http://127.0.0.1:8080/x", true),
        ] {
            assert_eq!(reach.prepare(get(url)).unwrap().private, private, "{url}");
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
            let why = reach.prepare(get(url)).unwrap_err();
            assert!(why.contains(part), "{url}: {why}");
        }
    }

    #[test]
    fn headers_of_the_host_and_a_body_of_a_get_are_refused() {
        let reach = reach(&["http:a.example"]).unwrap();
        let with = |name: &str, value: &str| {
            let headers = vec![(name.to_owned(), value.to_owned())];
            reach.prepare(contract::Request { headers, ..get("https://a.example/") })
        };
        assert!(with("content-type", "text/plain").is_ok() && with("x-a", "b").is_ok());
        for (name, value) in [("Host", "b"), ("cookie", "b"), ("x-a", "b\r\nc: d"), ("", "b")] {
            assert!(with(name, value).is_err(), "{name:?} {value:?}");
        }
        let body = b"x".to_vec();
        assert!(reach.prepare(contract::Request { body, ..get("https://a.example/") }).is_err());
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
