//! The metrics as numbers: what the recorder renders, read back for the console's figures.
use std::collections::HashMap;

/// Some of the metrics at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: Box<str>,
    labels: Vec<(Box<str>, Box<str>)>,
    value: f64,
}

/// How many observations were at or below each bound of [`super::SECONDS`], and in all.
pub type Buckets = Vec<u64>;

impl Snapshot {
    /// Keeps the metrics of these names out of a text in the Prometheus format.
    pub fn read(text: &str, names: &[&str]) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let wanted = lines.filter_map(|line| {
            let (head, value) = line.rsplit_once(' ')?;
            let (name, labels) = head.split_once('{').unwrap_or((head, ""));
            let base = name.strip_suffix("_bucket").unwrap_or(name);
            if !names.contains(&base) {
                return None;
            }
            Some(Sample { name: name.into(), labels: pairs(labels), value: value.parse().ok()? })
        });
        Self(wanted.collect())
    }

    /// The sum over all series of the name, by the value of `label`.
    pub fn by(&self, name: &str, label: &str) -> HashMap<String, u64> {
        self.by_where(name, label, |_| true)
    }

    /// Over those series only that have a label whose value `takes` takes.
    pub fn by_where(
        &self,
        name: &str,
        label: &str,
        takes: impl Fn(&str) -> bool,
    ) -> HashMap<String, u64> {
        let mut sums = HashMap::new();
        for sample in self.0.iter().filter(|sample| *sample.name == *name) {
            if sample.labels.iter().any(|(_, value)| takes(value)) {
                *sums.entry(sample.label(label).to_owned()).or_default() += sample.value as u64;
            }
        }
        sums
    }

    /// The histogram of the name, by the value of `label`.
    pub fn buckets(&self, name: &str, label: &str) -> HashMap<String, Buckets> {
        let full = format!("{name}_bucket");
        let mut all: HashMap<String, Buckets> = HashMap::new();
        // Rendered in the order of the bounds.
        for sample in self.0.iter().filter(|sample| *sample.name == *full) {
            let buckets = all.entry(sample.label(label).to_owned()).or_default();
            buckets.push(sample.value as u64);
        }
        all
    }
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| **label == *name);
        found.map_or("", |(_, value)| value)
    }
}

/// Values are names and words of ours: none has a quote or a comma.
fn pairs(labels: &str) -> Vec<(Box<str>, Box<str>)> {
    let each = labels.trim_end_matches('}').split(',');
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((name.into(), value.trim_matches('"').into()))
    };
    each.filter_map(pair).collect()
}

/// The value below which the share `q` of the observations lies, in seconds;
/// none where there is none. Linear within a bucket, as `histogram_quantile`
/// of Prometheus estimates it; beyond the last bound, that bound.
pub fn quantile(buckets: &[u64], q: f64) -> Option<f64> {
    let all = *buckets.last().filter(|all| **all > 0)?;
    let rank = q * all as f64;
    let place = buckets.iter().position(|below| *below as f64 >= rank)?;
    let Some(upper) = super::SECONDS.get(place) else { return super::SECONDS.last().copied() };
    let (lower, below) = match place.checked_sub(1) {
        None => (0.0, 0),
        Some(before) => (super::SECONDS[before], buckets[before]),
    };
    let inside = (buckets[place] - below).max(1) as f64;
    Some(lower + (upper - lower) * (rank - below as f64) / inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ATTEMPTS, LAG_SECONDS, SECONDS};

    #[test]
    fn what_the_recorder_renders_is_read_back() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
            .set_buckets(SECONDS)
            .unwrap()
            .build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for outcome in ["2xx", "2xx", "5xx"] {
                let labels = [("destination", "ci"), ("outcome", outcome)];
                metrics::counter!(ATTEMPTS, &labels).increment(1);
            }
            for seconds in [0.2, 0.2, 0.2, 20.0] {
                metrics::histogram!(LAG_SECONDS, "destination" => "ci").record(seconds);
            }
            metrics::gauge!("hookwright_other").set(1.0);
        });
        let text = recorder.handle().render();
        let read = Snapshot::read(&text, &[ATTEMPTS, LAG_SECONDS]);
        let good = read.by_where(ATTEMPTS, "destination", |value| value == "2xx");
        assert_eq!(good["ci"], 2);
        let lag = &read.buckets(LAG_SECONDS, "destination")["ci"];
        assert_eq!((lag.len(), *lag.last().unwrap()), (SECONDS.len() + 1, 4));
        assert!((0.1..0.5).contains(&quantile(lag, 0.5).unwrap()));
        assert!((5.0..30.0).contains(&quantile(lag, 0.99).unwrap()));
    }

    #[test]
    fn a_quantile_lies_within_the_bounds() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[0; 17], 0.5), None);
        let mut beyond = vec![0; SECONDS.len() + 1];
        *beyond.last_mut().unwrap() = 3;
        assert_eq!(quantile(&beyond, 0.5), SECONDS.last().copied());
        assert_eq!(quantile(&vec![4; SECONDS.len() + 1], 0.5), Some(SECONDS[0] / 2.0));
    }
}
