//! A request's body as a service gets it: bounded trailers and, where the listener says so, bounded in time and memory.
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::ErrorCode;
use super::budget::Charge;
use super::head::Limits;
use super::pulse::Arrival;

/// Why a body broke off.
#[derive(Debug)]
pub enum BodyBroken {
    /// The connection ended, or what came is not a body.
    Connection(hyper::Error),
    /// The peer closed its half of the connection within it.
    Cut,
    /// The trailers are over the limits of a head.
    Trailers,
    /// It did not come within the listener's `body_timeout`.
    Late,
    /// There is no memory for it now.
    Memory,
}

impl fmt::Display for BodyBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Cut => f.write_str("the body ended early"),
            Self::Trailers => f.write_str("the trailers are over the limits of a request's head"),
            Self::Late => f.write_str("the body did not come in time"),
            Self::Memory => f.write_str("there is no memory for the body now"),
        }
    }
}

impl std::error::Error for BodyBroken {}

impl From<hyper::Error> for BodyBroken {
    /// Over HTTP/1.1 hyper has a limit on trailers of its own, and says by its text alone that it was
    /// that: the sender is told the same as over HTTP/2.
    fn from(error: hyper::Error) -> Self {
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            let data = inner
                .downcast_ref::<std::io::Error>()
                .filter(|io| io.kind() == std::io::ErrorKind::InvalidData);
            if data.is_some_and(|io| io.to_string().starts_with("chunk trailers")) {
                return Self::Trailers;
            }
            source = inner.source();
        }
        Self::Connection(error)
    }
}

/// A request's body, as services get it.
pub struct Arriving {
    inner: Incoming,
    arrival: Arrival,
    limits: Limits,
    guard: Option<Guard>,
}

/// Bounds a body whose service does not: for all of it together.
pub(super) struct Guard {
    charge: Charge,
    within: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    verdict: Verdict,
}

/// What became of a guarded body, for the task that writes the answer.
#[derive(Clone, Default)]
pub(super) struct Verdict(Arc<AtomicU8>);

impl Verdict {
    /// Why the body was given up, where it was.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self.0.load(Relaxed) {
            1 => Some(ErrorCode::BodyTimeout),
            2 => Some(ErrorCode::MemoryFull),
            3 => Some(ErrorCode::HeadTooLarge),
            _ => None,
        }
    }
}

impl Guard {
    pub(super) fn new(charge: Charge, within: Duration) -> (Self, Verdict) {
        let verdict = Verdict::default();
        (Self { charge, within, sleep: None, verdict: verdict.clone() }, verdict)
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.within)));
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl Arriving {
    pub(super) fn new(
        inner: Incoming,
        arrival: Arrival,
        limits: Limits,
        guard: Option<Guard>,
    ) -> Self {
        Self { inner, arrival, limits, guard }
    }

    /// Any body, without a bound: for tests and fuzzing, which serve without a listener.
    pub fn unbounded(inner: Incoming) -> Self {
        Self { inner, arrival: Arrival::none(), limits: Limits::NONE, guard: None }
    }

    fn check(&mut self, frame: &Frame<Bytes>) -> Result<(), BodyBroken> {
        if let Some(trailers) = frame.trailers_ref() {
            return if self.limits.hold(trailers) { Ok(()) } else { Err(BodyBroken::Trailers) };
        }
        let (Some(guard), Some(data)) = (&mut self.guard, frame.data_ref()) else { return Ok(()) };
        guard.charge.take(data.len()).map_err(|_| BodyBroken::Memory)
    }

    /// The body ends here.
    fn broken(&mut self, error: BodyBroken) -> BodyBroken {
        self.arrival.end();
        if let Some(guard) = &self.guard {
            let code = match error {
                BodyBroken::Connection(_) | BodyBroken::Cut => 0,
                BodyBroken::Late => 1,
                BodyBroken::Memory => 2,
                BodyBroken::Trailers => 3,
            };
            guard.verdict.0.store(code, Relaxed);
        }
        error
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if polled.is_pending() && this.arrival.is_cut(cx) {
            return Poll::Ready(Some(Err(this.broken(BodyBroken::Cut))));
        }
        if polled.is_pending()
            && let Some(guard) = &mut this.guard
            && guard.is_late(cx)
        {
            return Poll::Ready(Some(Err(this.broken(BodyBroken::Late))));
        }
        let frame = match ready!(polled) {
            None => {
                this.arrival.end();
                return Poll::Ready(None);
            }
            Some(frame) => frame.map_err(BodyBroken::from),
        };
        match frame.and_then(|frame| this.check(&frame).map(|()| frame)) {
            Ok(frame) => {
                if this.inner.is_end_stream() {
                    this.arrival.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Err(error) => Poll::Ready(Some(Err(this.broken(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
