//! What each channel was told: so that after a restart none is told twice, and each hears that it is over.
//!
//! A channel gets what stands and was not told there yet, and the end of what
//! it was told. So one that could not be reached, or is new, catches up.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, Rule, State};

/// By channel, then by the alert's key: what it was told that has not ended for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    channels: BTreeMap<String, BTreeMap<String, Alert>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Alert {
    rule: String,
    subject: String,
    what: String,
    since_ms: u64,
}

impl Alert {
    fn change(&self, state: State, at_ms: u64) -> Option<Change> {
        Some(Change {
            state,
            // Of a newer version, perhaps: nothing is known of it here.
            rule: Rule::parse(&self.rule)?,
            subject: self.subject.clone(),
            what: self.what.clone(),
            since_ms: self.since_ms,
            at_ms,
        })
    }
}

impl Told {
    /// What can't be read was told to nobody.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// As it is written down, for [`read`](Self::read) after a restart.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// What stands for any channel: for [`super::Watch::resume`].
    pub fn standing(&self) -> Vec<Change> {
        let mut all: BTreeMap<&String, &Alert> = BTreeMap::new();
        for (key, alert) in self.channels.values().flatten() {
            all.entry(key).or_insert(alert);
        }
        all.values().filter_map(|alert| alert.change(State::Firing, alert.since_ms)).collect()
    }

    /// What the channel has to be told, now that those stand.
    pub fn due(&self, channel: &str, standing: &[Change], at_ms: u64) -> Vec<Change> {
        let told = self.channels.get(channel);
        let knows = |change: &&Change| told.is_some_and(|told| told.contains_key(&change.key()));
        let begun = standing.iter().filter(|change| !knows(change));
        let mut due: Vec<Change> = begun.map(|change| Change { at_ms, ..change.clone() }).collect();
        let stands = |key: &String| standing.iter().any(|change| change.key() == *key);
        let over = told.into_iter().flatten().filter(|(key, _)| !stands(key));
        due.extend(over.filter_map(|(_, alert)| alert.change(State::Resolved, at_ms)));
        due
    }

    /// The channel was told.
    pub fn note(&mut self, channel: &str, change: &Change) {
        let told = self.channels.entry(channel.to_owned()).or_default();
        match change.state {
            State::Resolved => drop(told.remove(&change.key())),
            State::Firing => {
                let alert = Alert {
                    rule: change.rule.as_str().to_owned(),
                    subject: change.subject.clone(),
                    what: change.what.clone(),
                    since_ms: change.since_ms,
                };
                told.insert(change.key(), alert);
            }
        }
    }
}
