//! The events of one lane that are in flight, and those among them that wait for their turn.
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::window::Window;
use hookwright_model::Event;
use hookwright_store::Unrouted;

/// The events of a lane in flight. The lane offers events, its worker frees them, and its reader fills the window
/// from the rows.
pub(super) struct InFlight {
    held: Mutex<Held>,
    /// Wakes the reader.
    wake: Notify,
    /// False once the source is removed from the settings: events in flight are finished,
    /// and no new ones begin.
    open: AtomicBool,
}

/// Under one lock, so that no event enters the queue before an earlier one that the window took first.
struct Held {
    window: Window,
    /// The queue of a pipeline that routes one event after the other.
    queue: VecDeque<Job>,
    /// Whether a task works on the queue.
    working: bool,
}

/// An event to be routed.
pub(super) struct Job {
    pub(super) permit: Permit,
    /// Whether it is a replay: the event was routed before.
    pub(super) replay: bool,
    /// How often routing has been tried in this round.
    pub(super) tries: u32,
}

/// An event's place in the window, freed when dropped, however its routing ended.
pub(super) struct Permit {
    in_flight: Arc<InFlight>,
    pub(super) event: Arc<Event>,
}

impl Permit {
    /// Frees the place of an event that is to be read from its row again.
    pub(super) fn return_to_rows(self) {
        let in_flight = self.in_flight.clone();
        drop(self);
        in_flight.rows_changed();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.in_flight.held.lock();
        held.window.leave(&self.event);
        if held.window.wants_rows() {
            self.in_flight.wake.notify_one();
        }
    }
}

impl InFlight {
    /// Open, and with rows to read: events that an earlier run left come first.
    pub(super) fn new() -> Arc<Self> {
        let mut window = Window::default();
        window.fall_behind();
        let held = Held { window, queue: VecDeque::new(), working: false };
        let wake = Notify::new();
        wake.notify_one();
        Arc::new(Self { held: Mutex::new(held), wake, open: AtomicBool::new(true) })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Opens or closes the lane for new work. Returns whether it was open before.
    pub(super) fn set_open(&self, open: bool) -> bool {
        self.open.swap(open, Ordering::AcqRel) == open
    }

    /// Takes what fits; the rest stays with the rows. The events to begin with now: none where they are routed
    /// in turn, and wait in the queue.
    pub(super) fn offer(self: &Arc<Self>, events: Vec<Arc<Event>>, in_turn: bool) -> Vec<Job> {
        let mut held = self.held.lock();
        let mut jobs = Vec::with_capacity(if in_turn { 0 } else { events.len() });
        for event in events {
            if in_turn {
                if held.window.offer_in_turn(&event) {
                    let job = self.job(event, false, 0);
                    held.queue.push_back(job);
                }
            } else if held.window.offer(&event) {
                jobs.push(self.job(event, false, 0));
            }
        }
        // Nothing may be in flight that would wake the reader when it leaves.
        if held.window.wants_rows() {
            self.wake.notify_one();
        }
        jobs
    }

    fn job(self: &Arc<Self>, event: Arc<Event>, replay: bool, tries: u32) -> Job {
        Job { permit: Permit { in_flight: self.clone(), event }, replay, tries }
    }

    /// To be called when the rows have new work.
    pub(super) fn rows_changed(&self) {
        self.fall_behind();
        self.wake.notify_one();
    }

    /// Notes that the rows may have new work, without waking the reader.
    pub(super) fn fall_behind(&self) {
        self.held.lock().window.fall_behind();
    }

    /// Resolves once the reader should look at the rows.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether the caller is to work on the queue: something waits there, and no task works on it. It takes
    /// [`Self::next`] until there is none.
    pub(super) fn claim_queue(&self) -> bool {
        let mut held = self.held.lock();
        !held.queue.is_empty() && !std::mem::replace(&mut held.working, true)
    }

    /// The next event in its turn; at the end of the queue its worker is done.
    pub(super) fn next(&self) -> Option<Job> {
        let mut held = self.held.lock();
        let next = held.queue.pop_front();
        held.working = next.is_some();
        next
    }

    /// Returns all queued events to their rows.
    pub(super) fn abandon_queue(&self) {
        let left = std::mem::take(&mut self.held.lock().queue);
        // Dropping each of them takes the lock.
        drop(left);
    }

    /// See [`Window::begin_page`].
    pub(super) fn begin_page(&self, open: bool, more: bool) -> bool {
        self.held.lock().window.begin_page(open, more)
    }

    /// Takes the events of a page that are not in flight yet: those to begin with now, as [`Self::offer`] does.
    pub(super) fn end_page(
        self: &Arc<Self>,
        events: Vec<Unrouted>,
        more: bool,
        in_turn: bool,
    ) -> Vec<Job> {
        let mut held = self.held.lock();
        let never_tried = events.iter().filter(|found| found.due_ms == 0);
        let newest = never_tried.map(|found| found.event.id.row()).max();
        held.window.read_to(newest.unwrap_or_default());
        let fresh = events.into_iter().filter(|found| held.window.take(&found.event));
        let jobs: Vec<Job> =
            fresh.map(|found| self.job(found.event, found.replay, found.tries)).collect();
        held.window.end_page(more);
        if in_turn {
            held.queue.extend(jobs);
            return Vec::new();
        }
        jobs
    }

    /// See [`Window::break_off`].
    pub(super) fn break_off(&self, behind: bool) {
        self.held.lock().window.break_off(behind);
    }
}
