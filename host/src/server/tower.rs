//! Lets a tower service, an axum router for example, be served.
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use super::{BodyFailure, Service};

/// Who is at the other end of the connection: an extension of each request
/// that goes through [`Tower`].
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves a tower service.
#[derive(Clone)]
pub struct Tower<S>(pub S);

impl<S, B> Service for Tower<S>
where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BodyFailure>> + Send + Unpin + 'static,
{
    type Body = B;

    fn call(
        &self,
        peer: SocketAddr,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Response<B>> + Send + use<S, B> {
        let mut service = self.0.clone();
        async move {
            request.extensions_mut().insert(Peer(peer));
            let Ok(()) = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            let Ok(response) = service.call(request).await;
            response
        }
    }
}
