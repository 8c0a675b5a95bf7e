//! Who waits for room in the queue of outcomes, and is woken when something has left it.
use tokio::sync::Notify;

/// Costs a look at an atomic where nobody waits.
#[derive(Default)]
pub(crate) struct Room(Notify);

impl Room {
    pub(crate) fn changed(&self) {
        self.0.notify_waiters();
    }

    /// Waits until it holds; it is looked at again after each change.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
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
