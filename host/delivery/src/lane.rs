//! One destination's lane: takes hand-offs, polls the rows, and starts attempts within the limits.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt;
use super::health::Ticket;
use super::inner::Inner;
use super::meter::Meter;
use super::permit::Permit;
use super::settings::Settings;
use super::signal::HealthSignal;
use super::status::{Last, Status};
use super::window::{Limits, Offered, Poll, Rein, SWEEP_MS};
use hookwright_model::breaker::Change;
use hookwright_model::clock::{Clock, millis};
use hookwright_model::sliding_counter::Counts;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Delivery, Name, Outcome, Response};
use hookwright_store::{Claim, Condition, Conditions, DuePage, GivenUp, StoreError, WorkQueue};
use hookwright_telemetry::traces::Spans;

/// After the store failed.
pub(super) const STORE_PAUSE_MS: u64 = 1_000;

/// What all lanes share.
pub(super) struct Shared {
    pub(super) queue: Arc<dyn WorkQueue>,
    pub(super) conditions: Arc<dyn Conditions>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) attempts: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
    /// No new attempts.
    pub(super) stop: CancellationToken,
    /// No attempts at all.
    pub(super) cut: CancellationToken,
    pub(super) traces: Option<Arc<Spans>>,
}

pub(super) struct Lane {
    pub(super) name: Name,
    pub(super) shared: Arc<Shared>,
    pub(super) meter: Meter,
    pub(super) cut: CancellationToken,
    pub(super) wake: Notify,
    pub(super) inner: Mutex<Inner>,
    /// One write of the condition to the store at a time, the latest last.
    pub(super) writing: tokio::sync::Mutex<()>,
}

impl Lane {
    pub(super) fn new(
        name: Name,
        shared: Arc<Shared>,
        settings: Arc<Settings>,
        condition: Condition,
        limits: Limits,
    ) -> Arc<Self> {
        let meter = Meter::new(&name);
        meter.begin(&*settings.kind);
        let now = (Instant::now(), shared.clock.now_ms());
        let inner = Inner::new(settings, condition, limits, now);
        let lane = Arc::new(Self {
            meter,
            name,
            cut: shared.cut.child_token(),
            shared,
            wake: Notify::new(),
            inner: Mutex::new(inner),
            writing: tokio::sync::Mutex::default(),
        });
        lane.show(&mut lane.inner.lock());
        lane
    }

    /// Sets the gauges where what they say has changed.
    fn show(&self, inner: &mut Inner) {
        if let Some(shown) = inner.news() {
            self.meter.show(shown);
        }
    }

    /// Called on any thread, the store's own too: no more than short locks. The
    /// attempt starts from here, without a detour through the lane's task.
    pub(super) fn offer(self: &Arc<Self>, delivery: Delivery, now_ms: u64) {
        let wake = {
            let mut inner = self.inner.lock();
            // Closed: the row keeps it, and opening polls the rows.
            if !inner.takes() {
                return;
            }
            let offered = inner.window.offer(delivery, now_ms);
            offered == Offered::LeftToRow
        };
        if self.pump() | wake {
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
            let Some(until) = self.poll_or_wait() else { return };
            timer.as_mut().reset(until);
            tokio::select! {
                () = self.wake.notified() => {}
                () = &mut timer => {}
                () = &mut stopped => self.end(),
            }
        }
    }

    /// Starts as many attempts as limits and state allow. True where time alone
    /// allows the next one: the lane's task has to watch it.
    pub(super) fn pump(self: &Arc<Self>) -> bool {
        loop {
            let next = {
                let mut inner = self.inner.lock();
                match inner.too_old(&self.shared.clock) {
                    over if !over.is_empty() => Err(over),
                    _ => match inner.next() {
                        Some(next) => Ok(next),
                        None => return inner.later().is_some(),
                    },
                }
            };
            let (load, settings, ticket) = match next {
                Ok(next) => next,
                Err(over) => {
                    self.give_up(over);
                    continue;
                }
            };
            self.meter.attempt_began();
            let permit = Permit::new(Arc::clone(self), &load, ticket);
            let attempt = attempt::run(Arc::clone(self), settings, load, permit);
            self.shared.attempts.spawn_on(attempt, &self.shared.runtime);
        }
    }

    /// Ends deliveries without an attempt. The store is told first: a claim that
    /// comes afterwards has it.
    fn give_up(&self, over: Vec<(Delivery, String)>) {
        for (delivery, cause) in over {
            let (event, destination) = (delivery.event.id, &self.name);
            tracing::warn!(%event, %destination, cause, "not delivered; given up");
            self.meter.dead();
            let ordered = delivery.order_key.is_some();
            let given_up = GivenUp { key: delivery.key(), cause, ordered };
            if let Err(error) = self.shared.queue.given_up(given_up) {
                tracing::debug!(%event, %error, "a delivery was given up after the close; it is claimed again");
            }
            self.inner.lock().window.ended(event, None);
        }
        // There may be room to poll the rows again.
        self.wake.notify_one();
    }

