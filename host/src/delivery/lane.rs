//! One destination's lane: takes hand-offs, looks at the rows, and starts attempts within the limits.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt;
use super::meter::Meter;
use super::rate::Bucket;
use super::settings::Settings;
use super::status::{Last, State, Status};
use super::window::{Limits, Look, Offered, SWEEP_MS, Window};
use crate::clock::Clock;
use crate::model::{Delivery, EventId, Name, Outcome};
use crate::store::Store;
use crate::tasks::Tasks;

/// After the store failed.
const STORE_PAUSE_MS: u64 = 1_000;

/// What all lanes share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) attempts: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
    /// Looks at the rows at the same time, over all lanes: ten thousand of them
    /// must not take every thread for blocking work.
    pub(super) looks: Semaphore,
    /// No new attempts.
    pub(super) stop: CancellationToken,
    /// No attempts at all.
    pub(super) cut: CancellationToken,
}

pub(super) struct Lane {
    pub(super) name: Name,
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Meter,
    pub(super) cut: CancellationToken,
    wake: Notify,
    inner: Mutex<Inner>,
    /// One write of `off` to the store at a time, the latest last.
    writing: Mutex<()>,
}

struct Inner {
    window: Window,
    settings: Arc<Settings>,
    in_flight: usize,
    rate: Option<Bucket>,
    /// The rate allows the next attempt then.
    rate_wake: Option<Instant>,
    /// Disabled by a 410 or a person, for this reason.
    off: Option<String>,
    /// No longer in the settings.
    removed: bool,
    /// For good: the task ends.
    ended: bool,
    failures: u32,
    last: Option<Last>,
}

impl Inner {
    fn is_open(&self) -> bool {
        self.off.is_none() && !self.settings.disabled && !self.removed && !self.ended
    }

    /// The next delivery, where limits and state allow one.
    fn next(&mut self) -> Option<(Delivery, Arc<Settings>)> {
        self.rate_wake = None;
        let free = self.is_open() && self.in_flight < self.settings.in_flight;
        if !free || self.window.len() == 0 {
            return None;
        }
        if let Some(bucket) = &mut self.rate
            && let Err(later) = bucket.take(Instant::now())
        {
            self.rate_wake = Some(later);
            return None;
        }
        let delivery = self.window.pop()?;
        self.in_flight += 1;
        Some((delivery, Arc::clone(&self.settings)))
    }
}

impl Lane {
    pub(super) fn new(
        name: Name,
        shared: Arc<Shared>,
        settings: Arc<Settings>,
        off: Option<String>,
        window: Window,
    ) -> Arc<Self> {
        let rate = settings.rate.map(|rate| Bucket::new(rate, Instant::now()));
        let inner = Inner {
            window,
            settings,
            in_flight: 0,
            rate,
            rate_wake: None,
            off,
            removed: false,
            ended: false,
            failures: 0,
            last: None,
        };
        Arc::new(Self {
            meter: Meter::new(&name),
            name,
            cut: shared.cut.child_token(),
            shared,
            wake: Notify::new(),
            inner: Mutex::new(inner),
            writing: Mutex::new(()),
        })
    }

    /// Called on any thread, the store's own too: no more than short locks. The
    /// attempt starts from here, without a detour through the lane's task.
    pub(super) fn offer(self: &Arc<Self>, delivery: Delivery, now_ms: u64) {
        let wake = {
            let mut inner = self.inner.lock();
            // Closed: the row keeps it, and opening looks at the rows.
            if !inner.is_open() {
                return;
            }
            let offered = inner.window.offer(delivery, now_ms);
            offered == Offered::LeftToRow || inner.rate.is_some()
        };
        self.pump();
        if wake {
            self.wake.notify_one();
        }
    }

