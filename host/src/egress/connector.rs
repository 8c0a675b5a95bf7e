//! Connects: name → addresses → guard → TCP to exactly those addresses → TLS.
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use metrics::Counter;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::guard::Guard;
use super::resolver::LookUp;

/// A connection that nobody waits for any more is still finished for the pool; not for ever.
const LONGEST: Duration = Duration::from_secs(30);
/// The next address is tried too when the one before is silent for so long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses of one name than this are not tried.
const MOST_ADDRESSES: usize = 8;

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("`{host}` has no address: {reason}")]
    Dns { host: String, reason: String },
    #[error(
        "`{host}` is at {address}, {kind}; set `allow_private = true` for this destination if that is meant"
    )]
    Refused { host: String, address: IpAddr, kind: &'static str },
    #[error("no connection to {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("TLS failed: {0}")]
    Tls(Box<dyn std::error::Error + Send + Sync>),
    #[error("no connection within {LONGEST:?}")]
    Slow,
}

/// TCP to guarded addresses.
#[derive(Clone)]
pub(super) struct Guarded(Arc<Settings>);

struct Settings {
    look_up: LookUp,
    /// None lets every address pass.
    guard: Option<Guard>,
    connects: Counter,
}

impl Guarded {
    pub(super) fn new(look_up: LookUp, guard: Option<Guard>, connects: Counter) -> Self {
        Self(Arc::new(Settings { look_up, guard, connects }))
    }
}

impl Settings {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let dns = |reason: String| ConnectError::Dns { host: host.to_owned(), reason };
        let found = self.look_up.addresses(host).await.map_err(|error| dns(error.to_string()))?;
        let allowed = self.allowed(host, &found)?;
        if allowed.is_empty() {
            return Err(dns("the name has none".to_owned()));
        }
        let stream =
            race(allowed.into_iter().map(|address| SocketAddr::new(address, port))).await?;
        // A connection without it works too, only later.
        stream.set_nodelay(true).ok();
        self.connects.increment(1);
        Ok(stream)
    }

    /// Those that the guard lets pass, families by turns. Where it refuses all,
    /// the first refusal.
    fn allowed(&self, host: &str, found: &[IpAddr]) -> Result<Vec<IpAddr>, ConnectError> {
        let mut refused = None;
        let mut passed = Vec::new();
        for address in found {
            match self.guard.and_then(|guard| guard(*address)) {
                None => passed.push(*address),
                Some(kind) => refused = refused.or(Some((*address, kind))),
            }
        }
        match refused {
            Some((address, kind)) if passed.is_empty() => {
                Err(ConnectError::Refused { host: host.to_owned(), address, kind })
            }
            _ => Ok(by_turns(passed)),
        }
    }
}

/// One of each family in turn, beginning with the resolver's favourite, so that
/// a family without a route costs one pause and not all of them.
fn by_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let six = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six);
    let mut second = second.into_iter();
    let mut turns: Vec<_> = first.into_iter().flat_map(|one| [Some(one), second.next()]).collect();
    turns.extend(second.map(Some));
    turns.into_iter().flatten().take(MOST_ADDRESSES).collect()
}

/// The first connection that stands. The next address is tried when one fails or is silent.
async fn race(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut rest = addresses.peekable();
    let mut running = FuturesUnordered::new();
    let mut failed = ConnectError::Slow;
    loop {
        if let Some(address) = rest.next() {
            running.push(async move { (address, TcpStream::connect(address).await) });
        }
        tokio::select! {
            ended = running.next() => match ended {
                Some((_, Ok(stream))) => return Ok(stream),
                Some((address, Err(source))) => failed = ConnectError::Tcp { address, source },
                None => return Err(failed),
            },
            () = tokio::time::sleep(STAGGER), if rest.peek().is_some() => {}
        }
    }
}

impl Service<Uri> for Guarded {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let settings = Arc::clone(&self.0);
        Box::pin(async move { Ok(TokioIo::new(settings.connect(&uri).await?)) })
    }
}

/// TCP, and TLS over it for `https`, within [`LONGEST`].
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<Guarded>);

impl Connector {
    pub(super) fn new(tcp: Guarded, tls: Arc<ClientConfig>) -> Self {
        Self(HttpsConnector::from((tcp, tls)))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(LONGEST, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                // What did not come from `Guarded` came from the TLS around it.
                Ok(Err(error)) => Err(match error.downcast::<ConnectError>() {
                    Ok(own) => *own,
                    Err(tls) => ConnectError::Tls(tls),
                }),
                Err(_) => Err(ConnectError::Slow),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let read = |text: &str| text.split(' ').map(|one| one.parse().expect(one)).collect();
        let turns: Vec<IpAddr> = by_turns(read("2::1 2::2 2::3 1.1.1.1"));
        assert_eq!(turns, read("2::1 1.1.1.1 2::2 2::3") as Vec<IpAddr>);
        let turns: Vec<IpAddr> = by_turns(read("1.1.1.1 2::2 2::3 2::4"));
        assert_eq!(turns, read("1.1.1.1 2::2 2::3 2::4") as Vec<IpAddr>);
        assert_eq!(by_turns(vec![IpAddr::from([1, 1, 1, 1]); 50]).len(), MOST_ADDRESSES);
    }

    #[tokio::test]
    async fn the_next_address_is_tried_where_one_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let good = listener.local_addr().expect("an address");
        let closed = SocketAddr::new(IpAddr::from([127, 0, 0, 9]), good.port());
        let stream = race([closed, good].into_iter()).await.expect("connected");
        assert_eq!(stream.peer_addr().expect("a peer"), good);
        assert!(matches!(race([closed].into_iter()).await, Err(ConnectError::Tcp { .. })));
    }
}
