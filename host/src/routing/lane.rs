//! One source's lane: a bounded set of events in work, and the rows behind it.
use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::metrics::{Counter, counter};
use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
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
    /// False once the settings no longer name the source: what is in work ends,
    /// and nothing new begins.
    open: AtomicBool,
    stopping: CancellationToken,
    ended: Vec<(EventState, Counter)>,
}

#[derive(Default)]
struct Work {
    /// Rows of the events in work.
    rows: HashSet<i64>,
    bytes: usize,
    /// Some events were left to the rows.
    behind: bool,
    /// The newest event whose row was read: a hand-off that comes after that is
    /// old news.
    read_to: i64,
    /// While the rows are read: those that left meanwhile. Their rows may still
    /// look as they did before.
    left: Option<HashSet<i64>>,
}

impl Work {
    /// Takes an event that was just made durable, unless the window is full.
    /// While rows wait, half of it is theirs.
    fn offer(&mut self, event: &Event) -> bool {
        if event.id.row() <= self.read_to {
            self.behind = true;
            return false;
        }
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

    fn has_room(&self) -> bool {
        self.rows.len() <= WINDOW / 2 && self.bytes <= WINDOW_BYTES / 2
    }

    fn wants_rows(&self) -> bool {
        self.behind && self.has_room()
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
            open: AtomicBool::new(true),
            stopping: tasks.stopping(),
            ended: ended.into(),
        });
        lane.wake.notify_one();
        tasks.spawn("routing", lane.clone().read_rows());
        lane
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
        let fresh: Vec<_> = {
            let mut work = self.work.lock();
            let fresh = events.into_iter().filter(|event| work.offer(event)).collect();
            // Nothing may be in work that would wake the reader when it leaves.
            if work.wants_rows() {
                self.wake.notify_one();
            }
            fresh
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
        let Job { place, replay, tries } = job;
        let event = place.event.clone();
        let work = pipeline::run(&pipeline, &self.parts, &event, replay, tries);
        // A panic is a defect of ours. It must end neither the events beside
        // this one nor come back with it for ever.
        let (mut routed, changes) = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(routed) => routed,
            Err(_) => {
                tracing::error!(event = %event.id, source = %self.source, "routing panicked");
                (pipeline::broken(event), Vec::new())
            }
        };
        if let Some((_, counter)) = self.ended.iter().find(|(state, _)| *state == routed.state) {
            counter.increment(1);
        }
        let waits = routed.state == EventState::Accepted;
        if changes.is_empty() {
            self.parts.store.routed(routed);
        } else {
            self.parts.plugins.state().commit(changes, |rows| {
                routed.state_rows = rows;
                self.parts.store.routed(routed);
            });
        }
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
                () = self.stopping.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(due) => {
                    // Without room now, whoever leaves wakes this; a time that is past would spin.
                    due = tokio::time::Instant::now() + IDLE;
                    self.work.lock().behind = true;
                }
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
            let goes_on = after.is_some();
            {
                let mut work = self.work.lock();
                if !self.is_open() || !work.has_room() || !(work.behind || goes_on) {
                    work.behind |= goes_on;
                    return None;
                }
                // Before the rows are read: an event left to them from here on
                // sets it again. Only a look from the front may clear it.
                work.behind &= goes_on;
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
                let news = page.events.iter().filter(|found| found.due_ms == 0);
                let newest = news.map(|found| found.event.id.row()).max();
                work.read_to = work.read_to.max(newest.unwrap_or_default());
                let fresh = page.events.into_iter().filter(|found| work.take(&found.event));
                let fresh = fresh.collect();
                work.left = None;
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
            if after.is_none() {
                // Every row of the page was unreadable; the store ends those.
                self.work.lock().behind = true;
                return Some(READ_AGAIN);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    fn event(row: i64, size: usize) -> Event {
        Event {
            id: EventId::new(row, 7),
            source: "shop".parse().unwrap(),
            kind: "".into(),
            headers: http::HeaderMap::new(),
            body: vec![b'x'; size].into(),
        }
    }

    #[test]
    fn regression_a_hand_off_that_comes_after_its_row_was_read_is_left_to_the_rows() {
        let mut work = Work::default();
        let first = event(1, 10);
        work.read_to = 1;
        assert!(work.take(&first));
        work.leave(&first);
        assert!(!work.offer(&first), "it was routed from its row already");
        assert!(work.behind, "the rows are looked at once more");
        assert!(work.offer(&event(2, 10)));
    }

    #[test]
    fn what_leaves_while_rows_are_read_is_not_taken_from_them() {
        let mut work = Work::default();
        let first = event(1, 10);
        assert!(work.offer(&first));
        work.left = Some(HashSet::new());
        work.leave(&first);
        assert!(!work.take(&first));
        work.left = None;
        assert!(work.take(&first));
        assert_eq!(work.bytes, 10);
    }

    #[test]
    fn the_window_is_bounded_by_count_and_by_size_and_half_is_for_the_rows() {
        let mut work = Work::default();
        for row in 0..WINDOW as i64 {
            assert!(work.offer(&event(row + 1, 1)));
        }
        assert!(!work.offer(&event(5_000, 1)) && work.behind);
        let mut work = Work { behind: true, ..Work::default() };
        let taken = (0..WINDOW as i64).filter(|row| work.offer(&event(row + 1, 1))).count();
        assert_eq!(taken, WINDOW / 2);
        let mut work = Work::default();
        assert!(work.offer(&event(1, WINDOW_BYTES + 1)), "a large one goes alone");
        assert!(!work.offer(&event(2, 1)));
    }
}
