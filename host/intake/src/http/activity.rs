//! What happens at a source beside its events: refused requests, and what is unusual.
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ::metrics::gauge;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::Handle;
use super::anomaly::{Anomaly, Detector, Minute};
use super::known::Known;
use super::rejects::Rejects;
use hookwright_model::metrics::SOURCE_ANOMALY;
use hookwright_model::tasks::Tasks;

/// How long the detector's minutes are.
const MINUTE: Duration = Duration::from_secs(60);

/// One source's; it outlives new settings.
#[derive(Default)]
pub(super) struct Activity {
    pub(super) rejects: Rejects,
    accepted: AtomicU64,
    unverified: AtomicU64,
    /// Where the source's own requests come from.
    known: Known,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    detector: Detector,
    now: Vec<Anomaly>,
    /// The source's name, once it was told to be unusual or not.
    told: Option<String>,
}

/// A source that is in the settings no more is not unusual any more.
impl Drop for Activity {
    fn drop(&mut self) {
        let Watched { told, .. } = self.watched.get_mut();
        for anomaly in Anomaly::ALL {
            if let Some(source) = told {
                gauge!(SOURCE_ANOMALY, "source" => source.clone(), "anomaly" => anomaly.as_str())
                    .set(0.0);
            }
        }
    }
}

impl Activity {
    pub(super) fn accepted(&self, client: IpAddr) {
        self.accepted.fetch_add(1, Relaxed);
        self.known.add(client);
    }

    /// Counts a request that could not be verified, unless it is a stranger's:
    /// from elsewhere than all that were accepted. Until one is, nobody is known.
    pub(super) fn unverified(&self, client: IpAddr) {
        if self.known.is_empty() || self.known.has(client) {
            self.unverified.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn anomalies(&self) -> Vec<Anomaly> {
        self.watched.lock().now.clone()
    }

    /// A minute has passed.
    pub(super) fn minute(&self, source: &str) {
        let accepted = self.accepted.swap(0, Relaxed);
        let unverified = self.unverified.swap(0, Relaxed);
        let mut watched = self.watched.lock();
        let found = watched.detector.minute(Minute { accepted, unverified });
        for anomaly in Anomaly::ALL {
            let (before, now) = (watched.now.contains(&anomaly), found.contains(&anomaly));
            let name = anomaly.as_str();
            if now && !before {
                tracing::warn!(source, anomaly = name, accepted, unverified, "a source is unusual");
            } else if before && !now {
                tracing::info!(source, anomaly = name, "a source is as usual again");
            }
            let value = if now { 1.0 } else { 0.0 };
            gauge!(SOURCE_ANOMALY, "source" => source.to_owned(), "anomaly" => name).set(value);
        }
        watched.now = found;
        watched.told.get_or_insert_with(|| source.to_owned());
    }
}

/// Looks at all sources once a minute, until the stop.
pub fn watch(handle: &Handle, tasks: &Tasks) {
    let (stop, handle) = (tasks.stopping(), handle.clone());
    tasks.spawn("anomalies", async move {
        let mut minutes = tokio::time::interval(MINUTE);
        minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        minutes.tick().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = minutes.tick() => handle.minute(),
            }
        }
    });
}
