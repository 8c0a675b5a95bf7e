//! One flush of the engine for all callers that want one at about the same time.
//!
//! With ten thousand lanes at work the engine would else be flushed without end.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Embedded;
use hookwright_store::StoreError;

/// From the beginning of one flush to that of the next, at least: a flush
/// commits what could have waited for others, and holds hand-offs up.
const SPACING: Duration = Duration::from_millis(10);

/// What was handed in, and what of it is known to be recorded.
#[derive(Default)]
pub(super) struct Recorded {
    /// Counts what was handed in; raised once it is in a queue.
    handed_in: AtomicU64,
    /// What `handed_in` was when the last flush that succeeded began.
    recorded: AtomicU64,
    waiting: Mutex<Waiting>,
    #[cfg(test)]
    pub(super) flushes: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// Those that want a flush which begins after this moment.
    callers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// A task flushes, and looks here again before it ends.
    flushing: bool,
    began: Option<Instant>,
}

impl Recorded {
    /// To be called after something has entered a queue.
    pub(super) fn handed_in(&self) {
        self.handed_in.fetch_add(1, Ordering::Release);
    }

    /// Whether nothing was handed in that no flush has seen.
    pub(super) fn is_current(&self) -> bool {
        self.handed_in.load(Ordering::Acquire) == self.recorded.load(Ordering::Acquire)
    }

    /// Resolves once all that was handed in before this call is committed and
    /// handed on. Needs a tokio runtime.
    pub(super) async fn flush(self: &Arc<Self>, store: &Arc<Embedded>) -> Result<(), StoreError> {
        let (done, flushed) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.callers.push(done);
            !std::mem::replace(&mut waiting.flushing, true)
        };
        if first {
            // Of its own: the caller may be dropped, and others wait for the same flush.
            tokio::spawn(Arc::clone(self).work(Arc::clone(store)));
        }
        flushed.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn work(self: Arc<Self>, store: Arc<Embedded>) {
        loop {
            let began = self.waiting.lock().began;
            if let Some(began) = began {
                tokio::time::sleep_until(began + SPACING).await;
            }
            let callers = {
                let mut waiting = self.waiting.lock();
                waiting.flushing = !waiting.callers.is_empty();
                if !waiting.flushing {
                    return;
                }
                waiting.began = Some(Instant::now());
                std::mem::take(&mut waiting.callers)
            };
            let seen = self.handed_in.load(Ordering::Acquire);
            #[cfg(test)]
            self.flushes.fetch_add(1, Ordering::SeqCst);
            let engine = Arc::clone(&store);
            let flushed = tokio::task::spawn_blocking(move || engine.flush()).await;
            let flushed = flushed.unwrap_or(Err(StoreError::Closed));
            if flushed.is_ok() {
                self.recorded.store(seen, Ordering::Release);
            }
            for done in callers {
                let _ = done.send(flushed.clone());
            }
        }
    }
}
