//! The state of a connection, reported by its parts. The watch reads it to close stuck connections.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::BodyFailure;
use super::budget::{Charge, Spent};
use super::head::Unread;

/// Flushes after the last answer before the peer's end is passed on. With HTTP/2
/// one may be in flight when the answer is handed over, and be over without it.
const FLUSHES: u32 = 2;

/// The parts only count; the watch reads the counts whenever the connection's task runs.
pub(super) struct Pulse {
    /// Calls of the service in flight.
    serving: AtomicU32,
    /// Responses not completely passed to the connection yet.
    answering: AtomicU32,
    /// Bodies of HTTP/1.1 requests that are incomplete.
    arriving: AtomicU32,
    /// Flushes still due for the responses passed on.
    owed: AtomicU32,
    /// Requests begun so far.
    begun: AtomicU32,
    /// Writes that the peer accepted.
    written: AtomicU32,
    /// Whether bytes were received that belong to no request yet.
    heard: AtomicBool,
    /// Whether an HTTP/2 frame, or a request's header fields, are incomplete.
    half: AtomicBool,
    /// Whether requests share the connection (HTTP/2), so that its bytes belong to no single request.
    shared: AtomicBool,
    /// Whether the peer has closed its half.
    ended: AtomicBool,
    /// Cancelled when the peer has closed its half, for requests that wait for something to happen.
    hangup: CancellationToken,
    /// The connection's waker, for the same.
    reader: AtomicWaker,
    /// The waker of an HTTP/1.1 body that waits for more.
    body: AtomicWaker,
    /// Bytes of an incomplete head (HTTP/1.1).
    raw: Mutex<Charge>,
    /// A request that was refused before it could be read, not yet reported.
    unread: Mutex<Option<Unread>>,
    refused: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request.
    Idle,
    /// A request's head is being received, or nothing was received since the start.
    Head,
    /// The service is working; it has its own timeout.
    Serving,
    /// The response is being sent.
    Answering,
}

impl Pulse {
    /// `raw` is the account of the peer; `hangup` is cancelled once it sends nothing more.
    pub(super) fn new(raw: Charge, hangup: CancellationToken) -> Self {
        Self {
            serving: AtomicU32::default(),
            answering: AtomicU32::default(),
            arriving: AtomicU32::default(),
            owed: AtomicU32::default(),
            begun: AtomicU32::default(),
            written: AtomicU32::default(),
            heard: AtomicBool::default(),
            half: AtomicBool::default(),
            shared: AtomicBool::default(),
            ended: AtomicBool::default(),
            hangup,
            reader: AtomicWaker::new(),
            body: AtomicWaker::new(),
            raw: Mutex::new(raw),
            unread: Mutex::default(),
            refused: AtomicBool::default(),
        }
    }

    /// The phase, and a mark that changes where time starts again within it.
    pub(super) fn poll_phase(&self) -> (Phase, u32) {
        let begun = self.begun();
        let shared = self.shared.load(Relaxed);
        if self.serving.load(Relaxed) > 0 {
            (Phase::Serving, begun)
        } else if self.answering.load(Relaxed) > 0 {
            (Phase::Answering, self.written.load(Relaxed))
        } else if begun == 0 || if shared { &self.half } else { &self.heard }.load(Relaxed) {
            (Phase::Head, begun)
        } else {
            // The last answer may still leave from the connection's buffer. On
            // a shared connection writes are pings, too, and tell nothing.
            let written = if shared { 0 } else { self.written.load(Relaxed) };
            (Phase::Idle, begun.wrapping_add(written))
        }
    }

    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    /// A request's head is complete, of so many bytes.
    ///
    /// # Errors
    /// If the budget has no room for them; the request is in flight anyway.
    pub(super) fn begin(
        self: &Arc<Self>,
        shared: bool,
        bytes: usize,
    ) -> (InFlight, Result<(), Spent>) {
        self.begun.fetch_add(1, Relaxed);
        self.serving.fetch_add(1, SeqCst);
        self.heard.store(false, Relaxed);
        if shared {
            self.shared.store(true, Relaxed);
        }
        let mut charge = self.raw.lock().split();
        let room = charge.resize(bytes);
        (InFlight { pulse: self.clone(), answering: false, _charge: charge }, room)
    }

    /// Bytes have come, after which a frame of HTTP/2 is `half` there or is not.
    ///
    /// # Errors
    /// If the budget has no room for a head.
    pub(super) fn hear(&self, bytes: usize, half: bool) -> Result<(), Spent> {
        self.heard.store(true, Relaxed);
        self.half.store(half, Relaxed);
        // While a request is in flight it is the request's body, and counted or thrown away as that.
        let body = self.serving.load(Relaxed) > 0 || self.arriving.load(Relaxed) > 0;
        if body || self.shared.load(Relaxed) {
            return Ok(());
        }
        self.raw.lock().take(bytes)
    }

