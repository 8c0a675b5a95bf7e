//! Whether the store's threads live: one that panicked ends the store, and says so.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::watch;

/// The first thread that ended where it should not.
pub(super) struct Vitals(watch::Sender<Option<&'static str>>);

/// Held by a thread for as long as it runs.
pub(super) struct Alive {
    thread: &'static str,
    vitals: Arc<Vitals>,
}

impl Vitals {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(None)))
    }

    pub(super) fn alive(self: &Arc<Self>, thread: &'static str) -> Alive {
        Alive { thread, vitals: self.clone() }
    }

    /// The thread whose end ended the store.
    pub(super) fn dead(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    /// Resolves once a thread has ended so, and never where all end in order.
    pub(super) async fn died(self: Arc<Self>) -> String {
        let mut watched = self.0.subscribe();
        let dead = watched.wait_for(Option::is_some).await.map(|dead| *dead);
        match dead {
            Ok(Some(thread)) => format!("the store's thread `{thread}` panicked"),
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if std::thread::panicking() {
            hookwright_model::metrics::task_panicked(self.thread);
            let thread = self.thread;
            tracing::error!(
                thread,
                "a thread of the store panicked: no more events are taken; a restart reads on from the journal"
            );
            self.vitals.0.send_if_modified(|dead| {
                let first = dead.is_none();
                *dead = dead.or(Some(thread));
                first
            });
        }
    }
}

/// Work that nothing depends on for long: a panic of it is told, and it is done
/// again at its next turn.
pub(super) fn guarded(thread: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        hookwright_model::metrics::task_panicked(thread);
        tracing::error!(thread, "a thread of the store panicked; it goes on with its next turn");
    }
}
