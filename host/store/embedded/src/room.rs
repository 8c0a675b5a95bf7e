//! Who waits for room in the queues, and is woken when something has left them.
use tokio::sync::Notify;

/// Costs a look at an atomic where nobody waits.
#[derive(Default)]
pub(super) struct Room(Notify);

impl Room {
    pub(super) fn changed(&self) {
        self.0.notify_waiters();
    }

    /// Waits until it holds; it is looked at again after each change.
    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
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
