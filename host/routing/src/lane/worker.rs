//! Routes the events of one source: calls its plugins, and records the outcomes.
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::metrics::{Counter, counter};
use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::in_flight::{InFlight, Job};
use crate::pipeline::Pipeline;
use crate::run::{self, Turn};
use crate::services::Services;
use hookwright_model::{Event, EventState, Name};
use hookwright_plugins::{Changes, PoisonSuspect};
use hookwright_store::Routed;

/// Events for each spawned task: fewer wake-ups than with a task for each event.
const CHUNK: usize = 8;

/// Routes the events of one lane, several at once or one after the other. The lane and its reader hand it jobs.
pub(super) struct Worker {
    pub(super) source: Name,
    pub(super) pipeline: ArcSwap<Pipeline>,
    pub(super) services: Arc<Services>,
    /// Cancelled when the host shuts down: no new work begins.
    pub(super) stopping: CancellationToken,
    ended: Vec<(EventState, Counter)>,
}

/// The outcome of one event, not recorded yet.
struct Judged {
    routed: Routed,
    changes: Vec<Changes>,
    /// Held where the event is suspected poison, until its row has the outcome.
    suspect: Option<PoisonSuspect>,
}

impl Worker {
    pub(super) fn new(
        source: Name,
        pipeline: Pipeline,
        services: Arc<Services>,
        stopping: CancellationToken,
    ) -> Self {
        let ended = EventState::ALL.map(|state| {
            let labels = [("source", source.to_string()), ("state", state.as_str().to_owned())];
            (state, counter!(hookwright_model::metrics::ROUTED, &labels))
        });
        let pipeline = ArcSwap::from_pointee(pipeline);
        Self { source, pipeline, services, stopping, ended: ended.into() }
    }

    /// Whether events are routed one after the other.
    pub(super) fn in_turn(&self) -> bool {
        self.pipeline.load().in_turn
    }

    /// Routes events at once, each by itself.
    pub(super) fn begin(self: &Arc<Self>, mut jobs: Vec<Job>) {
        while !jobs.is_empty() {
            let chunk = jobs.split_off(jobs.len().saturating_sub(CHUNK));
            let worker = self.clone();
            self.services.runtime.spawn(async move {
                for job in chunk {
                    let mut work = Box::pin(worker.clone().route(job));
                    // Nearly all finish at once; one that waits must not delay the others.
                    if poll_once(work.as_mut()).is_pending() {
                        tokio::spawn(work);
                    }
                }
            });
        }
    }

    /// Starts a task on the queue of events routed in order, unless one is running.
    pub(super) fn begin_queue(self: &Arc<Self>, in_flight: &Arc<InFlight>) {
        if in_flight.claim_queue() {
            self.services.runtime.spawn(self.clone().route_queue(in_flight.clone()));
        }
    }

    async fn route_queue(self: Arc<Self>, in_flight: Arc<InFlight>) {
        while let Some(job) = in_flight.next() {
            // Nothing else in the loop might yield the thread.
            tokio::task::consume_budget().await;
            if !self.route_in_turn(job).await {
                // The others return to their rows too, so that none overtakes this one.
                in_flight.abandon_queue();
            }
        }
    }

    /// Delays later events until this event's routing has ended. False
    /// if the host stops before that.
    async fn route_in_turn(&self, job: Job) -> bool {
        let Job { permit, replay, mut tries } = job;
        loop {
            if !self.room().await {
                return false;
            }
            let Judged { routed, changes, suspect } =
                self.judge(&permit.event, replay, tries).await;
            if routed.state != EventState::Accepted {
                self.record(routed, changes);
                self.clear(suspect).await;
                return true;
            }
            drop(suspect);
            tries = routed.tries;
            tokio::select! {
                () = self.stopping.cancelled() => return false,
                () = tokio::time::sleep(self.services.clock.until(routed.retry_ms)) => {}
            }
        }
    }

    async fn route(self: Arc<Self>, job: Job) {
        let Job { permit, replay, tries } = job;
        if !self.room().await {
            return;
        }
        let Judged { routed, changes, suspect } = self.judge(&permit.event, replay, tries).await;
        let again = routed.state == EventState::Accepted;
        self.record(routed, changes);
        if again {
            permit.return_to_rows();
            drop(suspect);
        } else {
            self.clear(suspect).await;
            drop(permit);
        }
    }

    /// Waits until the store has room for the outcome of an event. False if
    /// the host stops before that; the event stays in its row.
    async fn room(&self) -> bool {
        let Some(room) = self.services.store.room() else { return true };
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = room => true,
        }
    }

    async fn judge(&self, event: &Arc<Event>, replay: bool, tries: u32) -> Judged {
        let suspect = self.services.plugins.isolate(event.id).await;
        let (routed, changes) = match suspect.as_ref().and_then(PoisonSuspect::poison) {
            Some(why) => {
                if let Some(suspect) = &suspect {
                    suspect.park(why);
                }
                (Routed::parked(event.clone(), why.to_owned()), Vec::new())
            }
            None => self.run(event, replay, tries).await,
        };
        Judged { routed, changes, suspect }
    }

    async fn run(&self, event: &Arc<Event>, replay: bool, tries: u32) -> (Routed, Vec<Changes>) {
        let pipeline = self.pipeline.load_full();
        let turn = Turn { replay, tries, ..Turn::default() };
        let work = run::run(&pipeline, &self.services, event, turn);
        // A panic is a defect of the host. It must neither affect the events beside
        // this one nor repeat with it for ever.
        let mut outcome = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(event = %event.id, source = %self.source, "routing panicked");
            let why = "the host panicked over it: a defect of Hookwright".to_owned();
            Routed::parked(event.clone(), why).into()
        });
        outcome.routed.deliveries.iter_mut().for_each(|delivery| delivery.replayed = replay);
        if pipeline.answers && !replay {
            self.services.replies.give(event.id, outcome.reply);
        }
        if let Some(traces) = &self.services.traces {
            let now_us = self.services.clock.now_ms().saturating_mul(1_000);
            traces.routed(event, !replay && tries == 0, &outcome.routed.verdicts, now_us);
        }
        (outcome.routed, outcome.changes)
    }

    /// Counts the outcome of an event, and hands it to the store.
    fn record(&self, mut routed: Routed, changes: Vec<Changes>) {
        if let Some((_, counter)) = self.ended.iter().find(|(state, _)| *state == routed.state) {
            counter.increment(1);
        }
        if changes.is_empty() {
            self.hand_in(routed);
        } else {
            self.services.plugins.state().commit(changes, |rows| {
                routed.state_rows = rows;
                self.hand_in(routed);
            });
        }
    }

    fn hand_in(&self, routed: Routed) {
        let event = routed.event.id;
        if let Err(error) = self.services.store.routed(routed) {
            tracing::debug!(%event, %error, "an event was routed after the close; it is routed again");
        }
    }

    /// Ends an event's suspicion once its row has the outcome. Where that can't be
    /// recorded, the event stays suspected.
    async fn clear(&self, suspect: Option<PoisonSuspect>) {
        let Some(suspect) = suspect else { return };
        if self.services.store.recorded().await.is_err() {
            return;
        }
        // It writes a file, which blocks.
        if let Err(panic) = tokio::task::spawn_blocking(move || suspect.clear()).await {
            tracing::error!(%panic, "an event stays under suspicion");
        }
    }
}

fn poll_once(work: Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> Poll<()> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
