//! One plugin version in force: its code, its bounds and its metrics.
use std::future::Future;
use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use http::HeaderName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::gate::report::Report;
use crate::run::call::{self, Aim, Answer, Call, Means, Setup};
use crate::run::code::Code;
use crate::run::fault::Fault;
use crate::run::slow::{Lane, Pace};
use crate::version::hands::{Hand, Hands};
use crate::version::health::{Change, Health, Quarantined};
use hookwright_model::Digest;
use hookwright_model::metrics::{
    INSTANCES, PLUGIN_LIMITS, PLUGIN_QUARANTINED, PLUGIN_QUARANTINES, PLUGIN_SECONDS, VERDICTS,
};
use hookwright_model::plugin::Spec;

/// A version in force. Calls in flight keep it alive after a swap.
pub(crate) struct Version {
    pub(crate) report: Arc<Report>,
    pub(crate) loaded_at_ms: u64,
    loaded: Instant,
    spec: Arc<Spec>,
    code: Arc<Code>,
    means: Means,
    pace: Pace,
    headers: Vec<HeaderName>,
    health: Health,
    /// Why it gets no events at all.
    condemned: Option<String>,
    metrics: Metrics,
}

/// Calls at a time that decide nothing (shadows and previews), over all plugins.
pub(crate) const ASIDE: u32 = 16;

/// What all calls share.
pub(crate) struct Floor {
    pub(crate) lane: Lane,
    /// Instances at a time, over all plugins.
    slots: Arc<Semaphore>,
    /// Threads and instances for calls that decide nothing: no event waits for those.
    aside: Lane,
    aside_slots: Arc<Semaphore>,
    in_use: Gauge,
    /// None outside a host.
    hands: Option<Arc<Hands>>,
}

/// The right to one instance; given back when it is dropped.
pub(crate) struct Seat {
    in_use: Gauge,
    hand: Option<Hand>,
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Floor {
    pub(crate) fn new(
        (lane, aside): (Lane, Lane),
        instances: usize,
        hands: Option<Arc<Hands>>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(instances));
        let aside_slots = Arc::new(Semaphore::new(ASIDE as usize));
        Self { lane, slots, aside, aside_slots, in_use: gauge!(INSTANCES), hands }
    }

    /// Who knows what plugins have in hand.
    pub(crate) fn hands(&self) -> Option<&Arc<Hands>> {
        self.hands.as_ref()
    }

    /// A seat for a call that decides nothing; none where all are taken.
    pub(crate) fn seat_aside(&self) -> Option<Seat> {
        let slot = self.aside_slots.clone().try_acquire_owned().ok()?;
        Some(self.taken(None, Some(slot)))
    }

    /// Waits while the plugin, or all plugins together, have as many calls
    /// under way as they may. The semaphores are never closed.
    pub(crate) async fn seat(&self, own: &Arc<Semaphore>, aim: Aim) -> Seat {
        if aim != Aim::Decide {
            let slot = self.aside_slots.clone().acquire_owned().await.ok();
            return self.taken(None, slot);
        }
        // Its own first: a plugin that waits for itself holds nothing that others want.
        let own = own.clone().acquire_owned().await.ok();
        let shared = self.slots.clone().acquire_owned().await.ok();
        self.taken(own, shared)
    }

    fn taken(
        &self,
        own: Option<OwnedSemaphorePermit>,
        shared: Option<OwnedSemaphorePermit>,
    ) -> Seat {
        self.in_use.increment(1);
        Seat { in_use: self.in_use.clone(), hand: None, _own: own, _shared: shared }
    }

    /// Where a call goes on that takes long.
    fn lane(&self, aim: Aim) -> &Lane {
        if aim == Aim::Decide { &self.lane } else { &self.aside }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.in_use.decrement(1);
    }
}

