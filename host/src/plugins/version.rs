//! One plugin version in force: its code, its bounds and its metrics.
use std::sync::Arc;
use std::time::Instant;

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use http::HeaderName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call::{self, Answer, Call, Setup};
use super::code::Code;
use super::report::Report;
use super::slow::Lane;
use super::spec::Spec;
use crate::metrics::{INSTANCES, PLUGIN_LIMITS, PLUGIN_SECONDS, VERDICTS};
use crate::model::Digest;

/// A version in force. Calls in flight keep it alive after a swap.
pub(super) struct Version {
    pub(super) report: Arc<Report>,
    pub(super) loaded_at_ms: u64,
    spec: Arc<Spec>,
    code: Arc<Code>,
    headers: Vec<HeaderName>,
    metrics: Metrics,
}

/// What all calls share.
pub(super) struct Floor {
    pub(super) lane: Lane,
    /// Instances at a time, over all plugins.
    slots: Arc<Semaphore>,
    in_use: Gauge,
}

/// The right to one instance; given back when it is dropped.
pub(super) struct Seat {
    in_use: Gauge,
    _own: Option<OwnedSemaphorePermit>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Floor {
    pub(super) fn new(lane: Lane, instances: usize) -> Self {
        Self { lane, slots: Arc::new(Semaphore::new(instances)), in_use: gauge!(INSTANCES) }
    }

    /// Waits while the plugin, or all plugins together, have as many calls
    /// under way as they may. The semaphores are never closed.
    async fn seat(&self, own: &Arc<Semaphore>) -> Seat {
        // Its own first: a plugin that waits for itself holds nothing that others want.
        let own = own.clone().acquire_owned().await.ok();
        let shared = self.slots.clone().acquire_owned().await.ok();
        self.in_use.increment(1);
        Seat { in_use: self.in_use.clone(), _own: own, _shared: shared }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.in_use.decrement(1);
    }
}

impl Version {
    pub(super) fn new(
        spec: Arc<Spec>,
        report: Arc<Report>,
        code: Arc<Code>,
        loaded_at_ms: u64,
    ) -> Self {
        // The settings' check refuses what is no header name.
        let headers = spec.headers.iter().filter_map(|name| name.parse().ok()).collect();
        let metrics = Metrics::new(spec.name.as_str(), &report.shape.digest.short());
        Self { report, loaded_at_ms, spec, code, headers, metrics }
    }

    pub(super) fn digest(&self) -> Digest {
        self.report.shape.digest
    }

    /// Asks the plugin about an event, once there is a seat.
    pub(super) async fn call(
        &self,
        floor: &Floor,
        own: &Arc<Semaphore>,
        asked: &Call<'_>,
    ) -> Answer {
        let seat = floor.seat(own).await;
        let started = Instant::now();
        let setup = Setup {
            code: &self.code,
            plugin: &self.spec.name,
            limits: &self.spec.limits,
            headers: &self.headers,
        };
        let (result, log) = call::call(&setup, &floor.lane, asked, Some(seat)).await;
        let answer = Answer { digest: Some(self.digest()), took: started.elapsed(), log, result };
        self.metrics.record(&answer);
        answer
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
            seconds: histogram!(PLUGIN_SECONDS, "plugin" => plugin.to_owned()),
            plugin: plugin.to_owned(),
        }
    }

    fn record(&self, answer: &Answer) {
        use super::fault::Fault;
        use super::verdict::Verdict;
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
