//! What the engine answers to each part of the store's face.
//!
//! The engine's own calls read SQLite or wait for one of its threads, so they
//! block; here each runs on a thread for blocking work.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::cursor::DueCursor;
use super::engine::Embedded;
use super::flushes::Flushes;
use super::unrecorded::Slot;
use hookwright_model::{EventId, ReplayJob, StateRow};
use hookwright_store::{
    Answer, AppendFuture, Backlog, Backup, Claim, Condition, Conditions, DiedFuture, DuePage,
    EventDetail, EventLog, EventQuery, EventRow, Fault, FeedPage, Found, GivenUp, Jobs,
    Maintenance, NewEvent, PluginState, Purged, Queries, RoomFuture, Routed, Settled, StoreError,
    UnroutedPage, Usage, WorkQueue,
};

/// Claims of deliveries that read rows at the same time: ten thousand lanes
/// must not take every thread for blocking work.
const CLAIMS: usize = 4;

/// The open store, as its callers have it. Its calls need a tokio runtime.
pub(super) struct Face {
    engine: Arc<Embedded>,
    pub(super) flushes: Arc<Flushes>,
    claims: Semaphore,
}

impl Face {
    pub(super) fn new(engine: Embedded) -> Self {
        Self { engine: Arc::new(engine), flushes: Arc::default(), claims: Semaphore::new(CLAIMS) }
    }

    /// Does it on a thread for blocking work, to its end even where nobody waits any more.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Embedded) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'static, T> {
        let engine = Arc::clone(&self.engine);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || work(&engine)).await {
                Ok(done) => done,
                Err(error) if error.is_cancelled() => Err(StoreError::Closed),
                Err(panic) => Err(StoreError::Failed(panic.to_string().into())),
            }
        })
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.flushes.flush(&self.engine).await
    }

    /// Waits until nothing that was handed in before and concerns the source or destination is unrecorded. Mostly that
    /// is so, and costs a look at an atomic.
    async fn settle(&self, slot: Slot) -> Result<(), StoreError> {
        if self.engine.unrecorded.has(slot) { self.flush().await } else { Ok(()) }
    }
}

fn unless_closed(taken: bool) -> Result<(), StoreError> {
    if taken { Ok(()) } else { Err(StoreError::Closed) }
}

impl EventLog for Face {
    fn append(&self, event: NewEvent) -> AppendFuture {
        self.engine.append(event)
    }

    fn fullness(&self) -> f32 {
        self.engine.fullness()
    }
}

impl WorkQueue for Face {
    fn room(&self) -> Option<RoomFuture> {
        self.engine.room()
    }

    fn routed(&self, routed: Routed) -> Result<(), StoreError> {
        unless_closed(self.engine.routed(routed))
    }

    fn settled(&self, settled: Settled) -> Result<(), StoreError> {
        unless_closed(self.engine.settled(settled))
    }

    fn given_up(&self, given_up: GivenUp) -> Result<(), StoreError> {
        unless_closed(self.engine.given_up(given_up))
    }