impl Version {
    pub(crate) fn new(
        spec: Arc<Spec>,
        report: Arc<Report>,
        code: Arc<Code>,
        means: Means,
        loaded_at_ms: u64,
        condemned: Option<String>,
    ) -> Self {
        // The settings' check refuses what is no header name.
        let headers = spec.headers.iter().filter_map(|name| name.parse().ok()).collect();
        let metrics = Metrics::new(spec.name.as_str(), &report.shape.digest.short());
        let health = Health::new(spec.quarantine);
        if let Some(why) = &condemned {
            let (plugin, digest) = (spec.name.as_str(), report.shape.digest.short());
            tracing::error!(plugin, digest, why, "the plugin's version gets no events");
            metrics.in_quarantine.increment(1);
        }
        Self {
            report,
            loaded_at_ms,
            loaded: Instant::now(),
            spec,
            code,
            means,
            pace: Pace::default(),
            headers,
            health,
            condemned,
            metrics,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.report.shape.digest
    }

    pub(crate) fn quarantined(&self) -> Option<Quarantined> {
        let condemned = self.condemned.as_ref().map(|why| Quarantined {
            why: why.clone(),
            lasts: self.loaded.elapsed(),
            next_probe: None,
        });
        condemned.or_else(|| self.health.quarantined())
    }

    /// Asks the plugin about an event, once it has a seat, unless it is quarantined.
    pub(crate) async fn call(
        &self,
        floor: &Floor,
        seat: impl Future<Output = Seat>,
        asked: &Call<'_>,
    ) -> Answer {
        if asked.aim == Aim::Preview {
            return match self.quarantined() {
                Some(Quarantined { why, .. }) => self.left_alone(why),
                None => self.ask(seat.await, floor, asked).await,
            };
        }
        let condemned = self.condemned.clone().map_or(Ok(()), Err);
        let admission = match condemned.and_then(|()| self.health.admit()) {
            Ok(admission) => admission,
            Err(why) => {
                self.metrics.quarantined.increment(1);
                return self.left_alone(why);
            }
        };
        let answer = self.ask(seat.await, floor, asked).await;
        if let Some(change) = admission.settle(&answer.result) {
            self.announce(&change);
        }
        self.metrics.record(&answer);
        answer
    }

    async fn ask(&self, mut seat: Seat, floor: &Floor, asked: &Call<'_>) -> Answer {
        if let Some(hands) = &floor.hands {
            seat.hand = hands.take(asked.event, &self.spec.name, self.digest(), asked.aim);
        }
        let setup = Setup {
            code: &self.code,
            plugin: &self.spec.name,
            limits: &self.spec.limits,
            headers: &self.headers,
            means: &self.means,
            pace: &self.pace,
        };
        let mut answer = call::call(&setup, floor.lane(asked.aim), asked, Some(seat)).await;
        answer.digest = Some(self.digest());
        answer
    }

    fn left_alone(&self, why: String) -> Answer {
        Answer::without_call(Some(self.digest()), Fault::Quarantined(why))
    }

    fn announce(&self, change: &Change) {
        let (plugin, digest) = (self.spec.name.as_str(), self.digest().short());
        match change {
            Change::Quarantined(why) => {
                tracing::error!(
                    plugin,
                    digest,
                    why,
                    "the plugin is quarantined: its events follow `on_failure` until probes go well or a new version comes"
                );
                self.metrics.quarantines.increment(1);
                self.metrics.in_quarantine.increment(1);
            }
            Change::Recovered => {
                tracing::info!(plugin, digest, "the plugin's quarantine is over");
                self.metrics.in_quarantine.decrement(1);
            }
        }
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        if self.quarantined().is_some() {
            self.metrics.in_quarantine.decrement(1);
        }
    }
}

/// Handles, fetched once a version.
struct Metrics {
    pass: Counter,
    amend: Counter,
    drop: Counter,
    deliver: Counter,
    retry: Counter,
    reject: Counter,
    fail: Counter,
    quarantined: Counter,
    quarantines: Counter,
    in_quarantine: Gauge,
    seconds: Histogram,
    plugin: String,
}

impl Metrics {
    fn new(plugin: &str, digest: &str) -> Self {
        let verdicts = |decision: &'static str| {
            let (plugin, digest) = (plugin.to_owned(), digest.to_owned());
            counter!(VERDICTS, "plugin" => plugin, "digest" => digest, "decision" => decision)
        };
        Self {
            pass: verdicts("pass"),
            amend: verdicts("amend"),
            drop: verdicts("drop"),
            deliver: verdicts("deliver"),
            retry: verdicts("retry"),
            reject: verdicts("reject"),
            fail: verdicts("fail"),
            quarantined: verdicts("quarantined"),
            quarantines: counter!(PLUGIN_QUARANTINES, "plugin" => plugin.to_owned()),
            in_quarantine: gauge!(PLUGIN_QUARANTINED, "plugin" => plugin.to_owned(), "digest" => digest.to_owned()),
            seconds: histogram!(PLUGIN_SECONDS, "plugin" => plugin.to_owned()),
            plugin: plugin.to_owned(),
        }
    }

    fn record(&self, answer: &Answer) {
        use crate::run::verdict::Verdict;
        match &answer.result {
            Ok(Verdict::Pass) => &self.pass,
            Ok(Verdict::Amend(_)) => &self.amend,
            Ok(Verdict::Drop(_)) => &self.drop,
            Ok(Verdict::Deliver(_)) => &self.deliver,
            Err(Fault::Retry(_)) => &self.retry,
            Err(Fault::Reject(_)) => &self.reject,
            Err(_) => &self.fail,
        }
        .increment(1);
        self.seconds.record(answer.took);
        // Rare: not worth a handle for each limit.
        if let Some(limit) = answer.result.as_ref().err().and_then(Fault::limit) {
            counter!(PLUGIN_LIMITS, "plugin" => self.plugin.clone(), "limit" => limit).increment(1);
        }
    }
}
