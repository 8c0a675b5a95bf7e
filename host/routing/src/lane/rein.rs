//! Events whose next try a clock that was ahead has put off for years.
use super::{IDLE, Lane};
use hookwright_store::StoreError;

impl Lane {
    /// At the start, and once the clock was set back: no event waits to be
    /// routed for longer than a lane without work does.
    pub(super) async fn rein_in(&self, now_ms: u64) {
        match self.parts.store.rein_in(None, now_ms, IDLE).await {
            Ok(0) | Err(StoreError::Closed) => {}
            Ok(reined) => {
                tracing::warn!(
                    reined,
                    "events waited for a time that a wrong clock gave them; they are due now"
                );
                self.work.lock().behind = true;
            }
            Err(error) => tracing::warn!(%error, "can't look for events that wait too long"),
        }
    }
}
