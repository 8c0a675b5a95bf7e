//! The server over real sockets and in memory.
mod half_closed;
mod heads;
mod limits;
mod sockets;
mod times;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Semaphore;

use super::{Arriving, Peer, Service};

/// Answers with the body's length. `/wait` waits at the gate, `/panic` panics,
/// `/big` answers a mebibyte.
#[derive(Clone)]
struct Echo {
    gate: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Echo {
    fn new() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), begun: Arc::default() }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Service for Echo {
    type Body = Full<Bytes>;

    fn call(
        &self,
        _: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send + use<> {
        let Self { gate, begun } = self.clone();
        begun.fetch_add(1, Ordering::SeqCst);
        async move {
            match request.uri().path() {
                "/wait" => drop(gate.acquire().await.unwrap()),
                "/panic" => panic!("as the test wants"),
                "/big" => return Response::new(Full::new(vec![b'x'; 1024 * 1024].into())),
                _ => {}
            }
            let body = request.into_body().collect().await.map(|body| body.to_bytes().len());
            Response::new(Full::new(format!("{body:?}").into()))
        }
    }
}
