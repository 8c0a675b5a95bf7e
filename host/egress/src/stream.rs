//! A connection to a destination: plain or encrypted, and no endless talker before its answer.
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::client::TlsStream;

use super::frames::Frames;
use super::permits::Permits;
use super::status_line::StatusLine;

/// What every request begins with.
const METHOD: &[u8] = b"POST ";

/// What a stream is bounded by, HTTP/1.1 only: over HTTP/2 answers overlap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most that is read between two writes: heads, interim answers and
    /// what of the body is read.
    pub(super) read: usize,
    /// From a write to the next read. Over HTTP/2 the client sees to it.
    pub(super) first_byte: Option<Duration>,
}

/// Why a stream ends itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Abort {
    #[error("more than {0} bytes came without a whole answer")]
    Talkative(usize),
    #[error("no byte of the answer within {0:?}")]
    Silent(Duration),
}

pub(super) struct Stream {
    socket: Socket,
    bounds: Bounds,
    /// Since the last write.
    read: usize,
    /// Armed by a write, disarmed by a read.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    watch: Watch,
}

/// What is looked for in what comes in.
enum Watch {
    Http1(StatusLine),
    Http2(Frames, Permits),
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn plain(stream: TcpStream, bounds: Bounds) -> Self {
        Self::new(Socket::Plain(stream), bounds, Watch::Http1(StatusLine::default()))
    }

    /// Where HTTP/2 is spoken, what the other side allows is told to `permits`.
    pub(super) fn tls(stream: TlsStream<TcpStream>, bounds: Bounds, permits: &Permits) -> Self {
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let socket = Socket::Tls(Box::new(stream));
        if h2 {
            let none = Bounds { read: usize::MAX, first_byte: None };
            return Self::new(socket, none, Watch::Http2(Frames::default(), permits.clone()));
        }
        // Each request has a connection of its own.
        permits.unlimited();
        Self::new(socket, bounds, Watch::Http1(StatusLine::default()))
    }

    fn new(socket: Socket, bounds: Bounds, watch: Watch) -> Self {
        Self { socket, bounds, read: 0, silence: None, waiting: false, watch }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// Of the other end of the connection.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Plain(stream) => stream.peer_addr(),
            Socket::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, begins: &[u8]) {
        self.read = 0;
        if let Watch::Http1(line) = &mut self.watch
            && line.is_done()
            && begins.starts_with(METHOD)
        {
            line.begin();
        }
        let Some(time) = self.bounds.first_byte else { return };
        self.waiting = true;
        let until = Instant::now() + time;
        let timer = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        timer.as_mut().reset(until);
        // A task that writes need not read at once: the timer wakes it to do so.
        let _ = timer.as_mut().poll(cx);
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if let Poll::Ready(result) = this.poll_inner(cx, buf) {
            this.waiting = false;
            let came = buf.filled().get(before..).unwrap_or_default();
            this.read = this.read.saturating_add(came.len());
            match &mut this.watch {
                Watch::Http1(line) => line.read(came),
                Watch::Http2(frames, permits) => {
                    if let Some(limit) = frames.read(came) {
                        permits.limit(limit);
                    }
                }
            }
            if this.read > this.bounds.read {
                return Poll::Ready(Err(io::Error::other(Abort::Talkative(this.bounds.read))));
            }
            return Poll::Ready(result);
        }
        if let (true, Some(timer), Some(time)) =
            (this.waiting, &mut this.silence, this.bounds.first_byte)
        {
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::other(Abort::Silent(time))));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote(cx, buf);
        match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote(cx, bufs.iter().find(|buf| !buf.is_empty()).map_or(&[], |buf| buf));
        match &mut this.socket {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Socket::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match &self.watch {
            Watch::Http1(line) => Connected::new().extra(line.found()),
            Watch::Http2(..) => Connected::new().negotiated_h2(),
        }
    }
}
