//! The crash-loop tracker: crashes of the host, counted against the events and plugins that were in flight. Pure.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Crashes of the host after which an event is poison, and is parked.
const EVENT_LIMIT: u32 = 2;
/// Crashes of the host after which a plugin's version gets no more events, if more than
/// one event was involved.
const PLUGIN_LIMIT: u32 = 3;

/// A call that was in flight when the host crashed: its event, and the plugin's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlightMark {
    pub(crate) event: String,
    /// The start of the digest, and the name.
    pub(crate) plugin: String,
}

impl InFlightMark {
    /// Parses a line of the ledger's file; none where the line holds no mark.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (event, plugin) = line.trim_end().split_once(' ')?;
        Some(Self { event: event.to_owned(), plugin: plugin.to_owned() })
    }
}

/// Crash counts by event and by plugin version. The in-flight ledger keeps them from run to
/// run, until a clean shutdown.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrashLoopTracker {
    events: BTreeMap<String, EventCrashes>,
    plugins: BTreeMap<String, PluginCrashes>,
}

/// Crashes while one event was in flight.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EventCrashes {
    plugin: String,
    /// The file has an older name for it.
    #[serde(rename = "strikes")]
    crashes: u32,
}

/// Crashes while calls of one plugin version were the only ones in flight.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PluginCrashes {
    #[serde(rename = "strikes")]
    crashes: u32,
    events: BTreeSet<String>,
}

/// Whether an event may be what crashes the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// It was not in flight at a crash.
    None,
    /// It was in flight at a crash: it is routed alone.
    Suspected,
    /// It was in flight at [`EVENT_LIMIT`] crashes: it is parked, with this reason.
    Poison(String),
}

impl CrashLoopTracker {
    /// Counts a crash of the host against each event that was in flight, since any of
    /// them may be the cause, and against a plugin's version where nothing else was in flight.
    pub(crate) fn record_crash(&mut self, marks: &[InFlightMark]) {
        let mut in_flight: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for mark in marks {
            // Two versions may handle one event at once, one of them as a shadow.
            in_flight.entry(&mark.event).or_default().insert(&mark.plugin);
        }
        for (event, plugins) in &in_flight {
            let counted = self.events.entry((*event).to_owned()).or_default();
            counted.plugin = plugins.iter().copied().collect::<Vec<_>>().join(" or ");
            counted.crashes = counted.crashes.saturating_add(1);
        }
        let Some(first) = marks.first().filter(|first| marks.iter().all(|mark| mark == *first))
        else {
            return;
        };
        let counted = self.plugins.entry(first.plugin.clone()).or_default();
        counted.crashes = counted.crashes.saturating_add(1);
        counted.events.insert(first.event.clone());
    }

    pub(crate) fn suspicion(&self, event: &str) -> Suspicion {
        match self.events.get(event) {
            None => Suspicion::None,
            Some(EventCrashes { crashes, .. }) if *crashes < EVENT_LIMIT => Suspicion::Suspected,
            Some(EventCrashes { crashes, plugin }) => Suspicion::Poison(format!(
                "the host died {crashes} times while the plugin {plugin} had it in hand"
            )),
        }
    }

    /// Why a plugin's version gets no more events; none where it does.
    pub(crate) fn crash_loop(&self, plugin: &str) -> Option<String> {
        let PluginCrashes { crashes, events } = self.plugins.get(plugin)?;
        (*crashes >= PLUGIN_LIMIT && events.len() > 1).then(|| format!(
            "the host died {crashes} times while it had an event in hand: put another version in its place, or stop the host in an orderly way and start it to try it once more"
        ))
    }

    /// False where nothing was known of it.
    pub(crate) fn forget(&mut self, event: &str) -> bool {
        self.events.remove(event).is_some()
    }

