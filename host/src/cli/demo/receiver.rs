//! The demo's receiver: checks the signature of what it gets and keeps it for the story.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use hookwright_model::clock::Clock;
use hookwright_signing::{Verifier, Verify, presets, standard_key};

/// A delivery as the story shows it.
pub(super) struct Arrived {
    id: String,
    pub(super) signature: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    arrivals: mpsc::Receiver<Arrived>,
}

impl Receiver {
    /// `key` is what deliveries are signed with.
    pub(super) async fn start(key: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let verify = Verify::preset(&presets::STANDARD, [standard_key(key)?]);
        let verifier = Arc::new(Verifier::new(&verify));
        // Only the story reads; later deliveries are answered all the same.
        let (tell, arrivals) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (verifier, tell) = (verifier.clone(), tell.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| receive(&verifier, &tell, request));
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, arrivals })
    }

    /// The delivery of the event.
    pub(super) async fn arrived(&mut self, id: &str) -> Arrived {
        loop {
            match self.arrivals.recv().await {
                Some(arrived) if arrived.id == id => return arrived,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

async fn receive(
    verifier: &Verifier,
    tell: &mpsc::Sender<Arrived>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let now_s = Clock::system().now_ms() / 1_000;
    let good =
        verifier.verify(&hookwright_signing::Request::post(&parts.headers, &body), now_s).is_ok();
    let _ = tell.try_send(Arrived {
        id: text(&parts.headers, "webhook-id"),
        signature: if good { "verified" } else { "WRONG" },
        headers: parts
            .headers
            .keys()
            .map(|name| (name.to_string(), text(&parts.headers, name.as_str())))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() =
        if good { http::StatusCode::NO_CONTENT } else { http::StatusCode::UNAUTHORIZED };
    Ok(response)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.unwrap_or_default().into_owned()
}
