//! Drops finished events once they are old enough.
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use hookwright_model::clock::{Clock, millis};
use hookwright_model::tasks::Tasks;
use hookwright_settings::Retention;
use hookwright_store::{EventQuery, Maintenance, Queries, StoreError};

/// Where a purge would drop the newest event too, nothing is dropped for so long
/// but what is old by that event's time: it may be that nothing came for that
/// long, or that the clock is wrong.
const HOLD: Duration = Duration::from_secs(24 * 3_600);
/// Unless it is only so much older than what is kept: a short `keep` is meant.
const NEWEST_MS: u64 = 24 * 3_600_000;

/// Purges until the stop: `queries` tells the newest event, `maintenance` drops what is old.
pub fn start(
    settings: Retention,
    queries: Arc<dyn Queries>,
    maintenance: Arc<dyn Maintenance>,
    clock: Clock,
    tasks: &Tasks,
) {
    let stop = tasks.stopping();
    tasks.spawn("retention", async move {
        let mut purges = Purges { settings, queries, maintenance, clock, held: None, told: false };
        let mut ticks = tokio::time::interval(purges.settings.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => purges.purge().await,
            }
        }
    });
}

struct Purges {
    settings: Retention,
    queries: Arc<dyn Queries>,
    maintenance: Arc<dyn Maintenance>,
    clock: Clock,
    /// Since when a purge that would drop everything waits, and the newest event's time.
    held: Option<(Instant, u64)>,
    /// That the clock is not believed.
    told: bool,
}

impl Purges {
    async fn purge(&mut self) {
        let mut sure_ms = self.clock.sure_ms();
        let jumped_ms = self.clock.now_ms().saturating_sub(sure_ms);
        if jumped_ms > 0 && !self.told {
            tracing::warn!(
                jumped_ms,
                "the clock has jumped ahead; for a day nothing is dropped for the age that it gives"
            );
        }
        self.told = jumped_ms > 0;
        let was_held = self.held.is_some();
        self.held = self.held.filter(|(since, _)| since.elapsed() < HOLD);
        if let Some((since, newest_ms)) = self.held {
            sure_ms = sure_ms.min(newest_ms.saturating_add(millis(since.elapsed())));
        }
        let before_ms = sure_ms.saturating_sub(millis(self.settings.keep));
        let purged = match newest_if_all_go(self.queries.as_ref(), before_ms).await {
            Ok(Some(newest_ms)) if !was_held => Ok(Err(newest_ms)),
            Ok(_) => self.maintenance.purge(before_ms).await.map(Ok),
            Err(error) => Err(error),
        };
        match purged {
            Ok(Err(newest_ms)) => {
                tracing::warn!(
                    "every event is older than the retention by a day or more; a purge would \
                     leave none, so it waits for a day in case the clock is wrong"
                );
                self.held = Some((Instant::now(), newest_ms));
            }
            Ok(Ok(purged)) => {
                let (events, bytes, kept) = (purged.events, purged.bytes, purged.kept);
                if events > 0 {
                    tracing::info!(events, bytes, kept, "purged events older than the retention");
                }
            }
            Err(StoreError::Closed) => {}
            // The store tells of it, once and not at each interval.
            Err(error) => {
                tracing::debug!(%error, "purge failed; next try at the next interval")
            }
        }
    }
}

/// The newest event's time, where even that event would go, and by far.
async fn newest_if_all_go(
    queries: &dyn Queries,
    before_ms: u64,
) -> Result<Option<u64>, StoreError> {
    let newest = queries.events(&EventQuery { limit: 1, ..EventQuery::default() }).await?;
    let newest_ms = newest.first().map(|one| one.received_ms);
    Ok(newest_ms.filter(|newest_ms| newest_ms.saturating_add(NEWEST_MS) < before_ms))
}