    /// Each event that was in flight at a crash, with its plugin and its crashes.
    pub(crate) fn suspected(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.events.iter().map(|(event, EventCrashes { plugin, crashes })| {
            (event.as_str(), plugin.as_str(), *crashes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(event: &str) -> InFlightMark {
        InFlightMark::read(&format!("{event} 0123456789ab p   \n")).unwrap()
    }

    fn crash(tracker: &mut CrashLoopTracker, events: &[&str]) {
        tracker.record_crash(&events.iter().map(|event| mark(event)).collect::<Vec<_>>());
    }

    #[test]
    fn a_mark_is_a_line_and_an_empty_line_is_none() {
        let wanted = InFlightMark { event: "evt_1".into(), plugin: "0123456789ab p".into() };
        assert_eq!(mark("evt_1"), wanted);
        assert_eq!(InFlightMark::read(&" ".repeat(127)), None);
        assert_eq!(InFlightMark::read(""), None);
    }

    #[test]
    fn regression_new_events_beside_a_suspected_one_are_suspected_too_and_no_plugin_pays_for_another()
     {
        let mut tracker = CrashLoopTracker::default();
        crash(&mut tracker, &["slow-1", "slow-2"]);
        crash(&mut tracker, &["slow-1", "killer"]);
        assert_eq!(tracker.suspicion("killer"), Suspicion::Suspected, "it goes alone from now on");
        assert_eq!(tracker.suspicion("slow-2"), Suspicion::Suspected);
        for _ in 0..9 {
            crash(&mut tracker, &["slow-2", "new"]);
        }
        assert_eq!(tracker.crash_loop("0123456789ab p"), None, "it was never alone");
        let two = ["0123456789ab p", "ba9876543210 q"]
            .map(|plugin| InFlightMark { event: "both".into(), plugin: plugin.into() });
        (0..9).for_each(|_| tracker.record_crash(&two));
        assert_eq!(tracker.crash_loop("ba9876543210 q"), None, "it may have been the other");
        let Suspicion::Poison(why) = tracker.suspicion("both") else { panic!("{tracker:?}") };
        assert!(why.contains("0123456789ab p or ba9876543210 q had it in hand"), "{why}");
    }

    #[test]
    fn each_event_in_flight_is_suspected_and_the_one_that_crashes_the_host_again_is_poison() {
        let mut tracker = CrashLoopTracker::default();
        crash(&mut tracker, &["a", "b", "c"]);
        for event in ["a", "b", "c"] {
            assert_eq!(tracker.suspicion(event), Suspicion::Suspected);
        }
        assert!(tracker.forget("a"), "it went through");
        crash(&mut tracker, &["b"]);
        let Suspicion::Poison(why) = tracker.suspicion("b") else { panic!("{tracker:?}") };
        assert_eq!(why, "the host died 2 times while the plugin 0123456789ab p had it in hand");
        assert_eq!(tracker.suspicion("c"), Suspicion::Suspected);
        assert_eq!(tracker.crash_loop("0123456789ab p"), None);
    }

    #[test]
    fn a_plugin_that_crashes_the_host_with_one_event_after_the_other_is_in_a_crash_loop() {
        let mut tracker = CrashLoopTracker::default();
        for event in ["a", "a", "a", "b"] {
            assert_eq!(tracker.crash_loop("0123456789ab p"), None);
            crash(&mut tracker, &[event]);
        }
        let why = tracker.crash_loop("0123456789ab p").unwrap();
        assert!(why.starts_with("the host died 4 times"), "{why}");
        assert_eq!(tracker.crash_loop("ffffffffffff p"), None, "another version");
    }

    #[test]
    fn a_crash_counts_once_for_an_event_that_two_versions_handled() {
        let mut tracker = CrashLoopTracker::default();
        crash(&mut tracker, &["a", "a"]);
        assert_eq!(tracker.suspicion("a"), Suspicion::Suspected);
    }

    #[test]
    fn a_crash_with_nothing_in_flight_counts_against_nobody() {
        let mut tracker = CrashLoopTracker::default();
        crash(&mut tracker, &[]);
        assert_eq!(tracker, CrashLoopTracker::default());
    }
}
