//! One source's lane: a bounded set of events in work, and the rows behind it.
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::metrics::{Counter, counter};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pipeline::{self, Job};
use super::{Parts, Pipeline};
use crate::model::{Event, EventState, Name};
use crate::store::{DueCursor, StoreError, UnroutedPage};
use crate::tasks::Tasks;

/// Events in work at once, of one source.
const WINDOW: usize = 1_024;
/// Bytes of bodies in work at once, of one source.
const WINDOW_BYTES: usize = 16 << 20;
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
    retired: CancellationToken,
    ended: Vec<(EventState, Counter)>,
}

#[derive(Default)]
struct Work {
    /// Rows of the events in work.
    rows: HashSet<i64>,
    bytes: usize,
    /// Some events were left to the rows.
    behind: bool,
    /// While the rows are read: those that left meanwhile. Their rows may still
    /// look as they did before.
    left: Option<HashSet<i64>>,
}

impl Work {
    /// Takes an event that was just made durable, unless the window is full.
    /// While rows wait, half of it is theirs.
    fn offer(&mut self, event: &Event) -> bool {
        let places = if self.behind { WINDOW / 2 } else { WINDOW };
        let fits = self.rows.len() < places && self.bytes + event.body.len() <= WINDOW_BYTES;
        // One that is larger than the window goes through alone.
        let fits = fits || self.rows.is_empty();
        self.behind |= !fits;
        fits && self.take(event)
    }

    /// False where it is in work already, or was until a moment ago.
    fn take(&mut self, event: &Event) -> bool {
        let row = event.id.row();
        let just_left = self.left.as_ref().is_some_and(|left| left.contains(&row));
        let new = !just_left && self.rows.insert(row);
        if new {
            self.bytes += event.body.len();
        }
        new
    }

    fn leave(&mut self, event: &Event) {
        let row = event.id.row();
        if self.rows.remove(&row) {
            self.bytes -= event.body.len();
        }
        if let Some(left) = &mut self.left {
            left.insert(row);
        }
    }

    fn wants_rows(&self) -> bool {
        self.behind && self.rows.len() <= WINDOW / 2 && self.bytes <= WINDOW_BYTES / 2
    }
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
            (state, counter!(crate::metrics::ROUTED, &labels))
        });
        let lane = Arc::new(Self {
            source,
            pipeline: ArcSwap::from_pointee(pipeline),
            parts,
            // What an earlier run left in the rows comes first.
            work: Mutex::new(Work { behind: true, ..Work::default() }),
            wake: Notify::new(),
            retired: tasks.stopping().child_token(),
            ended: ended.into(),
        });
        lane.wake.notify_one();
        tasks.spawn("routing", lane.clone().read_rows());
        lane
    }

    pub(super) fn set_pipeline(&self, pipeline: Pipeline) {
        self.pipeline.store(Arc::new(pipeline));
    }

    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    /// The rows have something new.
    pub(super) fn stir(&self) {
        self.work.lock().behind = true;
        self.wake.notify_one();
    }

    /// Takes what fits; the rest stays with the rows.
    pub(super) fn offer(self: &Arc<Self>, events: Vec<Arc<Event>>) {
        if self.retired.is_cancelled() {
            return;
        }
        let fresh: Vec<_> = {
            let mut work = self.work.lock();
            events.into_iter().filter(|event| work.offer(event)).collect()
        };
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
                    if poll_once(work.as_mut()).is_pending() {
                        tokio::spawn(work);
                    }
                }
            });
        }
    }

    async fn route(self: Arc<Self>, job: Job) {
        let pipeline = self.pipeline.load_full();
        let (place, routed) = pipeline::run(&pipeline, &self.parts, job).await;
        if let Some((_, counter)) = self.ended.iter().find(|(state, _)| *state == routed.state) {
            counter.increment(1);
        }
        let waits = routed.state == EventState::Accepted;
        self.parts.store.routed(routed);
        drop(place);
        if waits {
            self.stir();
        }
    }

    /// Reads rows whenever some were left behind and there is room again.
    async fn read_rows(self: Arc<Self>) {
        let mut due = tokio::time::Instant::now() + IDLE;
        loop {
            tokio::select! {
                () = self.retired.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(due) => self.work.lock().behind = true,
            }
            if let Some(wait) = self.catch_up().await {
                due = tokio::time::Instant::now() + wait;
            }
        }
    }

    /// Takes pages of rows until there are no more that are due, or no room.
    /// Answers how long until the next is due; none where it did not get that far.
    async fn catch_up(self: &Arc<Self>) -> Option<Duration> {
        let mut after = None;
        loop {
            {
                let mut work = self.work.lock();
                if !work.wants_rows() {
                    return None;
                }
                // Before the rows are read: an event left to them from here on sets it again.
                work.behind = false;
                work.left = Some(HashSet::new());
            }
            let lane = self.clone();
            let now_ms = self.parts.clock.now_ms();
            let read = tokio::task::spawn_blocking(move || lane.page(now_ms, after)).await;
            let page = match read {
                Ok(Ok(page)) => page,
                Ok(Err(StoreError::Closed)) => return Some(IDLE),
                Ok(Err(error)) => return Some(self.unread(&error)),
                Err(panic) => return Some(self.unread(&panic)),
            };
            let more = page.next_due_ms.is_some_and(|due| due <= now_ms);
            let last = page.events.last();
            after = last.map(|last| DueCursor { due_ms: last.due_ms, row: last.event.id.row() });
            let fresh: Vec<_> = {
                let mut work = self.work.lock();
                let fresh = page.events.into_iter().filter(|found| work.take(&found.event));
                let fresh = fresh.collect();
                work.left = None;
                work.behind |= more;
                fresh
            };
            let jobs = fresh.into_iter().map(|found| {
                let place = self.place(found.event);
                Job { place, replay: found.replay, tries: found.tries }
            });
            self.begin(jobs.collect());
            if !more {
                return Some(page.next_due_ms.map_or(IDLE, |due| self.parts.clock.until(due)));
            }
        }
    }

    fn unread(&self, error: &dyn std::fmt::Display) -> Duration {
        tracing::warn!(source = %self.source, %error, "can't read the events to be routed");
        self.work.lock().left = None;
        READ_AGAIN
    }

    fn page(&self, now_ms: u64, after: Option<DueCursor>) -> Result<UnroutedPage, StoreError> {
        // What left before has its row committed after this.
        self.parts.store.flush()?;
        self.parts.store.unrouted(&self.source, now_ms, after, PAGE)
    }
}

fn poll_once(work: Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> Poll<()> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
