//! Who waits for room in an engine's queues, and is woken when something has left them.
use tokio::sync::Notify;

/// For engines: where callers of [`WorkQueue::room`](crate::WorkQueue::room) wait.
///
/// A change that nobody waits for costs a look at an atomic.
#[derive(Debug, Default)]
pub struct Room(Notify);

impl Room {
    /// Wakes all who wait: something has left a queue, or the engine ends.
    pub fn changed(&self) {
        self.0.notify_waiters();
    }

    /// Waits until it holds; it is looked at again after each change.
    pub async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.notified());
            // Before the look, so that no change falls between the two.
            changed.as_mut().enable();
            if holds() {
                return;
            }
            changed.await;
        }
    }
}
