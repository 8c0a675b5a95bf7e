//! One source's lane: a bounded set of events in work, and the rows behind it.
mod rein;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::metrics::{Counter, counter};
use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pipeline::{self, Job};
use super::suspect;
use super::wait;
use super::work::Work;
use super::{Parts, Pipeline};
use hookwright_model::tasks::Tasks;
use hookwright_model::{Event, EventState, Name};
use hookwright_plugins::{Changes, Suspect};
use hookwright_store::{Claim, Routed, StoreError};

/// Events that one spawned task takes: fewer wake-ups than one task an event.
const CHUNK: usize = 8;
/// Rows read at once.
const PAGE: usize = 256;
/// When to look again where the store could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Longer than any wait that matters; a lane with nothing due looks after it.
const IDLE: Duration = Duration::from_secs(600);

pub(super) struct Lane {
    source: Name,
    pipeline: ArcSwap<Pipeline>,
    parts: Arc<Parts>,
    work: Mutex<Work>,
    /// Wakes the reader of the rows.
    wake: Notify,
    /// False once the settings no longer name the source: what is in work ends,
    /// and nothing new begins.
    open: AtomicBool,
    stopping: CancellationToken,
    ended: Vec<(EventState, Counter)>,
}

/// An event's place in its lane, freed when dropped, however its routing ended.
pub(super) struct Place {
    lane: Arc<Lane>,
    pub(super) event: Arc<Event>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut work = self.lane.work.lock();
        work.leave(&self.event);
        if work.wants_rows() {
            self.lane.wake.notify_one();
        }
    }
}

impl Lane {
    pub(super) fn start(
        source: Name,
        pipeline: Pipeline,
        parts: Arc<Parts>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let ended = EventState::ALL.map(|state| {
            let labels = [("source", source.to_string()), ("state", state.as_str().to_owned())];
            (state, counter!(hookwright_model::metrics::ROUTED, &labels))
        });
        let lane = Arc::new(Self {
            source,
            pipeline: ArcSwap::from_pointee(pipeline),
            parts,
            // What an earlier run left in the rows comes first.
            work: Mutex::new(Work { behind: true, ..Work::default() }),
            wake: Notify::new(),
            open: AtomicBool::new(true),
            stopping: tasks.stopping(),
            ended: ended.into(),
        });
        lane.wake.notify_one();
        tasks.spawn("routing", lane.clone().read_rows());
        lane
    }

    pub(super) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    /// Puts a pipeline in force, and opens the lane where it was closed.
    pub(super) fn set_pipeline(&self, pipeline: Pipeline) {
        self.pipeline.store(Arc::new(pipeline));
        if !self.open.swap(true, Ordering::AcqRel) {
            self.stir();
        }
    }

