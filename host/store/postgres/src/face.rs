//! What the store answers to each part of its face. Everything runs on the store's own threads.
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookwright_model::{EventId, EventState, ReplayJob, StateRow};
use hookwright_store::{
    Answer, AppendFuture, Backlog, Backup, Claim, Condition, Conditions, DiedFuture, DuePage,
    EventDetail, EventLog, EventQuery, EventRow, Fault, FeedPage, Found, GivenUp, Jobs,
    Maintenance, NewEvent, PluginState, Purged, Queries, RoomFuture, Routed, Settled, StoreError,
    UnroutedPage, Usage, WorkQueue,
};

use super::apply::{Op, ROOM};
use super::batch::leaves_as_it_came;
use super::claims::{self, Claimed};
use super::engine::Engine;
use super::open::{self, Postgres};
use super::{changes, kept, maintenance, queries};

impl Postgres {
    /// Runs it, unless the store is closed.
    fn answer<'a, T, W, F>(&self, work: W) -> Answer<'a, T>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Engine>) -> F,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if self.engine.is_closed() {
            return Box::pin(std::future::ready(Err(StoreError::Closed)));
        }
        let running = self.spawn(work(Arc::clone(&self.engine)));
        Box::pin(async move { running.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// A read that sees what was handed in before; where that can't be recorded, what was before that.
    fn read<'a, T, W, F>(&self, work: W) -> Answer<'a, T>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Engine>) -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.answer(|engine| async move {
            // Its failure is told to those who hand in and who claim.
            let _ = engine.barrier().await;
            work(engine).await
        })
    }
}

impl EventLog for Postgres {
    fn append(&self, event: NewEvent) -> AppendFuture {
        self.engine.appends.append(event)
    }

    fn fullness(&self) -> f32 {
        self.engine.appends.fullness()
    }
}

impl WorkQueue for Postgres {
    fn room(&self) -> Option<RoomFuture> {
        let engine = Arc::clone(&self.engine);
        let has_room =
            move || engine.unrecorded.load(Ordering::Relaxed) < ROOM || engine.is_closed();
        if has_room() {
            return None;
        }
        let engine = Arc::clone(&self.engine);
        Some(Box::pin(async move { engine.room.until(has_room).await }))
    }

    fn routed(&self, routed: Routed) -> Result<(), StoreError> {
        let at_once = routed.first && routed.state == EventState::Routed;
        let plain = routed.deliveries.iter().filter(|one| at_once && leaves_as_it_came(one));
        let ready: Vec<_> = plain.cloned().collect();
        // First, so that an attempt which ends soon comes behind it.
        self.engine.hand_in(Op::Routed(Box::new(routed), at_once))?;
        if !ready.is_empty() {
            self.engine.handoff.ready(ready);
        }
        Ok(())
    }

    fn settled(&self, settled: Settled) -> Result<(), StoreError> {
        self.engine.hand_in(Op::Settled(settled))
    }

    fn given_up(&self, given_up: GivenUp) -> Result<(), StoreError> {
        self.engine.hand_in(Op::GivenUp(given_up))
    }

    fn recorded(&self) -> Answer<'_, ()> {
        self.answer(|engine| async move { engine.barrier().await })
    }

    fn claim_events<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, UnroutedPage> {
        let claimed = claimed(claim);
        self.answer(|engine| async move {
            engine.barrier().await?;
            claims::events(&engine, claimed?).await
        })
    }

    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage> {
        let claimed = claimed(claim);
        self.answer(|engine| async move {
            engine.barrier().await?;
            claims::deliveries(&engine, claimed?).await
        })
    }

    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64> {
        let destination = destination.map(str::to_owned);
        self.answer(move |engine| changes::rein_in(engine, destination, now_ms, longest))
    }

    fn replay<'a>(&'a self, event: EventId, destination: Option<&'a str>) -> Answer<'a, bool> {
        match destination.map(str::to_owned) {
            None => self.answer(move |engine| changes::replay_event(engine, event)),
            Some(name) => self.answer(move |engine| changes::replay_delivery(engine, event, name)),
        }
    }

    fn discard<'a>(&'a self, destination: &'a str, cause: &'a str, most: usize) -> Answer<'a, u64> {
        let (destination, cause) = (destination.to_owned(), cause.to_owned());
        self.answer(move |engine| changes::discard(engine, destination, cause, most))
    }
}

