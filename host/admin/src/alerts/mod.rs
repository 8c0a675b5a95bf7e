//! Alerts: when something goes wrong, and when it is well again. Pure: signs in, changes out.
//!
//! A sign that holds for a while becomes an alert, once; when it is gone for a
//! while the alert is resolved, once. What flickers in between says nothing.
mod text;
mod told;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use text::{ROUTING_KEY, Shape, body, kind};
pub use told::Told;

/// What there are alerts about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A destination's attempts fail, one after the other.
    DestinationFailing,
    /// Events wait too long for a destination.
    DestinationBehind,
    /// A destination gets nothing: a `410 Gone`, or a person.
    DestinationDisabled,
    /// Deliveries to a destination were given up.
    DeadLetters,
    /// A source is unusual: failing signatures, a spike, silence.
    SourceUnusual,
    /// A plugin fails for most events and is left alone.
    PluginQuarantined,
    /// A plugin's file does not load; the version before stays, or none.
    PluginRefused,
    /// The disk of the store is nearly full.
    DiskLow,
    /// The store can't write.
    StoreFailing,
    /// Files of the store are damaged or lost, and nobody has looked at it yet.
    StoreDamaged,
    /// The ingress's certificate ends soon.
    CertificateEnds,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::DestinationFailing,
        Self::DestinationBehind,
        Self::DestinationDisabled,
        Self::DeadLetters,
        Self::SourceUnusual,
        Self::PluginQuarantined,
        Self::PluginRefused,
        Self::DiskLow,
        Self::StoreFailing,
        Self::StoreDamaged,
        Self::CertificateEnds,
    ];

    /// As events and settings write it. Never changes once released.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DestinationFailing => "destination.failing",
            Self::DestinationBehind => "destination.behind",
            Self::DestinationDisabled => "destination.disabled",
            Self::DeadLetters => "destination.dead-letters",
            Self::SourceUnusual => "source.unusual",
            Self::PluginQuarantined => "plugin.quarantined",
            Self::PluginRefused => "plugin.refused",
            Self::DiskLow => "disk.low",
            Self::StoreFailing => "store.failing",
            Self::StoreDamaged => "store.damaged",
            Self::CertificateEnds => "certificate.ends",
        }
    }

    /// Whether somebody should be woken.
    pub fn is_urgent(self) -> bool {
        matches!(
            self,
            Self::DestinationBehind
                | Self::PluginQuarantined
                | Self::DiskLow
                | Self::StoreFailing
                | Self::StoreDamaged
        )
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

/// Something that is wrong at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What is wrong.
    pub rule: Rule,
    /// The source, destination, plugin or file; empty where it is the host.
    pub subject: String,
    /// One line for a person.
    pub what: String,
}

/// Whether an alert begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It begins.
    Firing,
    /// It is over.
    Resolved,
}

impl State {
    /// As events write it. Never changes once released.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert that begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether it begins or ends.
    pub state: State,
    /// What it is about.
    pub rule: Rule,
    /// The source, destination, plugin or file; empty where it is the host.
    pub subject: String,
    /// What was wrong last, one line for a person.
    pub what: String,
    /// Since when it was wrong, milliseconds since 1970.
    pub since_ms: u64,
    /// When it was found to be so, or to be well again.
    pub at_ms: u64,
}

impl Change {
    /// What the alert is about: the same when it begins and when it ends.
    pub fn key(&self) -> String {
        match self.subject.as_str() {
            "" => self.rule.as_str().to_owned(),
            subject => format!("{}/{subject}", self.rule.as_str()),
        }
    }
}

#[derive(Debug, Clone)]
struct Known {
    what: String,
    since_ms: u64,
    /// When the sign was last there.
    seen_ms: u64,
    told: bool,
}

/// Remembers what is wrong and what of it was told.
#[derive(Debug)]
pub struct Watch {
    /// So long a sign must hold before it is told.
    hold_ms: u64,
    /// So long it must be gone before it is over.
    clear_ms: u64,
    known: BTreeMap<(Rule, String), Known>,
}

impl Watch {
    /// Knows of nothing that is wrong. `hold` is how long a sign must hold before it is told, `clear` how long it must be gone before that is over.
    pub fn new(hold: Duration, clear: Duration) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { hold_ms: millis(hold), clear_ms: millis(clear), known: BTreeMap::new() }
    }

    /// Other times than before; what is known stays.
    pub fn set(&mut self, hold: Duration, clear: Duration) {
        let known = std::mem::take(&mut self.known);
        *self = Self { known, ..Self::new(hold, clear) };
    }

    /// Alerts that were told before a restart, so that they are not told again,
    /// and are resolved once.
    pub fn resume(&mut self, told: impl IntoIterator<Item = Change>, now_ms: u64) {
        for change in told {
            let known =
                Known { what: change.what, since_ms: change.since_ms, seen_ms: now_ms, told: true };
            self.known.insert((change.rule, change.subject), known);
        }
    }

    /// What was told and is not over.
    pub fn standing(&self) -> Vec<Change> {
        let told = self.known.iter().filter(|(_, known)| known.told);
        let change = |((rule, subject), known): (&(Rule, String), &Known)| Change {
            state: State::Firing,
            rule: *rule,
            subject: subject.clone(),
            what: known.what.clone(),
            since_ms: known.since_ms,
            at_ms: known.seen_ms,
        };
        told.map(change).collect()
    }

    /// Takes in what is wrong now; gives what is to be told. What is `unjudged`
    /// (after a start, or where the look itself failed) stays as it is known,
    /// neither told nor resolved: its time to be well begins once it is judged.
    pub fn look(
        &mut self,
        now_ms: u64,
        signs: Vec<Sign>,
        unjudged: impl Fn(Rule, &str) -> bool,
    ) -> Vec<Change> {
        for known in self.known.values_mut() {
            // Seen by a clock that was ahead: it counts from now on.
            known.since_ms = known.since_ms.min(now_ms);
            known.seen_ms = known.seen_ms.min(now_ms.saturating_sub(1));
        }
        for Sign { rule, subject, what } in signs {
            let fresh =
                || Known { what: String::new(), since_ms: now_ms, seen_ms: now_ms, told: false };
            let known = self.known.entry((rule, subject)).or_insert_with(fresh);
            known.seen_ms = now_ms;
            known.what = what;
        }
        let (hold, clear) = (self.hold_ms, self.clear_ms);
        let mut changes = Vec::new();
        self.known.retain(|(rule, subject), known| {
            let change = |state: State, known: &Known| Change {
                state,
                rule: *rule,
                subject: subject.clone(),
                what: known.what.clone(),
                since_ms: known.since_ms,
                at_ms: now_ms,
            };
            let is_there = known.seen_ms == now_ms;
            if !is_there && unjudged(*rule, subject) {
                known.seen_ms = now_ms.saturating_sub(1);
                return true;
            }
            if known.told {
                let over = !is_there && now_ms.saturating_sub(known.seen_ms) >= clear;
                if over {
                    changes.push(change(State::Resolved, known));
                }
                return !over;
            }
            if is_there && now_ms.saturating_sub(known.since_ms) >= hold {
                known.told = true;
                changes.push(change(State::Firing, known));
            }
            is_there
        });
        changes
    }
}
