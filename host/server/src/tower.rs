//! Lets a tower service, an axum router for example, be served.
use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};

use super::{Arriving, BodyFailure, Peer, Service};

/// Serves a tower service. Each request has its [`Peer`] as an extension.
#[derive(Clone)]
pub struct Tower<S>(pub S);

impl<S, B> Service for Tower<S>
where
    S: tower_service::Service<Request<Arriving>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BodyFailure>> + Send + Unpin + 'static,
{
    type Body = B;

    fn call(
        &self,
        peer: Peer,
        mut request: Request<Arriving>,
    ) -> impl Future<Output = Response<B>> + Send + use<S, B> {
        let mut service = self.0.clone();
        async move {
            request.extensions_mut().insert(peer);
            let Ok(()) = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            let Ok(response) = service.call(request).await;
            response
        }
    }
}
