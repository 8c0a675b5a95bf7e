//! Drops finished events once they are old enough.
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, millis};
use crate::store::{Store, StoreError};
use crate::tasks::Tasks;

#[derive(Debug, Clone)]
pub struct Options {
    /// How long finished events are kept.
    pub keep: Duration,
    /// How often to look.
    pub interval: Duration,
}

/// Runs until the stop.
pub fn start(options: Options, store: Arc<dyn Store>, clock: Clock, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.spawn("retention", async move {
        let mut ticks = tokio::time::interval(options.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => purge(&options, store.clone(), &clock).await,
            }
        }
    });
}

async fn purge(options: &Options, store: Arc<dyn Store>, clock: &Clock) {
    let before_ms = clock.now_ms().saturating_sub(millis(options.keep));
    let purged = tokio::task::spawn_blocking(move || store.purge(before_ms)).await;
    match purged {
        Ok(Ok(purged)) if purged.events > 0 => {
            let (events, bytes, kept) = (purged.events, purged.bytes, purged.kept);
            tracing::info!(events, bytes, kept, "purged events older than the retention");
        }
        Ok(Ok(_) | Err(StoreError::Closed)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "purge failed; next try at the next interval"),
        Err(error) => tracing::error!(%error, "purge panicked"),
    }
}
