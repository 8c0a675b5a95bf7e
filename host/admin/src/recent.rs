//! The last hour in figures: a sample of the metrics every ten seconds, kept in memory.
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use hookwright_model::metrics::{self as names, Buckets, Snapshot, quantile};

/// Milliseconds from one sample to the next.
pub const STEP_MS: u64 = 10_000;
/// Points that are kept: an hour.
const POINTS: usize = 360;
/// Samples that `recent` figures reach back: five minutes.
const SAMPLES: usize = 30;

const METRICS: [&str; 8] = [
    names::EVENTS,
    names::REFUSED,
    names::DELIVERIES,
    names::ATTEMPTS,
    names::ATTEMPT_SECONDS,
    names::LAG_SECONDS,
    names::VERDICTS,
    names::PLUGIN_SECONDS,
];

/// What happened within one step.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct Point {
    /// Its end, milliseconds since 1970.
    pub(super) at_ms: u64,
    /// Events.
    pub(super) accepted: u64,
    /// Requests of sources.
    pub(super) refused: u64,
    /// Deliveries.
    pub(super) delivered: u64,
    pub(super) dead: u64,
    /// Attempts.
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Deliveries, at the end of the step.
    pub(super) waiting: u64,
    /// From acceptance to delivery, milliseconds; none where nothing was delivered.
    pub(super) lag_p50_ms: Option<f64>,
    pub(super) lag_p99_ms: Option<f64>,
}

/// The last five minutes of a source.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct SourceRecent {
    pub(super) events: u64,
    pub(super) refused: u64,
}

/// The last five minutes of a destination.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct DestinationRecent {
    /// Attempts.
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Of one attempt, milliseconds.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// From acceptance to delivery, milliseconds.
    pub(super) lag_p50_ms: Option<f64>,
    pub(super) lag_p99_ms: Option<f64>,
}

/// The last five minutes of a plugin.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct PluginRecent {
    pub(super) calls: u64,
    pub(super) failed: u64,
    /// Of one call, microseconds.
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

/// Counts since the start, by name.
#[derive(Debug, Clone, Default)]
struct Sample {
    events: HashMap<String, u64>,
    refused: HashMap<String, u64>,
    delivered: HashMap<String, u64>,
    dead: HashMap<String, u64>,
    succeeded: HashMap<String, u64>,
    failed: HashMap<String, u64>,
    attempts: HashMap<String, Buckets>,
    lag: HashMap<String, Buckets>,
    calls: HashMap<String, Buckets>,
    plugin_failed: HashMap<String, u64>,
}

/// The last hour. Clones share it.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    points: VecDeque<Point>,
    samples: VecDeque<Sample>,
}

impl Sample {
    fn new(text: &str) -> Self {
        let read = Snapshot::read(text, &METRICS);
        let (deliveries, attempts) = (names::DELIVERIES, names::ATTEMPTS);
        let all = read.by(attempts, "destination");
        let succeeded =
            read.by_where(attempts, "destination", |value| names::GOOD_OUTCOMES.contains(&value));
        let failed = all.into_iter().map(|(name, all)| {
            let good = succeeded.get(&name).copied().unwrap_or_default();
            (name, all.saturating_sub(good))
        });
        Self {
            events: read.by(names::EVENTS, "source"),
            refused: read.by(names::REFUSED, "source"),
            delivered: read.by_where(deliveries, "destination", |value| value == "delivered"),
            dead: read.by_where(deliveries, "destination", |value| value == "dead"),
            failed: failed.collect(),
            succeeded,
            attempts: read.buckets(names::ATTEMPT_SECONDS, "destination"),
            lag: read.buckets(names::LAG_SECONDS, "destination"),
            calls: read.buckets(names::PLUGIN_SECONDS, "plugin"),
            plugin_failed: read.by_where(names::VERDICTS, "plugin", |value| value == "fail"),
        }
    }
}

impl Recent {
    /// Takes a sample: the metrics as text, and the deliveries that wait.
    pub fn sample(&self, text: &str, waiting: u64, now_ms: u64) {
        let sample = Sample::new(text);
        let mut kept = self.0.lock();
        if let Some(before) = kept.samples.back() {
            let point = point(before, &sample, waiting, now_ms);
            kept.points.push_back(point);
        }
        kept.samples.push_back(sample);
        while kept.points.len() > POINTS {
            kept.points.pop_front();
        }
        while kept.samples.len() > SAMPLES + 1 {
            kept.samples.pop_front();
        }
    }

    /// The newest points that end after `since_ms`, the oldest first.
    pub(super) fn points(&self, since_ms: u64) -> Vec<Point> {
        let kept = self.0.lock();
        kept.points.iter().filter(|point| point.at_ms > since_ms).cloned().collect()
    }

    pub(super) fn source(&self, name: &str) -> SourceRecent {
        self.over(|old, new| SourceRecent {
            events: grown(&old.events, &new.events, name),
            refused: grown(&old.refused, &new.refused, name),
        })
    }

