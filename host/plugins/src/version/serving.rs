//! One plugin active version: its code, its bounds and its metrics.
use std::future::Future;
use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use http::HeaderName;
use tokio::time::Instant;

use crate::gate::Report;
use crate::run::{
    Answer, Call, CallMode, Capabilities, Code, Fault, LaneHint, Permit, Pool, Setup,
    SharedRuntime, Verdict, call,
};
use crate::version::health::{Change, Health, Quarantined};
use crate::version::ledger::InFlightLedger;
use hookwright_model::metrics::{
    PLUGIN_LIMITS, PLUGIN_QUARANTINED, PLUGIN_QUARANTINES, PLUGIN_SECONDS, VERDICTS,
};
use hookwright_model::plugin::Spec;
use hookwright_model::{Digest, EventId};

/// An active version. Calls in flight keep it alive after a swap.
pub(crate) struct Version {
    pub(crate) report: Arc<Report>,
    pub(crate) loaded_at_ms: u64,
    loaded: Instant,
    spec: Arc<Spec>,
    code: Arc<Code>,
    capabilities: Capabilities,
    /// Where its instances are kept; none where each event has a fresh one.
    pool: Option<Arc<Pool>>,
    /// Where its calls are marked; none outside a host.
    ledger: Option<Arc<InFlightLedger>>,
    hint: LaneHint,
    headers: Vec<HeaderName>,
    health: Health,
    /// Why it gets no events at all: the host crashed with its calls in flight, over and over.
    crash_loop: Option<String>,
    metrics: Metrics,
}

/// What loading made of a component.
pub(crate) struct Loaded {
    pub(crate) report: Arc<Report>,
    pub(crate) code: Arc<Code>,
    pub(crate) capabilities: Capabilities,
    pub(crate) pool: Option<Arc<Pool>>,
}

impl Version {
    pub(crate) fn new(
        spec: Arc<Spec>,
        Loaded { report, code, capabilities, pool }: Loaded,
        ledger: Option<Arc<InFlightLedger>>,
        loaded_at_ms: u64,
    ) -> Self {
        let digest = report.shape.digest;
        let crash_loop = ledger.as_ref().and_then(|ledger| ledger.crash_loop(&spec.name, digest));
        // The settings' check refuses what is not a header name.
        let headers = spec.headers.iter().filter_map(|name| name.parse().ok()).collect();
        let metrics = Metrics::new(spec.name.as_str(), &report.shape.digest.short());
        let health = Health::new(spec.quarantine);
        if let Some(why) = &crash_loop {
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
            capabilities,
            pool,
            ledger,
            hint: LaneHint::default(),
            headers,
            health,
            crash_loop,
            metrics,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.report.shape.digest
    }

    pub(crate) fn quarantined(&self) -> Option<Quarantined> {
        let crash_loop = self.crash_loop.as_ref().map(|why| Quarantined {
            why: why.clone(),
            lasts: self.loaded.elapsed(),
            next_probe: None,
        });
        crash_loop.or_else(|| self.health.quarantined())
    }

    /// Asks the plugin about an event, once it has a permit, unless it is quarantined.
    pub(crate) async fn call(
        &self,
        shared: &SharedRuntime,
        permit: impl Future<Output = Permit>,
        asked: &Call<'_>,
    ) -> Answer {
        if asked.mode == CallMode::Preview {
            return match self.quarantined() {
                Some(Quarantined { why, .. }) => self.left_alone(why),
                None => self.ask(permit.await, shared, asked).await,
            };
        }
        let crash_loop = self.crash_loop.clone().map_or(Ok(()), Err);
        let admission = match crash_loop.and_then(|()| self.health.admit()) {
            Ok(admission) => admission,
            Err(why) => {
                self.metrics.quarantined.increment(1);
                return self.left_alone(why);
            }
        };
        let answer = self.ask(permit.await, shared, asked).await;
        if let Some(change) = admission.settle(&answer.result) {
            self.announce(&change);
        }
        self.metrics.record(&answer);
        answer
    }

    /// Whether the event was in flight when the host crashed.
    pub(crate) fn suspects(&self, event: EventId) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.is_suspected(event))
    }

    async fn ask(&self, permit: Permit, shared: &SharedRuntime, asked: &Call<'_>) -> Answer {
        let ledger = self.ledger.as_ref();
        let entry = ledger.and_then(|ledger| {
            ledger.take(asked.event, &self.spec.name, self.digest(), asked.mode)
        });
        let setup = Setup {
            code: &self.code,
            plugin: &self.spec.name,
            limits: &self.spec.limits,
            headers: &self.headers,
            capabilities: &self.capabilities,
            pool: self.pool.as_ref(),
            hint: &self.hint,
        };
        let mut answer = call(&setup, shared.lane(asked.mode), asked, (entry, permit)).await;
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