    fn recorded(&self) -> Answer<'_, ()> {
        Box::pin(self.flush())
    }

    fn claim_events<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, UnroutedPage> {
        Box::pin(async move {
            self.settle(Slot::source(claim.of)).await?;
            let after = claim.after.map(DueCursor::try_from).transpose()?;
            let (source, now_ms, limit) = (claim.of.to_owned(), claim.now_ms, claim.limit);
            let mut page =
                self.blocking(move |engine| engine.unrouted(&source, now_ms, after, limit)).await?;
            page.next = page
                .events
                .last()
                .map(|last| DueCursor { due_ms: last.due_ms, row: last.event.id.row() }.into());
            Ok(page)
        })
    }

    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage> {
        Box::pin(async move {
            self.settle(Slot::destination(claim.of)).await?;
            let after = claim.after.map(DueCursor::try_from).transpose()?;
            let _permit = self.claims.acquire().await.map_err(|_| StoreError::Closed)?;
            let (destination, now_ms, limit) = (claim.of.to_owned(), claim.now_ms, claim.limit);
            let mut page =
                self.blocking(move |engine| engine.due(&destination, now_ms, after, limit)).await?;
            page.next = page
                .deliveries
                .last()
                .map(|last| DueCursor { due_ms: last.due_ms, row: last.event.id.row() }.into());
            Ok(page)
        })
    }

    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64> {
        Box::pin(async move {
            match destination {
                Some(name) => self.settle(Slot::destination(name)).await?,
                None if self.engine.unrecorded.has_sources() => self.flush().await?,
                None => {}
            }
            let destination = destination.map(str::to_owned);
            let rein =
                move |engine: &Embedded| engine.rein_in(destination.as_deref(), now_ms, longest);
            self.blocking(rein).await
        })
    }

    fn replay<'a>(&'a self, event: EventId, destination: Option<&'a str>) -> Answer<'a, bool> {
        let destination = destination.map(str::to_owned);
        self.blocking(move |engine| engine.replay(event, destination.as_deref()))
    }

    fn discard<'a>(&'a self, destination: &'a str, cause: &'a str, most: usize) -> Answer<'a, u64> {
        let (destination, cause) = (destination.to_owned(), cause.to_owned());
        self.blocking(move |engine| engine.discard(&destination, &cause, most))
    }
}

impl Queries for Face {
    fn events<'a>(&'a self, query: &'a EventQuery) -> Answer<'a, Vec<EventRow>> {
        let query = query.clone();
        self.blocking(move |engine| engine.events(&query))
    }

    fn search<'a>(&'a self, query: &'a EventQuery, text: &'a str) -> Answer<'a, Found> {
        let (query, text) = (query.clone(), text.to_owned());
        self.blocking(move |engine| engine.search(&query, &text))
    }

    fn feed<'a>(
        &'a self,
        query: &'a EventQuery,
        after: Option<EventId>,
    ) -> Answer<'a, Option<FeedPage>> {
        let query = query.clone();
        self.blocking(move |engine| engine.feed(&query, after))
    }

    fn event(&self, id: EventId) -> Answer<'_, Option<EventDetail>> {
        self.blocking(move |engine| engine.event(id))
    }

    fn backlog(&self) -> Answer<'_, Vec<Backlog>> {
        self.blocking(Embedded::backlog)
    }
}

impl PluginState for Face {
    fn state(&self) -> Answer<'_, Vec<StateRow>> {
        self.blocking(Embedded::state)
    }
}

impl Maintenance for Face {
    fn usage(&self) -> Answer<'_, Usage> {
        self.blocking(Embedded::usage)
    }

    fn purge(&self, before_ms: u64) -> Answer<'_, Purged> {
        self.blocking(move |engine| engine.purge(before_ms))
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, Backup> {
        let to = to.to_owned();
        self.blocking(move |engine| engine.backup(&to))
    }

    fn healthy(&self) -> bool {
        self.engine.healthy()
    }

    fn faults(&self) -> Answer<'_, Vec<Fault>> {
        self.blocking(|engine| Ok(engine.faults()))
    }

    fn died(&self) -> DiedFuture {
        self.engine.died()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.blocking(|engine| {
            engine.close();
            Ok(())
        })
    }
}

impl Conditions for Face {
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>> {
        self.blocking(Embedded::conditions)
    }

    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()> {
        let (destination, condition) = (destination.to_owned(), condition.clone());
        self.blocking(move |engine| engine.set_condition(&destination, &condition))
    }
}

impl Jobs for Face {
    fn put_replay<'a>(&'a self, job: &'a ReplayJob) -> Answer<'a, ()> {
        let job = job.clone();
        self.blocking(move |engine| engine.put_replay(&job))
    }

    fn replays(&self) -> Answer<'_, Vec<ReplayJob>> {
        self.blocking(Embedded::replays)
    }
}
