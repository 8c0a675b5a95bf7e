//! A destination that misbehaves in every way of a table, byte by byte.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes this and waits for the next request.
    Write(String),
    /// Writes this and closes.
    Close(String),
    /// Writes this, lets it arrive, and resets the connection.
    Reset(String),
    /// Writes this and says that nothing more comes, but goes on listening.
    HalfClose(String),
    /// Writes this, then nothing more.
    Hang(String),
    /// Writes the first, then the second for ever.
    Repeat(String, String),
    /// One byte in each such time.
    Trickle(String, Duration),
}

/// Between what is written and the reset, which would overtake it.
const ARRIVES: Duration = Duration::from_millis(30);

/// A running one; it stops when dropped.
pub struct Wild {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Requests, by the text of their bodies.
    requests: Mutex<HashMap<String, usize>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Wild {
    /// A request's body names what becomes of it.
    pub async fn start(acts: HashMap<String, Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen: Arc<Seen> = Arc::default();
        let (acts, counts) = (Arc::new(acts), seen.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, seen) = (acts.clone(), counts.clone());
                connections.spawn(async move { serve(stream, &acts, &seen).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, seen, task }
    }

    /// Speaks no TLS where a client wants it: the n-th connection gets the n-th of these.
    pub async fn start_raw(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for act in acts.into_iter().cycle() {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                connections.spawn(async move {
                    // What a client says first.
                    let mut hello = [0; 512];
                    if stream.read(&mut hello).await.is_ok() {
                        perform(&mut stream, &act).await;
                    }
                });
            }
        });
        Self { address, seen: Arc::default(), task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests with this body.
    pub fn requests(&self, body: &str) -> usize {
        self.seen.requests.lock().expect("no holder panics").get(body).copied().unwrap_or(0)
    }

    /// The most requests under way at once.
    pub fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, acts: &HashMap<String, Act>, seen: &Seen) {
    let _ = stream.set_nodelay(true);
    while let Some(body) = read(&mut stream).await {
        *seen.requests.lock().expect("no holder panics").entry(body.clone()).or_default() += 1;
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(open, Ordering::SeqCst);
        let goes_on = match acts.get(&body) {
            Some(act) => perform(&mut stream, act).await,
            None => false,
        };
        seen.open.fetch_sub(1, Ordering::SeqCst);
        if !goes_on {
            return;
        }
    }
}

/// The body of one request, as text; none at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

/// True where the next request may come.
async fn perform(stream: &mut TcpStream, act: &Act) -> bool {
    match act {
        Act::Write(text) => return stream.write_all(text.as_bytes()).await.is_ok(),
        Act::Close(text) => drop(stream.write_all(text.as_bytes()).await),
        Act::Reset(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            tokio::time::sleep(ARRIVES).await;
            let _ = stream.set_zero_linger();
        }
        Act::HalfClose(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
            drain(stream).await;
        }
        Act::Hang(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            drain(stream).await;
        }
        Act::Repeat(first, again) => {
            let _ = stream.write_all(first.as_bytes()).await;
            while stream.write_all(again.as_bytes()).await.is_ok() {}
        }
        Act::Trickle(text, time) => {
            for byte in text.as_bytes() {
                if stream.write_all(&[*byte]).await.is_err() {
                    return false;
                }
                tokio::time::sleep(*time).await;
            }
        }
    }
    false
}

/// Until the other side has closed.
async fn drain(stream: &mut TcpStream) {
    let mut rest = [0; 1_024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}