    pub(super) fn destination(&self, name: &str) -> DestinationRecent {
        self.over(|old, new| {
            let took = spread(&old.attempts, &new.attempts, name);
            let lag = spread(&old.lag, &new.lag, name);
            DestinationRecent {
                succeeded: grown(&old.succeeded, &new.succeeded, name),
                failed: grown(&old.failed, &new.failed, name),
                p50_ms: scaled(&took, 0.5, 1e3),
                p99_ms: scaled(&took, 0.99, 1e3),
                lag_p50_ms: scaled(&lag, 0.5, 1e3),
                lag_p99_ms: scaled(&lag, 0.99, 1e3),
            }
        })
    }

    pub(super) fn plugin(&self, name: &str) -> PluginRecent {
        self.over(|old, new| {
            let took = spread(&old.calls, &new.calls, name);
            PluginRecent {
                calls: took.last().copied().unwrap_or_default(),
                failed: grown(&old.plugin_failed, &new.plugin_failed, name),
                p50_us: scaled(&took, 0.5, 1e6),
                p99_us: scaled(&took, 0.99, 1e6),
            }
        })
    }

    /// From the oldest sample that is kept to the newest.
    fn over<T: Default>(&self, between: impl FnOnce(&Sample, &Sample) -> T) -> T {
        let kept = self.0.lock();
        match (kept.samples.front(), kept.samples.back()) {
            (Some(old), Some(new)) => between(old, new),
            _ => T::default(),
        }
    }
}

fn point(old: &Sample, new: &Sample, waiting: u64, at_ms: u64) -> Point {
    let all = |old: &HashMap<String, u64>, new: &HashMap<String, u64>| {
        new.values().sum::<u64>().saturating_sub(old.values().sum())
    };
    let mut lag = Buckets::new();
    for name in new.lag.keys() {
        let own = spread(&old.lag, &new.lag, name);
        lag.resize(own.len().max(lag.len()), 0);
        lag.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    Point {
        at_ms,
        accepted: all(&old.events, &new.events),
        refused: all(&old.refused, &new.refused),
        delivered: all(&old.delivered, &new.delivered),
        dead: all(&old.dead, &new.dead),
        succeeded: all(&old.succeeded, &new.succeeded),
        failed: all(&old.failed, &new.failed),
        waiting,
        lag_p50_ms: scaled(&lag, 0.5, 1e3),
        lag_p99_ms: scaled(&lag, 0.99, 1e3),
    }
}

fn grown(old: &HashMap<String, u64>, new: &HashMap<String, u64>, name: &str) -> u64 {
    let of = |all: &HashMap<String, u64>| all.get(name).copied().unwrap_or_default();
    of(new).saturating_sub(of(old))
}

fn spread(old: &HashMap<String, Buckets>, new: &HashMap<String, Buckets>, name: &str) -> Buckets {
    let Some(new) = new.get(name) else { return Buckets::new() };
    let before = |place: usize| old.get(name).and_then(|old| old.get(place)).copied();
    let grown = |(place, now): (usize, &u64)| now.saturating_sub(before(place).unwrap_or(0));
    new.iter().enumerate().map(grown).collect()
}

fn scaled(buckets: &[u64], q: f64, unit: f64) -> Option<f64> {
    quantile(buckets, q).map(|seconds| (seconds * unit * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(delivered: u64) -> String {
        format!(
            "# TYPE x counter\n\
             hookwright_events_total{{source=\"a\"}} {delivered}\n\
             hookwright_deliveries_total{{destination=\"ci\",state=\"delivered\"}} {delivered}\n\
             hookwright_delivery_attempts_total{{destination=\"ci\",outcome=\"5xx\"}} 3\n"
        )
    }

    #[test]
    fn points_tell_what_came_within_their_step() {
        let recent = Recent::default();
        recent.sample(&text(5), 2, 10_000);
        assert!(recent.points(0).is_empty(), "one sample is not a step");
        recent.sample(&text(9), 1, 20_000);
        let points = recent.points(0);
        assert_eq!((points[0].accepted, points[0].delivered, points[0].failed), (4, 4, 0));
        assert_eq!((points[0].waiting, points[0].at_ms), (1, 20_000));
        assert_eq!(recent.source("a").events, 4);
        assert_eq!(recent.destination("ci").failed, 0);
        assert!(recent.points(20_000).is_empty());
    }

    /// A healthy file destination showed "0 ok, 50 failed" in the API, the
    /// command and the console.
    #[test]
    fn regression_what_a_file_took_is_a_success() {
        let recent = Recent::default();
        let text = |taken: u64| {
            format!(
                "hookwright_delivery_attempts_total{{destination=\"f\",outcome=\"taken\"}} {taken}\n\
                 hookwright_delivery_attempts_total{{destination=\"f\",outcome=\"write\"}} 2\n"
            )
        };
        recent.sample(&text(10), 0, 10_000);
        recent.sample(&text(60), 0, 20_000);
        let shown = recent.destination("f");
        assert_eq!((shown.succeeded, shown.failed), (50, 0));
        let point = &recent.points(0)[0];
        assert_eq!((point.succeeded, point.failed), (50, 0));
    }

    #[test]
    fn an_hour_and_no_more_is_kept() {
        let recent = Recent::default();
        for step in 0..POINTS as u64 + 10 {
            recent.sample(&text(step), 0, step * STEP_MS);
        }
        assert_eq!(recent.points(0).len(), POINTS);
        assert_eq!(recent.source("a").events, SAMPLES as u64);
    }
}