    /// Until the stop, or until the lane has ended.
    pub(super) async fn run(self: Arc<Self>) {
        let stop = self.shared.stop.child_token();
        let stopped = stop.cancelled();
        let mut stopped = std::pin::pin!(stopped);
        let mut timer = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            self.pump();
            let Some(until) = self.look_or_wait() else { return };
            timer.as_mut().reset(until);
            tokio::select! {
                () = self.wake.notified() => {}
                () = &mut timer => {}
                () = &mut stopped => self.end(),
            }
        }
    }

    /// Starts as many attempts as limits and state allow.
    fn pump(self: &Arc<Self>) {
        loop {
            let Some((delivery, settings)) = self.inner.lock().next() else { return };
            self.meter.attempt_began();
            let slot = Slot {
                lane: Arc::clone(self),
                event: delivery.event.id,
                due_ms: None,
                freed: false,
            };
            let attempt = attempt::run(Arc::clone(self), settings, delivery, slot);
            self.shared.attempts.spawn_on(attempt, &self.shared.runtime);
        }
    }

    /// Begins a look at the rows if it is time. Answers when to come back at the latest; none at the end.
    fn look_or_wait(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let now_ms = self.shared.clock.now_ms();
        let mut inner = self.inner.lock();
        if inner.ended {
            return None;
        }
        let mut until = now + Duration::from_millis(SWEEP_MS);
        if !inner.is_open() {
            return Some(until);
        }
        if let Some(look) = inner.window.look(now_ms) {
            self.shared.tasks.spawn_piece(Arc::clone(self).look(look));
        } else if let Some(at_ms) = inner.window.wake_at() {
            until =
                until.min(now + Duration::from_millis(at_ms.saturating_sub(now_ms).min(SWEEP_MS)));
        }
        Some(inner.rate_wake.map_or(until, |at| at.min(until)))
    }

    async fn look(self: Arc<Self>, look: Look) {
        let lane = Arc::clone(&self);
        let Ok(_permit) = self.shared.looks.acquire().await else { return };
        let read = tokio::task::spawn_blocking(move || {
            let Shared { store, clock, .. } = &*lane.shared;
            if look.flush {
                store.flush()?;
            }
            let now_ms = clock.now_ms();
            store.due(&lane.name, now_ms, None, look.limit).map(|page| (page, now_ms))
        });
        let read = read.await;
        {
            let mut inner = self.inner.lock();
            let again_ms = self.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS);
            match read {
                Ok(Ok((page, now_ms))) => inner.window.done(page, look.limit, now_ms),
                Ok(Err(error)) => {
                    tracing::warn!(destination = %self.name, %error, "waiting deliveries can't be read; will be tried again");
                    inner.window.failed(again_ms);
                }
                Err(error) => {
                    tracing::error!(destination = %self.name, %error, "waiting deliveries can't be read; will be tried again");
                    inner.window.failed(again_ms);
                }
            }
            if !inner.is_open() {
                inner.window.clear();
            }
        }
        self.wake.notify_one();
    }

    pub(super) fn note_outcome(&self, at_ms: u64, outcome: &Outcome) {
        let brief = match outcome {
            Outcome::Answered { status, retry_after_s, .. } => Outcome::Answered {
                status: *status,
                retry_after_s: *retry_after_s,
                excerpt: bytes::Bytes::new(),
            },
            failed @ Outcome::Failed { .. } => failed.clone(),
        };
        let mut inner = self.inner.lock();
        inner.failures = if outcome.is_success() { 0 } else { inner.failures.saturating_add(1) };
        inner.last = Some(Last { at_ms, outcome: brief });
    }

    /// The destination wants no more.
    pub(super) fn gone(self: &Arc<Self>, reason: &str) {
        self.switch(Some(reason.to_owned()));
        let lane = Arc::clone(self);
        self.shared.tasks.spawn_piece(async move {
            let written = tokio::task::spawn_blocking({
                let lane = Arc::clone(&lane);
                move || lane.write_down()
            });
            if let Ok(Err(error)) = written.await {
                tracing::error!(destination = %lane.name, %error, "that the destination is gone was not written down");
            }
        });
    }

    /// None opens the lane, a reason closes it.
    pub(super) fn switch(&self, off: Option<String>) {
        self.change(|inner| inner.off = off);
    }

    /// Writes to the store whether the lane is open. Blocks.
    pub(super) fn write_down(&self) -> Result<(), crate::store::StoreError> {
        let _one = self.writing.lock();
        let off = self.inner.lock().off.clone();
        self.shared.store.set_disabled(&self.name, off.as_deref())
    }

    /// Takes new settings, for a lane that was removed before too.
    pub(super) fn configure(&self, settings: Arc<Settings>, limits: Limits) {
        self.change(|inner| {
            if inner.settings.rate != settings.rate {
                inner.rate = settings.rate.map(|rate| Bucket::new(rate, Instant::now()));
            }
            inner.settings = settings;
            inner.removed = false;
            inner.window.resize(limits);
        });
    }

    /// Starts no more attempts.
    pub(super) fn remove(&self) {
        self.change(|inner| inner.removed = true);
    }

    /// Starts no more attempts and ends the task.
    pub(super) fn end(&self) {
        self.inner.lock().ended = true;
        self.wake.notify_one();
    }

    /// Ends a removed lane for good if nothing is in flight.
    pub(super) fn end_if_idle(&self) -> bool {
        let idle = {
            let mut inner = self.inner.lock();
            inner.ended |= inner.removed && inner.in_flight == 0;
            inner.ended
        };
        self.wake.notify_one();
        idle
    }

    /// After any change of what opens and closes, the rows are looked at anew.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        {
            let mut inner = self.inner.lock();
            let before = inner.is_open();
            change(&mut inner);
            if inner.is_open() != before {
                inner.window.clear();
            }
        }
        self.wake.notify_one();
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.inner.lock().settings)
    }

    /// None where it is no longer in the settings.
    pub(super) fn status(&self) -> Option<Status> {
        let inner = self.inner.lock();
        if inner.removed {
            return None;
        }
        let by_settings = inner.settings.disabled.then(|| "disabled in the settings".to_owned());
        let reason = by_settings.or_else(|| inner.off.clone());
        Some(Status {
            destination: self.name.clone(),
            state: if reason.is_some() { State::Disabled } else { State::Running },
            reason,
            in_flight: inner.in_flight,
            window: inner.window.len(),
            failures: inner.failures,
            last: inner.last.clone(),
        })
    }
}

/// A place among a lane's attempts in flight, freed when dropped: a hard limit.
pub(super) struct Slot {
    lane: Arc<Lane>,
    event: EventId,
    due_ms: Option<u64>,
    freed: bool,
}

impl Slot {
    /// The delivery is due again then.
    pub(super) fn due_again(&mut self, due_ms: u64) {
        self.due_ms = Some(due_ms);
    }

    /// Frees the place and lets the next attempt start from here, without a
    /// detour through the lane's task.
    pub(super) fn free(mut self) {
        let wake = self.give_back();
        self.lane.pump();
        if wake {
            self.lane.wake.notify_one();
        }
    }

    /// True where the lane's task has something to see to.
    fn give_back(&mut self) -> bool {
        self.freed = true;
        self.lane.meter.attempt_ended();
        let mut inner = self.lane.inner.lock();
        inner.in_flight -= 1;
        inner.window.ended(self.event, self.due_ms);
        self.due_ms.is_some() || inner.window.wants_look() || inner.rate.is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.freed {
            // Cut off before it was settled: its row still waits.
            self.due_ms = Some(self.lane.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS));
            self.give_back();
            self.lane.wake.notify_one();
        }
    }
}