    /// Whether the beginning of a request is still awaited.
    pub(super) fn is_between(&self) -> bool {
        !self.heard.load(Relaxed)
    }

    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Relaxed);
    }

    /// To be called when everything passed on was sent.
    pub(super) fn flushed(&self) {
        if self.owed.load(SeqCst) > 0 && self.owed.fetch_sub(1, SeqCst) == 1 {
            self.tell_end();
        }
    }

    /// Whether nothing is asked or still to be written: what is written then on
    /// an HTTP/1.1 connection is not an answer of the service.
    pub(super) fn owes_nothing(&self) -> bool {
        !self.is_busy() && self.owed.load(Relaxed) < FLUSHES && !self.shared.load(Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.serving.load(SeqCst) > 0 || self.answering.load(SeqCst) > 0
    }

    /// The peer sends nothing more. Ready once the connection may know: it would
    /// take that for the end of the whole connection, and a peer that has only
    /// closed its own half still waits for its answers. A peer that is gone resets
    /// the connection instead.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended.swap(true, SeqCst) {
            self.hangup.cancel();
        }
        self.reader.register(cx.waker());
        self.body.wake();
        let waits = self.is_busy() || self.owed.load(SeqCst) > 0;
        if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Whether the peer sends nothing more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn tell_end(&self) {
        if self.ended.load(SeqCst) {
            self.reader.wake();
        }
    }

    /// A request was refused before it could be read.
    pub(super) fn refuse(&self, unread: Unread) {
        *self.unread.lock() = Some(unread);
        self.refused.store(true, Relaxed);
    }

    /// Once.
    pub(super) fn take_refused(&self) -> Option<Unread> {
        if !self.refused.load(Relaxed) {
            return None;
        }
        self.refused.store(false, Relaxed);
        self.unread.lock().take()
    }
}

/// One request in flight, until dropped.
pub(super) struct InFlight {
    pulse: Arc<Pulse>,
    answering: bool,
    _charge: Charge,
}

impl InFlight {
    /// The service is done; the answer goes out.
    pub(super) fn answer<B>(mut self, body: Answer<B>) -> Tracked<B> {
        self.answering = true;
        self.pulse.answering.fetch_add(1, SeqCst);
        self.pulse.serving.fetch_sub(1, SeqCst);
        Tracked { body, _in_flight: self }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let pulse = &self.pulse;
        // Before the count, so that no reader sees both absent.
        pulse.owed.store(FLUSHES, SeqCst);
        let count = if self.answering { &pulse.answering } else { &pulse.serving };
        count.fetch_sub(1, SeqCst);
        // What came meanwhile was the body.
        pulse.heard.store(false, Relaxed);
        pulse.tell_end();
    }
}

/// An answer's body: the service's, or the server's own in its place.
pub(super) enum Answer<B> {
    Service(B),
    Own(Full<Bytes>),
}

/// A response's body that tells when it is wholly taken.
pub(super) struct Tracked<B> {
    body: Answer<B>,
    _in_flight: InFlight,
}

impl<B: Body<Data = Bytes, Error: Into<BodyFailure>> + Unpin> Body for Tracked<B> {
    type Data = Bytes;
    type Error = BodyFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        match &mut self.body {
            Answer::Service(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| Some(frame?.map_err(Into::into)))
            }
            Answer::Own(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| Some(frame?.map_err(|no| match no {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Answer::Service(body) => body.is_end_stream(),
            Answer::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Answer::Service(body) => body.size_hint(),
            Answer::Own(body) => body.size_hint(),
        }
    }
}

/// Tells of a request's body, as long as it is not there.
pub(super) struct Arrival(Option<Arc<Pulse>>);

impl Arrival {
    /// `open`: there is a body, and it is of HTTP/1.1.
    pub(super) fn new(pulse: &Arc<Pulse>, open: bool) -> Self {
        if open {
            pulse.arriving.fetch_add(1, SeqCst);
        }
        Self(open.then(|| pulse.clone()))
    }

    /// Of a body that nobody waits for.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Whether the rest of the body will never come. Asked where nothing of it is
    /// there: the library reads the end only behind all that came before.
    pub(super) fn is_cut(&self, cx: &Context<'_>) -> bool {
        let Some(pulse) = &self.0 else { return false };
        pulse.body.register(cx.waker());
        pulse.ended.load(SeqCst)
    }

    pub(super) fn end(&mut self) {
        if let Some(pulse) = self.0.take() {
            pulse.arriving.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.end();
    }
}
