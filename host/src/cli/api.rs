//! A small client of the admin API, for the commands.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use hookwright_config::Config;
use hookwright_model::printable;
use hookwright_signing::Secret;

/// How long a command waits for the host's answer to begin.
const PATIENCE: Duration = Duration::from_secs(30);
/// And for whether it is ready: shorter, since a probe asks again.
const BRIEF: Duration = Duration::from_secs(5);
/// And for a command that copies gigabytes.
const LONG: Duration = Duration::from_secs(4 * 3_600);

/// The host answered with a refusal.
#[derive(Debug, thiserror::Error)]
#[error("{detail} ({status})")]
pub(super) struct Refused {
    pub(super) status: http::StatusCode,
    detail: String,
    /// Single things that are wrong.
    pub(super) errors: Vec<Value>,
}

/// The variable that holds the token, for use without the settings.
const TOKEN: &str = "HOOKWRIGHT_TOKEN";

/// The host that a command talks to: the one at a URL, else the one that the settings describe.
pub(super) struct Where<'a> {
    pub(super) config: &'a Path,
    pub(super) host: Option<&'a str>,
}

impl Where<'_> {
    /// # Errors
    /// If the settings can't be read, or the URL is not valid.
    pub(super) fn api(&self) -> anyhow::Result<Api> {
        let Some(url) = self.host else { return Ok(Api::new(&super::load(self.config)?)) };
        let base = url.trim_end_matches('/');
        let uri: http::Uri = base.parse().with_context(|| format!("--host {url} is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            bail!("--host {url}: write it as `https://hooks.example.com:8081`");
        }
        Ok(Api { client: client(base)?, base: base.to_owned(), token: own_token() })
    }
}

/// The client for HTTP, and for HTTPS with the machine's certificate authorities.
pub(super) type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client for the URL: certificate authorities are read for `https` only.
///
/// # Errors
/// If the machine has no certificate authorities.
pub(super) fn client(url: &str) -> anyhow::Result<Http> {
    let mut roots = RootCertStore::empty();
    if url.starts_with("https:") {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            bail!("this machine has no certificate authorities: install `ca-certificates`");
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn own_token() -> Option<Secret> {
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    token.map(|token| Secret::new(token.into_bytes()))
}

#[derive(Clone)]
pub(super) struct Api {
    client: Http,
    base: String,
    token: Option<Secret>,
}

impl Api {
    /// The admin side of the host that the settings describe.
    pub(super) fn new(config: &Config) -> Self {
        let base = format!("http://{}", reachable(config.admin.listen));
        Self {
            client: client(&base).expect("plain HTTP needs no authorities"),
            base,
            token: own_token().or_else(|| config.admin.token.clone()),
        }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// Without a timeout, for requests that may take the host long.
    pub(super) async fn post_patiently(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        whole(self.ask_for(Method::POST, path, Some(body), LONG).await?).await
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        whole(self.ask(method, path, body).await?).await
    }

    /// Bytes as they are.
    pub(super) async fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.ask(Method::GET, path, None).await?;
        Ok(answer.into_body().collect().await.context("the answer broke off")?.to_bytes())
    }

    /// A successful response, its body not read yet.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<http::Response<Incoming>> {
        self.ask_for(method, path, body, PATIENCE).await
    }

    async fn ask_for(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> anyhow::Result<http::Response<Incoming>> {
        let uri = format!("{}/api/v1/{path}", self.base);
        let mut request = Request::builder().method(method).uri(&uri);
        if let Some(token) = &self.token {
            let value = [b"Bearer ", token.expose()].concat();
            let mut value = http::HeaderValue::from_bytes(&value)?;
            value.set_sensitive(true);
            request = request.header("authorization", value);
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request.header("content-type", "application/json").body(text.into())?;
        let answer = self.reach(request, patience).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let detail = printable(problem["detail"].as_str().unwrap_or("the host refused"));
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        Err(Refused { status, detail, errors }.into())
    }

    /// Whether the host accepts events. Needs no token.
    pub(super) async fn is_ready(&self) -> anyhow::Result<bool> {
        let request = Request::get(format!("{}/readyz", self.base)).body(Full::default())?;
        Ok(self.reach(request, BRIEF).await?.status().is_success())
    }

    async fn reach(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> anyhow::Result<http::Response<Incoming>> {
        let asked = tokio::time::timeout(patience, self.client.request(request)).await;
        asked
            .with_context(|| format!("no answer from {} within {patience:?}", self.base))?
            .with_context(|| {
                format!("can't reach the host at {}: is `hookwright serve` running?", self.base)
            })
    }
}

async fn whole(answer: http::Response<Incoming>) -> anyhow::Result<Value> {
    let bytes = answer.into_body().collect().await.context("the answer broke off")?;
    serde_json::from_slice(&bytes.to_bytes()).context("the host's answer is no JSON")
}

/// The address at which a client finds a listener: loopback, for a listener on every address.
pub(super) fn reachable(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let mut address = listen;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// A name, escaped as a segment of a path.
pub(super) fn escaped(name: &str) -> String {
    query(&[("", Some(name.to_owned()))]).split_off(2)
}

/// A query string of those that have a value.
pub(super) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            out.push(if out.is_empty() { '?' } else { '&' });
            out.push_str(name);
            out.push('=');
            for byte in value.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        out.push(byte.into());
                    }
                    other => out.push_str(&format!("%{other:02X}")),
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_are_escaped() {
        let pairs = [("a", Some("x y&z=ü".to_owned())), ("b", None), ("c", Some("1".to_owned()))];
        assert_eq!(super::query(&pairs), "?a=x%20y%26z%3D%C3%BC&c=1");
    }
}
