//! A client that posts events over kept connections, and reads the admin API.
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Posts and asks; clones share the kept connections.
#[derive(Clone)]
pub struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
}

/// What an answer said.
#[derive(Debug, Clone)]
pub struct Posted {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The id of the accepted event.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http =
            Http::builder(TokioExecutor::new()).pool_max_idle_per_host(1_024).build(connector);
        Self { http }
    }
}

impl Client {
    /// Posts to `http://address/path`.
    pub async fn post(
        &self,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Posted> {
        self.ask(Method::POST, address, path, headers, body.into()).await
    }

    pub async fn get(&self, address: SocketAddr, path: &str) -> anyhow::Result<Posted> {
        self.ask(Method::GET, address, path, &[], Bytes::new()).await
    }

    pub async fn ask(
        &self,
        method: Method,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Posted> {
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).context("a bad request in the test")?;
        let answer = self.http.request(request).await.context("the request failed")?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.context("the answer broke off")?.to_bytes();
        Ok(Posted { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}