fn claimed(claim: Claim<'_>) -> Result<Claimed, StoreError> {
    let Claim { of, now_ms, after, limit } = claim;
    Ok(Claimed { of: of.to_owned(), now_ms, after: claims::place(after)?, limit })
}

impl Queries for Postgres {
    fn events<'a>(&'a self, query: &'a EventQuery) -> Answer<'a, Vec<EventRow>> {
        let query = query.clone();
        self.read(|engine| async move { queries::list(&engine, &query).await })
    }

    fn search<'a>(&'a self, query: &'a EventQuery, text: &'a str) -> Answer<'a, Found> {
        let (query, text) = (query.clone(), text.to_owned());
        self.read(|engine| async move { queries::search(&engine, &query, &text).await })
    }

    fn feed<'a>(
        &'a self,
        query: &'a EventQuery,
        after: Option<EventId>,
    ) -> Answer<'a, Option<FeedPage>> {
        let query = query.clone();
        self.read(move |engine| async move { queries::feed(&engine, query, after).await })
    }

    fn event(&self, id: EventId) -> Answer<'_, Option<EventDetail>> {
        self.read(move |engine| async move { queries::detail(&engine, id).await })
    }

    fn backlog(&self) -> Answer<'_, Vec<Backlog>> {
        self.read(|engine| async move { queries::backlog(&engine).await })
    }
}

impl PluginState for Postgres {
    fn state(&self) -> Answer<'_, Vec<StateRow>> {
        self.read(|engine| async move { kept::state(&engine).await })
    }
}

impl Maintenance for Postgres {
    fn usage(&self) -> Answer<'_, Usage> {
        self.read(|engine| async move { maintenance::usage(&engine).await })
    }

    fn purge(&self, before_ms: u64) -> Answer<'_, Purged> {
        self.answer(move |engine| changes::purge(engine, before_ms))
    }

    fn backup<'a>(&'a self, _: &'a Path) -> Answer<'a, Backup> {
        self.answer(|_| async {
            let why = "the events are in PostgreSQL: back them up there, with pg_dump or the server's own backups";
            Err(StoreError::Failed(why.into()))
        })
    }

    fn healthy(&self) -> bool {
        self.engine.is_healthy()
    }

    fn faults(&self) -> Answer<'_, Vec<Fault>> {
        // The server looks after its files, and says so where one is damaged.
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn died(&self) -> DiedFuture {
        let mut death = self.engine.death();
        Box::pin(async move {
            let why = death.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
            match why {
                Some(why) => why,
                // It was closed in order.
                None => std::future::pending().await,
            }
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        if !self.engine.shut() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (engine, tasks) = (Arc::clone(&self.engine), self.take_tasks());
        let running = self.spawn(open::close(engine, tasks));
        Box::pin(async move { running.await.unwrap_or(Err(StoreError::Closed)) })
    }
}

impl Conditions for Postgres {
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>> {
        self.answer(|engine| async move { kept::conditions(&engine).await })
    }

    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()> {
        let (destination, condition) = (destination.to_owned(), condition.clone());
        self.answer(
            |engine| async move { kept::set_condition(&engine, &destination, &condition).await },
        )
    }
}

impl Jobs for Postgres {
    fn put_replay<'a>(&'a self, job: &'a ReplayJob) -> Answer<'a, ()> {
        let job = job.clone();
        self.answer(|engine| async move { kept::put_replay(&engine, &job).await })
    }

    fn replays(&self) -> Answer<'_, Vec<ReplayJob>> {
        self.answer(|engine| async move { kept::replays(&engine).await })
    }
}
