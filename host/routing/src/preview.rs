//! Previews: the outcome that routing an event would have now, without recording it.
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::pipeline::Pipeline;
use super::run::{self, Outcome, Turn};
use super::services::Services;
use hookwright_model::Event;
use hookwright_plugins::{CallMode, PoisonSuspect};
use hookwright_store::Routed;

/// Previews in flight or waiting, at most; those beyond are refused.
const PREVIEWS: usize = 16;
/// Previews that call plugins at a time.
const AT_ONCE: usize = 4;

/// Bounds the previews of all sources.
pub(super) struct Previews {
    permits: Semaphore,
    at_once: Semaphore,
}

/// Why a preview is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewRefused {
    /// The settings no longer have the event's source.
    NoSource,
    /// Too many previews are in flight.
    Busy,
}

impl Default for Previews {
    fn default() -> Self {
        Self { permits: Semaphore::new(PREVIEWS), at_once: Semaphore::new(AT_ONCE) }
    }
}

impl Previews {
    /// Calls the pipeline's plugins; their writes to state are discarded.
    pub(super) async fn run(
        &self,
        pipeline: &Pipeline,
        services: &Services,
        event: &Arc<Event>,
    ) -> Result<Routed, PreviewRefused> {
        // Each preview holds its event in memory, even while it waits.
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(PreviewRefused::Busy);
        };
        let Ok(_turn) = self.at_once.acquire().await else {
            return Err(PreviewRefused::Busy);
        };
        // An event that may crash the host is asked about alone, and stays suspected.
        let suspect = services.plugins.isolate(event.id).await;
        if let Some(why) = suspect.as_ref().and_then(PoisonSuspect::poison) {
            return Ok(Routed::parked(event.clone(), why.to_owned()));
        }
        let turn = Turn { replay: true, mode: CallMode::Preview, tries: 0 };
        let Outcome { routed, changes, reply: _ } = run::run(pipeline, services, event, turn).await;
        drop(changes);
        Ok(routed)
    }
}
