//! Closes stuck and idle connections: one timer for each connection, and no clock read for its bytes.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::pulse::{Phase, Pulse};

/// How long a half-closed peer may take to read more of its response.
const GONE: Duration = Duration::from_secs(10);

/// Why the watch closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuck {
    /// The head of a request did not arrive in time.
    Head,
    /// No request, or the response was not read.
    Idle,
    /// The response was not read by a peer that has closed its half.
    Gone,
}

/// The watch over one connection.
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
        Self { seen: pulse.poll_phase(), pulse, header_timeout, idle_timeout, since, sleep }
    }

    /// Ready once the connection is stuck. To be polled after the connection,
    /// each time that its task runs.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stuck> {
        let seen = self.pulse.poll_phase();
        if seen != self.seen {
            self.seen = seen;
            self.since = Instant::now();
        }
        // A peer that has closed its half and takes no answer is mostly gone: over
        // HTTP/2 it can't even say that it has room for more.
        let answers = matches!(seen.0, Phase::Answering | Phase::Idle);
        let gone = answers && self.pulse.is_ended();
        let limit = match seen.0 {
            Phase::Head => self.header_timeout,
            _ if gone => self.idle_timeout.min(GONE),
            _ => self.idle_timeout,
        };
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
                _ if gone => return Poll::Ready(Stuck::Gone),
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

    /// Gives a connection that was asked to close the time again.
    pub(super) fn restart(&mut self) {
        self.since = Instant::now();
    }
}
