//! Ends an event's suspicion once its row says what became of it.
use std::sync::Arc;

use hookwright_plugins::Suspect;
use hookwright_store::WorkQueue;

/// To be called after the store was told. Where it can't be flushed, the event stays a suspect.
pub(super) async fn clear(suspect: Option<Suspect>, store: &Arc<dyn WorkQueue>) {
    let Some(suspect) = suspect else { return };
    let store = store.clone();
    let cleared = tokio::task::spawn_blocking(move || {
        if store.flush().is_ok() {
            suspect.clear();
        }
    });
    if let Err(panic) = cleared.await {
        tracing::error!(%panic, "an event stays under suspicion");
    }
}
