//! Events whose next try a clock that was ahead has put off for years.
use std::sync::Arc;

use super::{IDLE, Lane};
use hookwright_store::StoreError;

impl Lane {
    /// At the start, and once the clock was set back: no event waits to be
    /// routed for longer than a lane without work does.
    pub(super) async fn rein_in(self: Arc<Self>, now_ms: u64) {
        let lane = self.clone();
        let rein = move || lane.parts.store.rein_in(None, now_ms, IDLE);
        match tokio::task::spawn_blocking(rein).await {
            Ok(Ok(0) | Err(StoreError::Closed)) => {}
            Ok(Ok(reined)) => {
                tracing::warn!(
                    reined,
                    "events waited for a time that a wrong clock gave them; they are due now"
                );
                self.work.lock().behind = true;
            }
            Ok(Err(error)) => tracing::warn!(%error, "can't look for events that wait too long"),
            Err(error) => tracing::error!(%error, "looking for events that wait too long panicked"),
        }
    }
}
