//! Background tasks: named, supervised, and drained at the end.
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks that stop together. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that must last until the stop. One that panics stops the
    /// whole group: a host with a dead part must not look alive.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        crate::metrics::task_named(name);
        self.tracker.spawn(async move {
            let mut guard = PanicGuard { name, stop, armed: true };
            task.await;
            guard.armed = false;
        });
    }

    /// Runs work that ends by itself, whoever waits for it; a panic ends only this piece.
    pub fn spawn_piece<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Resolves once a stop was asked for.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks all to stop, without waiting for them; what [`stopping`](Self::stopping) gave out is cancelled.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks all to stop and waits until they have, at most `deadline`. False
    /// where some had not.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

struct PanicGuard {
    name: &'static str,
    stop: CancellationToken,
    armed: bool,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if self.armed && std::thread::panicking() {
            crate::metrics::task_panicked(self.name);
            tracing::error!(task = self.name, "a background task panicked; stopping");
            self.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stops_the_group() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn("waits", async move { stopping.cancelled().await });
        tasks.spawn("breaks", async { panic!("as the test wants") });
        tasks.stopping().cancelled().await;
        assert!(tasks.drain(Duration::from_secs(5)).await);
    }
}
