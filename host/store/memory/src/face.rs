//! What the memory store answers to each part of the store's face.
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookwright_model::clock::millis;
use hookwright_model::{EventId, ReplayJob, StateRow};
use hookwright_store::{
    Answer, AppendError, AppendFuture, Backlog, Backup, Claim, Condition, Conditions, DuePage,
    EventDetail, EventLog, EventQuery, EventRow, Fault, FeedPage, Found, GivenUp, Jobs,
    Maintenance, NewEvent, PluginState, Purged, Queries, Routed, Settled, StoreError, UnroutedPage,
    Usage, WorkQueue,
};

use super::Memory;
use super::events::{NODE, Tables, place};

/// An answer that is there already.
fn ready<'a, T: Send + 'a>(answer: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Memory {
    fn read<'a, T: Send + 'a>(&self, read: impl FnOnce(&Tables) -> T) -> Answer<'a, T> {
        ready(self.with(|tables, _| read(tables)))
    }
}

impl EventLog for Memory {
    fn append(&self, event: NewEvent) -> AppendFuture {
        let now_ms = self.clock.now_ms();
        let appended = self.with(|tables, follow| tables.append(event, now_ms, follow));
        Box::pin(std::future::ready(appended.map_err(|_| AppendError::Closed)))
    }
}

impl WorkQueue for Memory {
    fn routed(&self, routed: Routed) -> Result<(), StoreError> {
        self.with(|tables, follow| tables.route(routed, follow))
    }

    fn settled(&self, settled: Settled) -> Result<(), StoreError> {
        self.with(|tables, follow| tables.settle(settled, follow))
    }

    fn given_up(&self, given_up: GivenUp) -> Result<(), StoreError> {
        self.with(|tables, follow| tables.give_up(given_up, follow))
    }

    fn recorded(&self) -> Answer<'_, ()> {
        self.read(|_| ())
    }

    fn claim_events<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, UnroutedPage> {
        let Claim { of, now_ms, after, limit } = claim;
        ready(
            place(after)
                .and_then(|after| self.with(|tables, _| tables.unrouted(of, now_ms, after, limit))),
        )
    }

    fn claim_deliveries<'a>(&'a self, claim: Claim<'a>) -> Answer<'a, DuePage> {
        let Claim { of, now_ms, after, limit } = claim;
        ready(
            place(after)
                .and_then(|after| self.with(|tables, _| tables.due(of, now_ms, after, limit))),
        )
    }

    fn rein_in<'a>(
        &'a self,
        destination: Option<&'a str>,
        now_ms: u64,
        longest: Duration,
    ) -> Answer<'a, u64> {
        ready(self.with(|tables, _| match destination {
            None => tables.rein_in_events(now_ms, millis(longest)),
            Some(name) => tables.rein_in_deliveries(name, now_ms, millis(longest)),
        }))
    }

    fn replay<'a>(&'a self, event: EventId, destination: Option<&'a str>) -> Answer<'a, bool> {
        let (row, now_ms) = (event.row(), self.clock.now_ms());
        ready(self.with(|tables, follow| {
            event.node() == NODE
                && match destination {
                    None => tables.replay_event(row, follow),
                    Some(name) => tables.replay_delivery(row, name, now_ms, follow),
                }
        }))
    }

    fn discard<'a>(&'a self, destination: &'a str, cause: &'a str, most: usize) -> Answer<'a, u64> {
        ready(self.with(|tables, _| tables.discard(destination, cause, most)))
    }
}

impl Queries for Memory {
    fn events<'a>(&'a self, query: &'a EventQuery) -> Answer<'a, Vec<EventRow>> {
        self.read(|tables| tables.list(query))
    }

    fn search<'a>(&'a self, query: &'a EventQuery, text: &'a str) -> Answer<'a, Found> {
        self.read(|tables| tables.search(query, text))
    }

    fn feed<'a>(
        &'a self,
        query: &'a EventQuery,
        after: Option<EventId>,
    ) -> Answer<'a, Option<FeedPage>> {
        self.read(|tables| tables.feed(query, after))
    }

    fn event(&self, id: EventId) -> Answer<'_, Option<EventDetail>> {
        self.read(|tables| tables.detail(id))
    }

    fn backlog(&self) -> Answer<'_, Vec<Backlog>> {
        self.read(Tables::backlog)
    }
}

impl PluginState for Memory {
    fn state(&self) -> Answer<'_, Vec<StateRow>> {
        let now_ms = self.clock.now_ms();
        self.read(|tables| tables.state(now_ms))
    }
}

impl Maintenance for Memory {
    fn usage(&self) -> Answer<'_, Usage> {
        self.read(Tables::usage)
    }

    fn purge(&self, before_ms: u64) -> Answer<'_, Purged> {
        ready(self.with(|tables, _| tables.purge(before_ms)))
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Answer<'a, Backup> {
        let why = format!("a store in memory can't be copied to {}", to.display());
        ready(Err(StoreError::Failed(why.into())))
    }

    fn healthy(&self) -> bool {
        true
    }

    fn faults(&self) -> Answer<'_, Vec<Fault>> {
        // As a look at its health, it counts for no call.
        ready(Ok(Vec::new()))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        ready(Ok(()))
    }
}

impl Conditions for Memory {
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>> {
        self.read(|tables| tables.conditions.clone().into_iter().collect())
    }

    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()> {
        ready(self.with(|tables, _| {
            // Nothing to remember is remembered by no row.
            match *condition == Condition::default() {
                true => drop(tables.conditions.remove(destination)),
                false => drop(tables.conditions.insert(destination.to_owned(), condition.clone())),
            }
        }))
    }
}

impl Jobs for Memory {
    fn put_replay<'a>(&'a self, job: &'a ReplayJob) -> Answer<'a, ()> {
        ready(self.with(|tables, _| tables.put_job(job)))
    }

    fn replays(&self) -> Answer<'_, Vec<ReplayJob>> {
        self.read(Tables::jobs)
    }
}