    /// Begins a poll of the rows if it is time. Answers when to come back at the latest; none at the end.
    fn poll_or_wait(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let now_ms = self.shared.clock.now_ms();
        let mut inner = self.inner.lock();
        if inner.ended {
            return None;
        }
        let mut until = now + Duration::from_millis(SWEEP_MS);
        if let Some(shut) = inner.shut_until(now) {
            return Some(shut.min(until));
        }
        if !inner.is_open() {
            return Some(until);
        }
        if let Some(poll) = inner.window.poll(now_ms) {
            let policy = &inner.settings.policy;
            let longest = match poll.rein {
                Some(Rein::SetBack) => policy.longest_backoff(),
                _ => policy.longest_wait(),
            };
            self.shared.tasks.spawn_piece(Arc::clone(self).poll(poll, longest));
        } else if let Some(at_ms) = inner.window.wake_at() {
            until =
                until.min(now + Duration::from_millis(at_ms.saturating_sub(now_ms).min(SWEEP_MS)));
        }
        Some(inner.later().map_or(until, |at| at.min(until)))
    }

    /// Waits of more than `longest` are none that the policy has made.
    async fn poll(self: Arc<Self>, poll: Poll, longest: Duration) {
        let read = self.claim(poll, longest).await;
        {
            let mut inner = self.inner.lock();
            match read {
                Ok((page, now_ms)) => inner.window.done(page, poll.limit, now_ms),
                Err(error) => {
                    let again_ms = self.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS);
                    tracing::warn!(destination = %self.name, %error, "waiting deliveries can't be read; will be tried again");
                    inner.window.failed(poll, again_ms);
                }
            }
            if !inner.takes() {
                inner.window.clear();
            }
        }
        self.wake.notify_one();
    }

    /// The deliveries that are due, and by which time.
    async fn claim(&self, poll: Poll, longest: Duration) -> Result<(DuePage, u64), StoreError> {
        let Shared { queue, clock, .. } = &*self.shared;
        let now_ms = clock.now_ms();
        if poll.rein.is_some() {
            let reined = queue.rein_in(Some(&self.name), now_ms, longest).await?;
            if reined > 0 {
                tracing::warn!(destination = %self.name, reined, "deliveries waited for a time that a wrong clock gave them; they are due now");
            }
        }
        let claim = Claim { of: &self.name, now_ms, after: None, limit: poll.limit };
        Ok((queue.claim_deliveries(claim).await?, now_ms))
    }

    /// An attempt that began at `at_ms` with the ticket ended at `now`.
    pub(super) fn note_response(
        self: &Arc<Self>,
        (at_ms, ticket): (u64, Ticket),
        response: &Response,
        now: Instant,
    ) {
        let signal = HealthSignal::of(response);
        let brief = match &response.outcome {
            Outcome::Answered { status, retry_after_s, .. } => Outcome::Answered {
                status: *status,
                retry_after_s: *retry_after_s,
                excerpt: bytes::Bytes::new(),
            },
            other => other.clone(),
        };
        let (change, failing) = {
            let mut inner = self.inner.lock();
            let well = response.is_accepted();
            // Our own queue is not a failure of the destination.
            let counts = signal != HealthSignal::Queued;
            inner.history.note(Last { at_ms, outcome: brief }, well, counts);
            let change = inner.health.ended(ticket, signal, now);
            match change {
                Some(Change::Opened { .. }) => inner.window.clear(),
                Some(Change::Closed) => {
                    let limits = inner.limits;
                    inner.window.resize(limits);
                }
                None => {}
            }
            self.show(&mut inner);
            let mut failing = None;
            if counts {
                let disable_after = inner.settings.disable_after;
                let disable_after = disable_after.filter(|_| inner.switch.disabled().is_none());
                failing = inner.history.judge(well, (at_ms, now), disable_after);
            }
            (change, failing)
        };
        if let Some(change) = change {
            self.tell(change);
        }
        if let Some(failing) = failing {
            self.follow(failing);
        }
    }

    /// What the breaker did, for those who watch.
    fn tell(&self, change: Change) {
        match change {
            Change::Opened { wait, counts: Counts { failed, all } } => {
                let wait_ms = millis(wait);
                tracing::warn!(destination = %self.name, failed, of = all, wait_ms, "the breaker is open: nothing is sent until a probe, deliveries wait");
                self.meter.breaker_opened();
            }
            Change::Closed => {
                tracing::info!(destination = %self.name, "the breaker is closed: the destination is well again");
            }
        }
        self.wake.notify_one();
    }

    /// Takes new settings, for a lane that was removed before too.
    pub(super) fn configure(&self, settings: Arc<Settings>, limits: Limits) {
        self.meter.begin(&*settings.kind);
        self.change(|inner| {
            if inner.settings.rate != settings.rate {
                inner.pacing.set_rate(settings.rate);
            }
            inner.health.configure(settings.health.clone());
            inner.known = Default::default();
            inner.settings = settings;
            inner.removed = false;
            inner.limits = limits;
            inner.window.resize(limits);
            // The new ones may have credentials that work.
            if inner.health.is_locked() {
                inner.recover();
            }
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

    /// After any change of what opens and closes, the rows are polled again.
    pub(super) fn change(&self, change: impl FnOnce(&mut Inner)) {
        {
            let mut inner = self.inner.lock();
            let before = inner.takes();
            change(&mut inner);
            if inner.takes() != before {
                inner.window.clear();
            }
            self.show(&mut inner);
        }
        self.wake.notify_one();
    }

    /// None where it is no longer in the settings.
    pub(super) fn status(&self) -> Option<Status> {
        let now = (Instant::now(), self.shared.clock.now_ms());
        Status::of(&self.name, &self.inner.lock(), now)
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.inner.lock().settings)
    }
}
