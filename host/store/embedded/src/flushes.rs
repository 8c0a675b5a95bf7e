//! One flush of the engine for all callers that want one at about the same time.
//!
//! With ten thousand lanes at work the engine would else be flushed without end.
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::engine::Embedded;
use hookwright_store::StoreError;

/// From the beginning of one flush to that of the next, at least: a flush
/// commits what could have waited for others, and holds hand-offs up.
const SPACING: Duration = Duration::from_millis(10);

/// The flushes of one engine.
#[derive(Default)]
pub(super) struct Flushes {
    waiting: Mutex<Waiting>,
    /// How many there have been.
    #[cfg(test)]
    pub(super) count: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// Those that want a flush which begins after this moment.
    callers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// A task flushes, and looks here again before it ends.
    flushing: bool,
    began: Option<Instant>,
}

impl Flushes {
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
            #[cfg(test)]
            self.count.fetch_add(1, Ordering::SeqCst);
            let engine = Arc::clone(&store);
            let flushed = tokio::task::spawn_blocking(move || engine.flush()).await;
            let flushed = flushed.unwrap_or(Err(StoreError::Closed));
            for done in callers {
                let _ = done.send(flushed.clone());
            }
        }
    }
}
