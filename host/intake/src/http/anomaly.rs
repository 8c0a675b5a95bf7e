//! What is unusual about a source, told from its counts minute by minute. Pure.
use serde::Serialize;

/// Minutes that are looked at together for failing signatures.
const RECENT: usize = 5;
/// So many of them, and more than half of all requests.
const FAILURES: u64 = 10;
/// The usual rate is a mean over so many minutes, six hours.
const MEMORY: f64 = 360.0;
/// Minutes before the usual rate counts as known.
const LEARNT: f64 = 30.0;
/// A spike is so many times the usual, and no less than this in a minute.
const SPIKE: f64 = 10.0;
const SPIKE_LEAST: u64 = 100;
/// A source is silent once so many events are missing that it would be by
/// chance only once in e²⁰ times (Poisson), and for so many minutes at least.
const MISSING: f64 = 20.0;
const SILENCE: u32 = 10;

/// In what a source is unusual. The API lists them with the source, and alerts tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anomaly {
    /// Most requests of the last minutes could not be verified.
    SignatureFailures,
    /// Far more events than usual.
    Spike,
    /// None, where there are usually many.
    Silent,
}

impl Anomaly {
    /// Every anomaly that there is.
    pub const ALL: [Self; 3] = [Self::SignatureFailures, Self::Spike, Self::Silent];

    /// As the API, the metrics and the log write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignatureFailures => "signature-failures",
            Self::Spike => "spike",
            Self::Silent => "silent",
        }
    }
}

/// What one minute had.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Minute {
    pub(super) accepted: u64,
    pub(super) unverified: u64,
}

/// Remembers one source.
#[derive(Debug, Default)]
pub(super) struct Detector {
    recent: [Minute; RECENT],
    /// Accepted a minute, in the mean.
    usual: f64,
    /// Minutes that the mean is made of.
    known: f64,
    /// Minutes without an event.
    quiet: u32,
}

impl Detector {
    /// Takes the minute that has passed in, and tells what is unusual now.
    pub(super) fn minute(&mut self, minute: Minute) -> Vec<Anomaly> {
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = minute;
        self.quiet = self.quiet.saturating_add(u32::from(minute.accepted == 0));
        let found = Anomaly::ALL.into_iter().filter(|anomaly| self.shows(*anomaly, minute));
        let found = found.collect();
        // Silence counts in the mean only once it has ended: what is missing is
        // told from what was usual before.
        if minute.accepted > 0 {
            for _ in 0..std::mem::take(&mut self.quiet).min(MEMORY as u32) {
                self.learn(0.0);
            }
            self.learn(minute.accepted as f64);
        }
        found
    }

    fn learn(&mut self, accepted: f64) {
        self.known = (self.known + 1.0).min(MEMORY);
        self.usual += (accepted - self.usual) / self.known;
    }

    fn shows(&self, anomaly: Anomaly, minute: Minute) -> bool {
        let learnt = self.known >= LEARNT;
        match anomaly {
            Anomaly::SignatureFailures => {
                let unverified: u64 = self.recent.iter().map(|one| one.unverified).sum();
                let accepted: u64 = self.recent.iter().map(|one| one.accepted).sum();
                unverified >= FAILURES && unverified > accepted
            }
            Anomaly::Spike => {
                let most = (self.usual * SPIKE).max(SPIKE_LEAST as f64);
                learnt && minute.accepted as f64 > most
            }
            Anomaly::Silent => {
                let missing = self.usual * f64::from(self.quiet);
                let silent = minute.accepted == 0 && self.quiet >= SILENCE;
                learnt && silent && missing >= MISSING
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(accepted: u64) -> Minute {
        Minute { accepted, unverified: 0 }
    }

    /// After an hour of so many events a minute.
    fn used_to(accepted: u64) -> Detector {
        let mut detector = Detector::default();
        for _ in 0..60 {
            assert_eq!(detector.minute(events(accepted)), [], "a steady source is not unusual");
        }
        detector
    }

    #[test]
    fn failing_signatures_show_while_they_are_most_requests() {
        let mut detector = used_to(20);
        let bad = Minute { accepted: 0, unverified: 9 };
        assert_eq!(detector.minute(bad), [], "80 were good in the same minutes");
        for _ in 0..3 {
            detector.minute(bad);
        }
        assert_eq!(detector.minute(bad), [Anomaly::SignatureFailures]);
        for _ in 0..3 {
            detector.minute(events(20));
        }
        assert_eq!(detector.minute(events(20)), []);
        let mut few = Detector::default();
        assert_eq!(few.minute(Minute { accepted: 0, unverified: 9 }), [], "too few to tell");
        assert_eq!(few.minute(Minute { accepted: 0, unverified: 1 }), [Anomaly::SignatureFailures]);
    }

    #[test]
    fn a_spike_is_told_from_the_usual_rate() {
        let mut detector = used_to(50);
        assert_eq!(detector.minute(events(499)), []);
        assert_eq!(used_to(50).minute(events(501)), [Anomaly::Spike]);
        assert_eq!(used_to(1).minute(events(100)), [], "a hundred is never a spike");
        assert_eq!(used_to(1).minute(events(101)), [Anomaly::Spike]);
        assert_eq!(Detector::default().minute(events(1_000_000)), [], "nothing is usual yet");
    }

    #[test]
    fn silence_is_told_by_what_is_missing() {
        let mut busy = used_to(50);
        let after = (1..).find(|_| busy.minute(events(0)).contains(&Anomaly::Silent));
        assert_eq!(after, Some(10));
        assert_eq!(busy.minute(events(1)), [], "one event ends it");
        let mut rare = Detector::default();
        for minute in 0..600 {
            assert_eq!(rare.minute(events(u64::from(minute % 10 == 0))), []);
        }
        let after = (1..).find(|_| rare.minute(events(0)).contains(&Anomaly::Silent));
        assert!(after.is_some_and(|minutes| (150..500).contains(&minutes)), "{after:?}");
        let mut never = used_to(0);
        assert!((0..10_000).all(|_| never.minute(events(0)).is_empty()));
    }

    proptest! {
        #[test]
        fn no_counts_are_too_strange(minutes in prop::collection::vec((any::<u32>(), any::<u32>()), 0..200)) {
            let mut detector = Detector::default();
            for (accepted, unverified) in minutes {
                let minute = Minute { accepted: accepted.into(), unverified: unverified.into() };
                let found = detector.minute(minute);
                prop_assert!(!(found.contains(&Anomaly::Silent) && accepted > 0));
                prop_assert!(detector.usual.is_finite() && detector.usual >= 0.0);
            }
        }
    }
}
