//! The limits: bare hyper that checks an HMAC and answers, or forwards before it answers.
use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use hookwright_signing::{Secret, Verifier, Verify, presets};

type Forward = Client<HttpConnector, Full<Bytes>>;

/// Serves until the process is ended. Prints its address as its first line.
pub(crate) fn serve(forward: Option<SocketAddr>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let secrets = vec![Secret::new(super::load::secret())];
        let verifier =
            std::sync::Arc::new(Verifier::new(&Verify::preset(&presets::GITHUB, secrets)));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Forward =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(256).build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (verifier, client) = (verifier.clone(), client.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let (verifier, client) = (verifier.clone(), client.clone());
                    async move { answer(&verifier, client, forward, request).await }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

async fn answer(
    verifier: &Verifier,
    client: Forward,
    forward: Option<SocketAddr>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut status =
        match verifier.verify(&hookwright_signing::Request::post(&parts.headers, &body), 0) {
            Ok(_) => StatusCode::ACCEPTED,
            Err(_) => StatusCode::UNAUTHORIZED,
        };
    if let Some(address) = forward {
        let outgoing = Request::post(format!("http://{address}/"))
            .header("content-type", "application/json")
            .body(Full::new(body))
            .expect("a request");
        let answered = client.request(outgoing).await;
        if answered.is_err() {
            status = StatusCode::BAD_GATEWAY;
        }
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"id\":\"evt_\"}")));
    *response.status_mut() = status;
    Ok(response)
}
