//! Connects: name → addresses → guard → TCP to exactly those addresses → proxy → TLS.
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
use hyper_util::rt::TokioIo;
use metrics::Counter;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::blocked;
use super::connect_error::ConnectError;
use super::guard::Guard;
use super::limits::{DRAIN_BYTES, HEAD_BYTES};
use super::literal::{Literal, literal};
use super::permits::Permits;
use super::resolver::{Lookup, Resolver};
use super::stream::{Bounds, Stream};
use super::tls::Tls;
use super::{Options, SetupError, addresses, proxy};
use hookwright_settings::{NetworkPolicy, Phases, Proxy, Transport};

/// How long a connection that no request waits for any more is still tried, for the pool.
const LONGEST: Duration = Duration::from_secs(30);
/// Silence of an address after which the next one is tried too (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// Makes one destination's connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector(Arc<Settings>);

struct Settings {
    lookup: Lookup,
    network: NetworkPolicy,
    /// Refuses addresses that `network` does not allow.
    guard: Guard,
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
    phases: Phases,
    bounds: Bounds,
    permits: Permits,
    connects: Counter,
}

impl Connector {
    /// # Errors
    /// Where the URL, a certificate or the proxy can't be used.
    pub(super) fn new(
        options: &Options,
        guard: Guard,
        resolver: Arc<dyn Resolver>,
        tls: &Tls,
        connects: Counter,
    ) -> Result<Self, SetupError> {
        check(&options.url)?;
        let Transport { network, tls: trust, proxy, http2, phases } = &options.transport;
        if proxy.as_ref().is_some_and(|proxy| proxy::place(proxy).is_none()) {
            return Err(SetupError::Proxy);
        }
        let read = 2 * HEAD_BYTES + options.excerpt.saturating_add(DRAIN_BYTES);
        Ok(Self(Arc::new(Settings {
            lookup: Lookup::new(resolver),
            network: network.clone(),
            guard,
            tls: tls.settings(trust, *http2)?,
            proxy: proxy.clone(),
            phases: *phases,
            bounds: Bounds { read, first_byte: phases.first_byte },
            permits: Permits::default(),
            connects,
        })))
    }

    /// The permits for requests over its HTTP/2 connections.
    pub(super) fn permits(&self) -> Permits {
        self.0.permits.clone()
    }
}

fn check(url: &Uri) -> Result<(), SetupError> {
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    match url.authority() {
        Some(authority) if authority.as_str().contains('@') => Err(SetupError::Credentials),
        Some(authority) if known && !authority.host().is_empty() => Ok(()),
        _ => Err(SetupError::Url),
    }
}

impl Settings {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let encrypted = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let time = self.phases.connect.unwrap_or(LONGEST);
        let connecting = tokio::time::timeout(time, self.reach(host, port)).await;
        let stream = connecting.map_err(|_| ConnectError::Slow(time))??;
        self.connects.increment(1);
        if !encrypted {
            return Ok(Stream::plain(stream, self.bounds));
        }
        let name = ServerName::try_from(bare(host).to_owned());
        let name = name.map_err(|bad| ConnectError::Tls(io::Error::other(bad)))?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let time = self.phases.tls.unwrap_or(LONGEST);
        let done = tokio::time::timeout(time, handshake).await;
        let stream = done.map_err(|_| ConnectError::SlowTls(time))?;
        Ok(Stream::tls(stream.map_err(ConnectError::Tls)?, self.bounds, &self.permits))
    }

    /// TCP to the destination, or through the proxy.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let Some((proxy, place)) =
            self.proxy.as_ref().and_then(|proxy| Some((proxy, proxy::place(proxy)?)))
        else {
            return self.tcp(host, port, |address| self.refusal(address)).await;
        };
        self.judge_unresolved(host)?;
        let mut stream = self.tcp(place.0, place.1, |_| None).await?;
        proxy::tunnel(proxy, &mut stream, host, port).await?;
        Ok(stream)
    }

    /// Checks a host name that the proxy resolves.
    fn judge_unresolved(&self, host: &str) -> Result<(), ConnectError> {
        let odd = |kind| ConnectError::Name { host: host.to_owned(), kind };
        match literal(host) {
            Literal::Address(address) => {
                self.allowed(host, &[address], |address| self.refusal(address)).map(drop)
            }
            Literal::Odd => Err(odd("a number, and no address")),
            Literal::Name => blocked::name(host).map_or(Ok(()), |kind| Err(odd(kind))),
        }
    }

    fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        addresses::refusal(&self.network, address, self.guard)
    }

    async fn tcp(
        &self,
        host: &str,
        port: u16,
        refusal: impl Fn(IpAddr) -> Option<&'static str>,
    ) -> Result<TcpStream, ConnectError> {
        let dns = |reason: String| ConnectError::Dns { host: host.to_owned(), reason };
        let found = self.lookup.addresses(host).await.map_err(|error| dns(error.to_string()))?;
        let allowed = self.allowed(host, &found, refusal)?;
        if allowed.is_empty() {
            return Err(dns("the name has none".to_owned()));
        }
        let stream =
            race(allowed.into_iter().map(|address| SocketAddr::new(address, port))).await?;
        // A connection without the option works too, only slower.
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// The allowed addresses, alternating between families; the first refusal if none is allowed.
    fn allowed(
        &self,
        host: &str,
        found: &[IpAddr],
        refusal: impl Fn(IpAddr) -> Option<&'static str>,
    ) -> Result<Vec<IpAddr>, ConnectError> {
        let mut refused = None;
        let mut passed = Vec::new();
        for address in found {
            match refusal(*address) {
                None => passed.push(*address),
                Some(kind) => refused = refused.or(Some((*address, kind))),
            }
        }
        match refused {
            Some((address, kind)) if passed.is_empty() => {
                let (host, cure) = (host.to_owned(), addresses::cure(&self.network));
                Err(ConnectError::Refused { host, address, kind, cure })
            }
            _ => Ok(by_turns(passed)),
        }
    }
}

/// The host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Alternates between address families, beginning with the resolver's first, so that
/// a family without a route costs one pause and not one for each address.
fn by_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let six = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six);
    let mut second = second.into_iter();
    let mut turns: Vec<_> = first.into_iter().flat_map(|one| [Some(one), second.next()]).collect();
    turns.extend(second.map(Some));
    turns.into_iter().flatten().take(MOST_ADDRESSES).collect()
}

/// The first connection that succeeds. The next address is tried when one fails or is silent.
async fn race(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, ConnectError> {
    let mut rest = addresses.peekable();
    let mut running = FuturesUnordered::new();
    let mut failed = ConnectError::Slow(LONGEST);
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

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let settings = Arc::clone(&self.0);
        Box::pin(async move {
            let connecting = tokio::time::timeout(LONGEST, settings.connect(&uri)).await;
            connecting.map_err(|_| ConnectError::Slow(LONGEST))?.map(TokioIo::new)
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