    /// The lane stays, so that a source that comes back does not meet itself.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) && !self.stopping.is_cancelled()
    }

    /// The rows have something new.
    pub(super) fn stir(&self) {
        self.work.lock().behind = true;
        self.wake.notify_one();
    }

    /// Takes what fits; the rest stays with the rows.
    pub(super) fn offer(self: &Arc<Self>, events: Vec<Arc<Event>>) {
        if !self.is_open() {
            return;
        }
        let in_turn = self.pipeline.load().in_turn;
        let fresh: Vec<_> = {
            let mut work = self.work.lock();
            let mut fresh = Vec::with_capacity(events.len());
            for event in events {
                if in_turn {
                    if work.offer_in_turn(&event) {
                        work.turns.push_back(Job::fresh(self.place(event)));
                    }
                } else if work.offer(&event) {
                    fresh.push(event);
                }
            }
            // Nothing may be in work that would wake the reader when it leaves.
            if work.wants_rows() {
                self.wake.notify_one();
            }
            fresh
        };
        if in_turn {
            return self.take_turns();
        }
        self.begin(fresh.into_iter().map(|event| Job::fresh(self.place(event))).collect());
    }

    fn place(self: &Arc<Self>, event: Arc<Event>) -> Place {
        Place { lane: self.clone(), event }
    }

    fn begin(self: &Arc<Self>, mut jobs: Vec<Job>) {
        while !jobs.is_empty() {
            let chunk = jobs.split_off(jobs.len().saturating_sub(CHUNK));
            let lane = self.clone();
            self.parts.runtime.spawn(async move {
                for job in chunk {
                    let mut work = Box::pin(lane.clone().route(job));
                    // Nearly all end at once; one that waits must not hold the others up.
                    if wait::poll_once(work.as_mut()).is_pending() {
                        tokio::spawn(work);
                    }
                }
            });
        }
    }

    /// Works on the turns, unless somebody does.
    fn take_turns(self: &Arc<Self>) {
        let free = {
            let mut work = self.work.lock();
            !work.turns.is_empty() && !std::mem::replace(&mut work.turning, true)
        };
        if free {
            self.parts.runtime.spawn(self.clone().turns());
        }
    }

    async fn turns(self: Arc<Self>) {
        let next = || {
            let mut work = self.work.lock();
            let next = work.turns.pop_front();
            work.turning = next.is_some();
            next
        };
        while let Some(job) = next() {
            // Nothing else might let go of the thread.
            tokio::task::consume_budget().await;
            if !self.route_in_turn(job).await {
                // The rest stays in its rows too, so that none overtakes this one.
                let left = std::mem::take(&mut self.work.lock().turns);
                drop(left);
            }
        }
    }

    /// Holds those that follow up until the event's routing has ended. False
    /// where the host stops before that.
    async fn route_in_turn(&self, job: Job) -> bool {
        let Job { place, replay, mut tries } = job;
        loop {
            if !wait::for_room(&self.parts.store, &self.stopping).await {
                return false;
            }
            let (routed, changes, suspect) = self.judge(&place.event, replay, tries).await;
            if routed.state != EventState::Accepted {
                self.conclude(routed, changes);
                suspect::clear(suspect, &self.parts.store).await;
                return true;
            }
            drop(suspect);
            tries = routed.tries;
            tokio::select! {
                () = self.stopping.cancelled() => return false,
                () = tokio::time::sleep(self.parts.clock.until(routed.retry_ms)) => {}
            }
        }
    }

    async fn route(self: Arc<Self>, job: Job) {
        let Job { place, replay, tries } = job;
        if !wait::for_room(&self.parts.store, &self.stopping).await {
            return;
        }
        let (routed, changes, suspect) = self.judge(&place.event, replay, tries).await;
        let waits = routed.state == EventState::Accepted;
        self.conclude(routed, changes);
        if !waits {
            suspect::clear(suspect, &self.parts.store).await;
        }
        drop(place);
        if waits {
            self.stir();
        }
    }

    /// With the turn of a suspect, which lasts until its row says what became of it.
    async fn judge(
        &self,
        event: &Arc<Event>,
        replay: bool,
        tries: u32,
    ) -> (Routed, Vec<Changes>, Option<Suspect>) {
        let suspect = self.parts.plugins.suspect(event.id).await;
        let (routed, changes) = match suspect.as_ref().and_then(Suspect::guilty) {
            Some(why) => {
                if let Some(suspect) = &suspect {
                    suspect.park(why);
                }
                (pipeline::parked(event.clone(), why.to_owned()), Vec::new())
            }
            None => self.rule(event, replay, tries).await,
        };
        (routed, changes, suspect)
    }

    async fn rule(&self, event: &Arc<Event>, replay: bool, tries: u32) -> (Routed, Vec<Changes>) {
        let pipeline = self.pipeline.load_full();
        let turn = pipeline::Turn { replay, tries, ..pipeline::Turn::default() };
        let work = pipeline::run(&pipeline, &self.parts, event, turn);
        // A panic is a defect of ours. It must end neither the events beside
        // this one nor come back with it for ever.
        let mut ruled = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(event = %event.id, source = %self.source, "routing panicked");
            let why = "the host panicked over it: a defect of Hookwright".to_owned();
            pipeline::parked(event.clone(), why).into()
        });
        ruled.routed.deliveries.iter_mut().for_each(|delivery| delivery.replayed = replay);
        if pipeline.answers && !replay {
            self.parts.replies.give(event.id, ruled.reply);
        }
        if let Some(traces) = &self.parts.traces {
            let now_us = self.parts.clock.now_ms().saturating_mul(1_000);
            traces.routed(event, !replay && tries == 0, &ruled.routed.rulings, now_us);
        }
        (ruled.routed, ruled.changes)
    }

    fn conclude(&self, mut routed: Routed, changes: Vec<Changes>) {
        if let Some((_, counter)) = self.ended.iter().find(|(state, _)| *state == routed.state) {
            counter.increment(1);
        }
        if changes.is_empty() {
            self.record(routed);
        } else {
            self.parts.plugins.state().commit(changes, |rows| {
                routed.state_rows = rows;
                self.record(routed);
            });
        }
    }

    fn record(&self, routed: Routed) {
        let event = routed.event.id;
        if let Err(error) = self.parts.store.routed(routed) {
            tracing::debug!(%event, %error, "an event was routed after the close; it is routed again");
        }
    }

    /// Reads rows whenever some were left behind and there is room again.
    async fn read_rows(self: Arc<Self>) {
        let mut due = tokio::time::Instant::now() + IDLE;
        // The clock at the last look; what rows are due by may be of one that was ahead.
        let mut looked_ms = u64::MAX;
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(due) => {
                    // Without room now, whoever leaves wakes this; a time that is past would spin.
                    due = tokio::time::Instant::now() + IDLE;
                    self.work.lock().behind = true;
                }
            }
            let now_ms = self.parts.clock.now_ms();
            if now_ms < looked_ms {
                self.rein_in(now_ms).await;
            }
            looked_ms = now_ms;
            if let Some(wait) = self.catch_up().await {
                due = tokio::time::Instant::now() + wait.min(IDLE);
            }
        }
    }

    /// Takes pages of rows until there are no more that are due, or no room.
    /// Answers how long until the next is due; none where it did not get that far.
    async fn catch_up(self: &Arc<Self>) -> Option<Duration> {
        let mut after = None;
        loop {
            let goes_on = after.is_some();
            {
                let mut work = self.work.lock();
                if !self.is_open() || !work.has_room() || !(work.behind || goes_on) {
                    work.behind |= goes_on;
                    work.reading = false;
                    return None;
                }
                // Before the rows are read: an event left to them from here on
                // sets it again. Only a look from the front may clear it.
                work.behind &= goes_on;
                work.left = Some(HashSet::new());
                work.reading = true;
            }
            let now_ms = self.parts.clock.now_ms();
            let claim = Claim { of: &self.source, now_ms, after: after.as_ref(), limit: PAGE };
            let page = match self.parts.store.claim_events(claim).await {
                Ok(page) => page,
                Err(StoreError::Closed) => return Some(IDLE),
                Err(error) => return Some(self.unread(&error)),
            };
            let more = page.next_due_ms.is_some_and(|due| due <= now_ms);
            after = page.next;
            let in_turn = self.pipeline.load().in_turn;
            let jobs: Vec<_> = {
                let mut work = self.work.lock();
                let news = page.events.iter().filter(|found| found.due_ms == 0);
                let newest = news.map(|found| found.event.id.row()).max();
                work.read_to = work.read_to.max(newest.unwrap_or_default());
                let fresh = page.events.into_iter().filter(|found| work.take(&found.event));
                let jobs = fresh.map(|found| {
                    let place = self.place(found.event);
                    Job { place, replay: found.replay, tries: found.tries }
                });
                let mut jobs: Vec<_> = jobs.collect();
                work.left = None;
                work.reading = more;
                if in_turn {
                    work.turns.extend(jobs.drain(..));
                }
                jobs
            };
            self.take_turns();
            self.begin(jobs);
            if !more {
                return Some(page.next_due_ms.map_or(IDLE, |due| self.parts.clock.until(due)));
            }
            if after.is_none() {
                // Every row of the page was unreadable; the store ends those.
                let mut work = self.work.lock();
                work.behind = true;
                work.reading = false;
                return Some(READ_AGAIN);
            }
        }
    }

    fn unread(&self, error: &StoreError) -> Duration {
        tracing::warn!(source = %self.source, %error, "can't read the events to be routed");
        let mut work = self.work.lock();
        work.left = None;
        work.reading = false;
        // Else a later event could go first.
        work.behind |= self.pipeline.load().in_turn;
        READ_AGAIN
    }
}
