//! Load over raw sockets: the cheapest client that still reads its answers.
use hookwright_signing::{Draft, Secret, Verify, presets, sign_as_provider};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Connections of the load.
pub(crate) const CONNECTIONS: usize = 64;
const SECRET: &[u8] = b"a secret of the benchmark";

/// About 1 KiB of JSON.
pub(crate) fn body() -> String {
    let commits: Vec<String> = (0..6)
        .map(|n| {
            format!(
                "{{\"id\":\"{n:040x}\",\"message\":\"Change number {n}\",\"author\":{{\"name\":\"a{n}\",\
                 \"email\":\"a{n}@example.com\"}}}}"
            )
        })
        .collect();
    format!(
        "{{\"ref\":\"refs/heads/main\",\"repository\":{{\"full_name\":\"o/r\",\"size\":12345678901234567890}},\
         \"pusher\":{{\"name\":\"someone\"}},\"forced\":false,\"commits\":[{}]}}",
        commits.join(",")
    )
}

pub(crate) fn secret() -> String {
    String::from_utf8_lossy(SECRET).into_owned()
}

/// The GitHub signature of the body.
pub(crate) fn signature(body: &[u8]) -> String {
    let verify = Verify::preset(&presets::GITHUB, [Secret::new(SECRET)]);
    let draft = Draft { id: "", at_s: 0, kind: None, body: Some(body) };
    let sent = sign_as_provider(&verify, &draft);
    let headers = sent.map(|sent| sent.headers).unwrap_or_default();
    let signature = headers.into_iter().find(|(name, _)| name == "x-hub-signature-256");
    signature.map(|(_, value)| value).unwrap_or_default()
}

fn request(path: &str) -> Vec<u8> {
    let body = body();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-github-event: push\r\nx-github-delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n\
         user-agent: GitHub-Hookshot/bench\r\nx-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n{body}",
        signature(body.as_bytes()),
        body.len(),
    )
    .into_bytes()
}

/// Posts `count` events and returns once each has its 202.
pub(crate) async fn post(address: SocketAddr, path: &str, count: usize) -> anyhow::Result<()> {
    let request: Arc<[u8]> = request(path).into();
    let left = Arc::new(AtomicUsize::new(count));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (request, left) = (request.clone(), left.clone());
        clients.spawn(async move { client(address, &request, &left).await });
    }
    while let Some(done) = clients.join_next().await {
        done.context("a client panicked")??;
    }
    Ok(())
}

async fn client(address: SocketAddr, request: &[u8], left: &AtomicUsize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 4_096];
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
        .is_ok()
    {
        stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut answer[filled..]).await?;
            anyhow::ensure!(read > 0, "the connection closed");
            filled += read;
            if is_whole(&answer[..filled]) {
                break;
            }
        }
        anyhow::ensure!(
            answer.starts_with(b"HTTP/1.1 202"),
            "refused: {}",
            String::from_utf8_lossy(&answer[..filled])
        );
    }
    Ok(())
}

/// A head and as many bytes as its content-length says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| {
        rest.split("\r\n").next().and_then(|digits| digits.trim().parse::<usize>().ok())
    });
    answer.len() >= end + 4 + length.unwrap_or(0)
}

/// A receiver that answers 200 to everything and counts.
pub(crate) struct Sink {
    pub address: SocketAddr,
    count: Arc<AtomicUsize>,
}

impl Sink {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(receive(stream, counter.clone()));
            }
        });
        Ok(Self { address, count })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns once it has got this many.
    pub(crate) async fn reached(&self, goal: usize) {
        while self.count() < goal {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

async fn receive(mut stream: TcpStream, count: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 * 1_024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(read) if read > 0 => filled += read,
            _ => return,
        }
        if is_whole(&buffer[..filled]) {
            filled = 0;
            count.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                return;
            }
        }
    }
}
