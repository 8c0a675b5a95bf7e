//! Ends an event's suspicion once its row says what became of it.
use std::sync::Arc;

use hookwright_plugins::Suspect;
use hookwright_store::WorkQueue;

/// To be called after the outcome was handed in. Where that can't be recorded, the event stays a suspect.
pub(super) async fn clear(suspect: Option<Suspect>, store: &Arc<dyn WorkQueue>) {
    let Some(suspect) = suspect else { return };
    if store.recorded().await.is_err() {
        return;
    }
    // Writes a file.
    if let Err(panic) = tokio::task::spawn_blocking(move || suspect.clear()).await {
        tracing::error!(%panic, "an event stays under suspicion");
    }
}
