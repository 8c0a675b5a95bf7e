//! Closes connections on which nothing happens: one timer a connection, no clock read on the way of the bytes.
use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What a connection is doing, as its parts tell it. They only count; the
/// watch looks whenever the connection's task runs.
#[derive(Default)]
pub(super) struct Pulse {
    /// Calls of the service under way.
    serving: AtomicU32,
    /// Answers not yet wholly handed to the connection.
    answering: AtomicU32,
    /// Requests ever begun.
    begun: AtomicU32,
    /// Writes that the peer took.
    written: AtomicU32,
    /// Bytes have come that belong to no request yet.
    heard: AtomicBool,
    /// Requests share the connection (HTTP/2), so bytes tell nothing of a request.
    shared: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked.
    Idle,
    /// A request's head is on its way, or nothing came since the start.
    Head,
    /// The service is at work; it bounds itself.
    Serving,
    /// The answer is on its way.
    Answering,
}

impl Pulse {
    /// The phase, and a mark that changes where time starts anew within it.
    fn look(&self) -> (Phase, u32) {
        let begun = self.begun.load(Relaxed);
        let shared = self.shared.load(Relaxed);
        if self.serving.load(Relaxed) > 0 {
            (Phase::Serving, begun)
        } else if self.answering.load(Relaxed) > 0 {
            (Phase::Answering, self.written.load(Relaxed))
        } else if begun == 0 || (self.heard.load(Relaxed) && !shared) {
            (Phase::Head, begun)
        } else {
            // The last answer may still leave from the connection's buffer. On
            // a shared connection writes are pings, too, and tell nothing.
            let written = if shared { 0 } else { self.written.load(Relaxed) };
            (Phase::Idle, begun.wrapping_add(written))
        }
    }

    /// A request's head is complete.
    pub(super) fn begin(self: &Arc<Self>, shared: bool) -> Underway {
        self.begun.fetch_add(1, Relaxed);
        self.serving.fetch_add(1, Relaxed);
        self.heard.store(false, Relaxed);
        if shared {
            self.shared.store(true, Relaxed);
        }
        Underway { pulse: self.clone(), answering: false }
    }
}

/// One request under way, until dropped.
pub(super) struct Underway {
    pulse: Arc<Pulse>,
    answering: bool,
}

impl Underway {
    /// The service is done; the answer goes out.
    pub(super) fn answer<B>(mut self, body: B) -> Tracked<B> {
        self.answering = true;
        self.pulse.answering.fetch_add(1, Relaxed);
        self.pulse.serving.fetch_sub(1, Relaxed);
        Tracked { body, _underway: self }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let count = if self.answering { &self.pulse.answering } else { &self.pulse.serving };
        count.fetch_sub(1, Relaxed);
        // What came meanwhile was the body.
        self.pulse.heard.store(false, Relaxed);
    }
}

/// A response's body that tells when it is wholly taken.
pub(super) struct Tracked<B> {
    body: B,
    _underway: Underway,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells what it reads and writes.
pub(super) struct Watched<IO> {
    pub(super) io: IO,
    pub(super) pulse: Arc<Pulse>,
}

impl<IO> Watched<IO> {
    fn wrote(&self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        self.pulse.written.fetch_add(1, Relaxed);
        Poll::Ready(result)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pulse.heard.store(true, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Why the watch gives a connection up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// No request's head in time.
    Head,
    /// Nothing asked, or the answer not taken.
    Idle,
}

/// Looks after one connection.
pub(super) struct Watch {
    pulse: Arc<Pulse>,
    header_timeout: Duration,
    idle_timeout: Duration,
    seen: (Phase, u32),
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    pub(super) fn new(pulse: Arc<Pulse>, header_timeout: Duration, idle_timeout: Duration) -> Self {
        let since = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(since + header_timeout));
        Self { seen: pulse.look(), pulse, header_timeout, idle_timeout, since, sleep }
    }

    /// Ready once the connection is stuck. To be polled after the connection,
    /// each time that its task runs.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stuck> {
        let seen = self.pulse.look();
        if seen != self.seen {
            self.seen = seen;
            self.since = Instant::now();
        }
        let limit = if seen.0 == Phase::Head { self.header_timeout } else { self.idle_timeout };
        let deadline = self.since + limit;
        // A timer that is set too early corrects itself when it fires: most
        // requests never touch it.
        if self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now < deadline {
                self.sleep.as_mut().reset(deadline);
                continue;
            }
            match seen.0 {
                Phase::Head => return Poll::Ready(Stuck::Head),
                Phase::Idle | Phase::Answering => return Poll::Ready(Stuck::Idle),
                // Looks again later: HTTP/2 may end a request without waking the task.
                Phase::Serving => {
                    self.since = now;
                    self.sleep.as_mut().reset(now + limit);
                }
            }
        }
        Poll::Pending
    }

    /// Gives a connection that was asked to close the time once more.
    pub(super) fn restart(&mut self) {
        self.since = Instant::now();
    }
}
