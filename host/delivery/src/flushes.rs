//! One flush of the store for all lanes that want one: with many lanes at work it would be done without end.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use hookwright_model::tasks::Tasks;
use hookwright_store::{Store, StoreError};

/// From the beginning of one flush to that of the next, at least: a flush
/// commits what could have waited for company, and holds hand-offs up.
const SPACING: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(super) struct Flushes {
    store: Arc<dyn Store>,
    tasks: Tasks,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Those that want a flush which begins after this moment.
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// Somebody flushes, and looks here again before ending.
    flushing: bool,
    began: Option<Instant>,
}

impl Flushes {
    pub(super) fn new(store: Arc<dyn Store>, tasks: Tasks) -> Self {
        Self { store, tasks, state: Arc::default() }
    }

    /// Everything that the store was told before this call is in its rows then.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let (done, flushed) = oneshot::channel();
        let first = {
            let mut state = self.state.lock();
            state.waiting.push(done);
            !std::mem::replace(&mut state.flushing, true)
        };
        if first {
            self.tasks.spawn_piece(self.clone().work());
        }
        flushed.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn work(self) {
        loop {
            let began = self.state.lock().began;
            if let Some(began) = began {
                tokio::time::sleep_until(began + SPACING).await;
            }
            let waiting = {
                let mut state = self.state.lock();
                state.flushing = !state.waiting.is_empty();
                if !state.flushing {
                    return;
                }
                state.began = Some(Instant::now());
                std::mem::take(&mut state.waiting)
            };
            let store = self.store.clone();
            let flushed = tokio::task::spawn_blocking(move || store.flush()).await;
            let flushed = flushed.unwrap_or(Err(StoreError::Closed));
            for done in waiting {
                let _ = done.send(flushed.clone());
            }
        }
    }
}
