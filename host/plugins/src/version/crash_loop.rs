//! The crash-loop tracker: crashes of the host, counted against the events and plugins that were in flight. Pure.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Deaths of the host at which an event is parked.
const EVENT: u32 = 2;
/// Deaths of the host at which a plugin's version gets no more events, if they
/// were not all one event's.
const PLUGIN: u32 = 3;

/// A call that was in flight when the host crashed: its event, and the plugin's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlightMark {
    pub(crate) event: String,
    /// The start of the digest, and the name.
    pub(crate) plugin: String,
}

impl InFlightMark {
    /// Of a line of text; none where there is no mark in it.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (event, plugin) = line.trim_end().split_once(' ')?;
        Some(Self { event: event.to_owned(), plugin: plugin.to_owned() })
    }
}

/// Strikes, as they are kept from run to run until an orderly end.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrashLoopTracker {
    events: BTreeMap<String, Suspect>,
    plugins: BTreeMap<String, Blame>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    plugin: String,
    strikes: u32,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Blame {
    strikes: u32,
    events: BTreeSet<String>,
}

/// How an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    Suspect,
    /// And why.
    Guilty(String),
}

impl CrashLoopTracker {
    /// Counts a death of the host: a strike for each event that was in hand,
    /// since any of them may be the cause, those that are new to it too. A
    /// plugin has one where nothing else was in hand.
    pub(crate) fn blame(&mut self, marks: &[InFlightMark]) {
        let mut in_flight: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for mark in marks {
            // Two versions may have one event in hand, one of them as a shadow.
            in_flight.entry(&mark.event).or_default().insert(&mark.plugin);
        }
        for (event, plugins) in &in_flight {
            let suspect = self.events.entry((*event).to_owned()).or_default();
            suspect.plugin = plugins.iter().copied().collect::<Vec<_>>().join(" or ");
            suspect.strikes = suspect.strikes.saturating_add(1);
        }
        let Some(first) = marks.first().filter(|first| marks.iter().all(|mark| mark == *first))
        else {
            return;
        };
        let blame = self.plugins.entry(first.plugin.clone()).or_default();
        blame.strikes = blame.strikes.saturating_add(1);
        blame.events.insert(first.event.clone());
    }

    pub(crate) fn standing(&self, event: &str) -> Standing {
        match self.events.get(event) {
            None => Standing::Free,
            Some(Suspect { strikes, .. }) if *strikes < EVENT => Standing::Suspect,
            Some(Suspect { strikes, plugin }) => Standing::Guilty(format!(
                "the host died {strikes} times while the plugin {plugin} had it in hand"
            )),
        }
    }

    /// Why a plugin's version gets no more events; none where it does.
    pub(crate) fn condemned(&self, plugin: &str) -> Option<String> {
        let Blame { strikes, events } = self.plugins.get(plugin)?;
        (*strikes >= PLUGIN && events.len() > 1).then(|| format!(
            "the host died {strikes} times while it had an event in hand: put another version in its place, or stop the host in an orderly way and start it to try it once more"
        ))
    }

    /// False where nothing was known of it.
    pub(crate) fn forget(&mut self, event: &str) -> bool {
        self.events.remove(event).is_some()
    }

    /// Each event, its plugin, and its strikes.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        self.events
            .iter()
            .map(|(event, Suspect { plugin, strikes })| (event.as_str(), plugin.as_str(), *strikes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(event: &str) -> InFlightMark {
        InFlightMark::read(&format!("{event} 0123456789ab p   \n")).unwrap()
    }

    fn died(strikes: &mut CrashLoopTracker, events: &[&str]) {
        strikes.blame(&events.iter().map(|event| mark(event)).collect::<Vec<_>>());
    }

    #[test]
    fn a_mark_is_a_line_and_an_empty_line_is_none() {
        let wanted = InFlightMark { event: "evt_1".into(), plugin: "0123456789ab p".into() };
        assert_eq!(mark("evt_1"), wanted);
        assert_eq!(InFlightMark::read(&" ".repeat(127)), None);
        assert_eq!(InFlightMark::read(""), None);
    }

    #[test]
    fn regression_newcomers_beside_a_suspect_are_suspects_too_and_no_plugin_pays_for_another() {
        let mut strikes = CrashLoopTracker::default();
        died(&mut strikes, &["slow-1", "slow-2"]);
        died(&mut strikes, &["slow-1", "killer"]);
        assert_eq!(strikes.standing("killer"), Standing::Suspect, "it goes alone from now on");
        assert_eq!(strikes.standing("slow-2"), Standing::Suspect);
        for _ in 0..9 {
            died(&mut strikes, &["slow-2", "new"]);
        }
        assert_eq!(strikes.condemned("0123456789ab p"), None, "it was never alone");
        let two = ["0123456789ab p", "ba9876543210 q"]
            .map(|plugin| InFlightMark { event: "both".into(), plugin: plugin.into() });
        (0..9).for_each(|_| strikes.blame(&two));
        assert_eq!(strikes.condemned("ba9876543210 q"), None, "it may have been the other");
        let Standing::Guilty(why) = strikes.standing("both") else { panic!("{strikes:?}") };
        assert!(why.contains("0123456789ab p or ba9876543210 q had it in hand"), "{why}");
    }

    #[test]
    fn of_a_crowd_each_is_a_suspect_and_the_one_that_goes_on_killing_is_guilty() {
        let mut strikes = CrashLoopTracker::default();
        died(&mut strikes, &["a", "b", "c"]);
        for event in ["a", "b", "c"] {
            assert_eq!(strikes.standing(event), Standing::Suspect);
        }
        assert!(strikes.forget("a"), "it went through");
        died(&mut strikes, &["b"]);
        let Standing::Guilty(why) = strikes.standing("b") else { panic!("{strikes:?}") };
        assert_eq!(why, "the host died 2 times while the plugin 0123456789ab p had it in hand");
        assert_eq!(strikes.standing("c"), Standing::Suspect);
        assert_eq!(strikes.condemned("0123456789ab p"), None);
    }

    #[test]
    fn a_plugin_that_kills_with_one_event_after_the_other_is_condemned() {
        let mut strikes = CrashLoopTracker::default();
        for event in ["a", "a", "a", "b"] {
            assert_eq!(strikes.condemned("0123456789ab p"), None);
            died(&mut strikes, &[event]);
        }
        let why = strikes.condemned("0123456789ab p").unwrap();
        assert!(why.starts_with("the host died 4 times"), "{why}");
        assert_eq!(strikes.condemned("ffffffffffff p"), None, "another version");
    }

    #[test]
    fn an_event_that_two_versions_had_in_hand_has_one_strike() {
        let mut strikes = CrashLoopTracker::default();
        died(&mut strikes, &["a", "a"]);
        assert_eq!(strikes.standing("a"), Standing::Suspect);
    }

    #[test]
    fn a_death_with_nothing_in_hand_blames_nobody() {
        let mut strikes = CrashLoopTracker::default();
        died(&mut strikes, &[]);
        assert_eq!(strikes, CrashLoopTracker::default());
    }
}
