//! A destination for tests: a real HTTP server that answers as a script says and keeps what it got.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request that a receiver got.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: http::Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The status that it was answered with.
    pub status: u16,
}

impl Received {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a receiver answers.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub delay: Duration,
    pub body: &'static str,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

type Script = Arc<dyn Fn(usize, &HeaderMap) -> Answer + Send + Sync>;

/// A running receiver; it stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub async fn good() -> Self {
        Self::scripted(|_, _| Answer::status(200)).await
    }

    /// Answers the n-th request, from 0, as the script says.
    pub async fn scripted<F>(script: F) -> Self
    where
        F: Fn(usize, &HeaderMap) -> Answer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        Self::on(listener, Arc::new(script))
    }

    fn on(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let got: Arc<Mutex<Vec<Received>>> = Arc::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(
            listener,
            Part { script, got: got.clone(), count, connections: connections.clone() },
        ));
        Self { address, got, connections, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All that it got so far.
    pub fn received(&self) -> Vec<Received> {
        self.got.lock().expect("no holder panics").clone()
    }

    pub fn count(&self) -> usize {
        self.got.lock().expect("no holder panics").len()
    }

    /// Connections that were opened to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Part {
    script: Script,
    got: Arc<Mutex<Vec<Received>>>,
    count: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

async fn accept(listener: TcpListener, part: Part) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        part.connections.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let part = part.clone();
        connections.spawn(async move {
            let service = service_fn(|request| part.clone().answer(request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Part {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return Ok(Response::builder().status(400).body(Full::default()).expect("a response"));
        };
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let answer = (self.script)(number, &parts.headers);
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        self.got.lock().expect("no holder panics").push(Received {
            path: parts.uri.path().to_owned(),
            method: parts.method,
            headers: parts.headers,
            body: body.to_bytes(),
            status: answer.status,
        });
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(*name, value);
        }
        Ok(response.body(Full::from(answer.body)).expect("a response"))
    }
}
