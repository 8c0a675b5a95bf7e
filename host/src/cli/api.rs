//! A small client of the admin API, for the commands.
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::config::Config;
use crate::signing::Secret;

/// How long a command waits for the host's answer to begin.
const PATIENCE: Duration = Duration::from_secs(30);
/// And for one that copies gigabytes.
const LONG: Duration = Duration::from_secs(4 * 3_600);

pub(super) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    token: Option<Secret>,
}

impl Api {
    /// The admin side of the host that the settings describe.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: format!("http://{}", reachable(config.admin.listen)),
            token: config.admin.token.clone(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// For what takes the host as long as it takes.
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

    /// An answer of success, its body still to be read.
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
        let asked = tokio::time::timeout(patience, self.client.request(request)).await;
        let answer = asked
            .with_context(|| format!("no answer from {} within {patience:?}", self.base))?
            .with_context(|| {
                format!("can't reach the host at {}: is `hookwright serve` running?", self.base)
            })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        bail!("{} ({status})", problem["detail"].as_str().unwrap_or("the host refused"))
    }
}

async fn whole(answer: http::Response<Incoming>) -> anyhow::Result<Value> {
    let bytes = answer.into_body().collect().await.context("the answer broke off")?;
    serde_json::from_slice(&bytes.to_bytes()).context("the host's answer is no JSON")
}

/// Where a client finds a listener: one that takes every address is found on loopback.
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
