//! The accept loop: takes connections to a hard limit and lets them finish at the end.
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection::Shared;
use super::{ErrorCode, Options, Problem, Service, network};

/// The kernel's backlog of connections to accept.
const BACKLOG: u32 = 4096;
/// The wait after an error that the next accept would get again, such as no free descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Refused connections that get time to read the refusal.
const REFUSALS: usize = 64;
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Why a port could not be reserved.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; choose another `listen`, or stop what uses it")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the operating system says.
    pub cause: io::Error,
}

/// A reserved port that is not served yet.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// The address that it listens on; port 0 was replaced by a real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reserves the port. Needs a tokio runtime around it.
///
/// # Errors
/// Where the address can't be had.
pub fn bind(address: SocketAddr) -> Result<Listener, BindError> {
    let listen = || -> io::Result<Listener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let inner = socket.listen(BACKLOG)?;
        Ok(Listener { address: inner.local_addr()?, inner })
    };
    listen().map_err(|cause| BindError { address, cause })
}

/// Serves until `stop`, then lets requests in flight finish, at most
/// `options.drain`. Connections over the limit get a 503 and are closed: the
/// sender knows at once, and nothing piles up unseen in the kernel.
pub async fn serve<S: Service>(
    listener: Listener,
    options: Options,
    service: S,
    stop: CancellationToken,
) {
    let mut accepting = Accepting::new(options, service, stop.clone());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = accepting.open.join_next() => accepting.ended(ended),
            accepted = listener.inner.accept() => match accepted {
                Ok((stream, peer)) => accepting.take(stream, peer),
                Err(error) => accepting.failed(&error).await,
            },
        }
    }
    drop(listener);
    accepting.drain().await;
}

/// Connections at once for [`Options::reserved`], and how long each may take.
const RESERVED: usize = 32;
const RESERVED_TIME: Duration = Duration::from_secs(2);

struct Accepting<S> {
    shared: Arc<Shared<S>>,
    stop: CancellationToken,
    open: JoinSet<()>,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    addresses: Addresses,
    /// The oldest first: it makes room for the newest.
    reserved: VecDeque<AbortHandle>,
    connections: Gauge,
    refused: Counter,
}

/// Open connections by address. No more entries than connections.
type Addresses = Arc<Mutex<HashMap<u64, usize>>>;

/// One connection, counted until dropped.
struct Permit {
    connections: Gauge,
    /// Where these are counted.
    address: Option<(Addresses, u64)>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connections.decrement(1.0);
        let Some((addresses, address)) = &self.address else { return };
        if let Entry::Occupied(mut entry) = addresses.lock().entry(*address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl<S: Service> Accepting<S> {
    fn new(options: Options, service: S, stop: CancellationToken) -> Self {
        let name = options.name;
        Self {
            permits: Arc::new(Semaphore::new(
                options.limits.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            addresses: Addresses::default(),
            reserved: VecDeque::new(),
            connections: gauge!(hookwright_model::metrics::CONNECTIONS, "listener" => name),
            refused: counter!(hookwright_model::metrics::CONNECTIONS_REFUSED, "listener" => name),
            shared: Arc::new(Shared::new(options, service)),
            stop,
            open: JoinSet::new(),
        }
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.permit(peer) else {
            return match self.shared.options.reserved {
                [] => self.refuse(stream, peer),
                _ => self.reserve(stream, peer),
            };
        };
        let shared = self.shared.clone();
        // A token of its own: waiting on one that all share would be a lock that all share.
        let stop = self.stop.child_token();
        self.open.spawn(async move {
            shared.run(stream, peer, false, stop).await;
            drop(permit);
        });
    }

    /// Reserves a place among all connections, and among those of its address.
    fn permit(&self, peer: SocketAddr) -> Option<Permit> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let most = self.shared.options.max_per_address;
        let address = match most < self.shared.options.limits.max_connections {
            false => None,
            true => {
                let address = network(peer.ip());
                let mut addresses = self.addresses.lock();
                let count = addresses.entry(address).or_default();
                if *count >= most {
                    return None;
                }
                *count += 1;
                Some((self.addresses.clone(), address))
            }
        };
        self.connections.increment(1.0);
        Some(Permit { connections: self.connections.clone(), address, _permit: permit })
    }

    /// Serves a connection for a moment beyond the limit; the newest never has to wait.
    fn reserve(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.refused.increment(1);
        self.reserved.retain(|task| !task.is_finished());
        if self.reserved.len() >= RESERVED
            && let Some(oldest) = self.reserved.pop_front()
        {
            oldest.abort();
        }
        let (shared, stop) = (self.shared.clone(), self.stop.child_token());
        self.reserved.push_back(self.open.spawn(async move {
            // A client that needs longer is not a monitor.
            let _ = tokio::time::timeout(RESERVED_TIME, shared.run(stream, peer, true, stop)).await;
        }));
    }

    fn refuse(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.refused.increment(1);
        tracing::debug!(listener = self.shared.options.name, %peer, "too many connections");
        let plain = self.shared.options.tls.is_none();
        if plain && let Ok(permit) = self.refusals.clone().try_acquire_owned() {
            self.open.spawn(async move {
                // Best effort: a client that does not read is cut off.
                let _ = tokio::time::timeout(REFUSAL_TIME, say_full(stream)).await;
                drop(permit);
            });
        }
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(listener = self.shared.options.name, "a connection's task panicked");
        }
    }

    async fn failed(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return;
        }
        tracing::warn!(listener = self.shared.options.name, %error, "accepting failed; going on");
        self.stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }

    async fn drain(mut self) {
        let finish = async { while self.open.join_next().await.is_some() {} };
        if tokio::time::timeout(self.shared.options.drain, finish).await.is_err() {
            let left = self.open.len();
            tracing::warn!(listener = self.shared.options.name, left, "connections were cut off");
            self.open.shutdown().await;
        }
    }
}

/// Answers 503 without reading a request, then lets the peer read it: closing with
/// unread bytes would reset the connection before the response is read.
async fn say_full(mut stream: TcpStream) -> io::Result<()> {
    let problem = Problem::new(
        ErrorCode::TooManyConnections,
        "all connections are in use; wait a second, then try again",
    );
    stream.write_all(&problem.retry_after(1).closing(true)).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
