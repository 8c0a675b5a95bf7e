//! What a replay of recorded events found: how many verdicts change, which, and how.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::history::Recorded;
use hookwright_author::{Outcome, difference};
use hookwright_model::printable;
use hookwright_model::{Event, Name};
use hookwright_plugins::Answer;

pub(super) struct Tally {
    plugin: Name,
    /// Of the active version and the candidate.
    digests: [String; 2],
    /// Changes that are kept in full.
    show: usize,
    pub(super) events: usize,
    /// Events that reached the plugin.
    reached: usize,
    /// By the decisions before and after.
    changes: BTreeMap<String, usize>,
    shown: Vec<Change>,
    /// Events that the active version itself handled when they came.
    recorded: usize,
    /// Those of them for which its verdict is the same today.
    as_recorded: usize,
}

struct Change {
    id: String,
    source: String,
    kind: String,
    what: String,
    difference: String,
}

impl Tally {
    pub(super) fn new(plugin: &Name, digests: [String; 2], show: usize) -> Self {
        Self {
            plugin: plugin.clone(),
            digests,
            show,
            events: 0,
            reached: 0,
            changes: BTreeMap::new(),
            shown: Vec::new(),
            recorded: 0,
            as_recorded: 0,
        }
    }

    /// Where the same version handled the event then, its verdict should be the same again.
    pub(super) fn hold_against_record(
        &mut self,
        recorded: &Recorded,
        plugin: &Name,
        answer: &Answer,
    ) {
        if let Some(verdict) = recorded.verdict(plugin).filter(|then| then.digest == answer.digest)
        {
            self.recorded += 1;
            self.as_recorded += usize::from(verdict.decision == answer.decision());
        }
    }

    pub(super) fn compare(&mut self, event: &Event, outcomes: &[Outcome; 2]) {
        self.reached += 1;
        let [before, after] = outcomes;
        let names = ["active", "candidate"];
        let Some(difference) = difference(before, after, false, names) else { return };
        let what = format!("{} → {}", before.short(), after.short());
        *self.changes.entry(what.clone()).or_default() += 1;
        if self.shown.len() < self.show {
            self.shown.push(Change {
                id: event.id.to_string(),
                source: event.source.to_string(),
                kind: event.kind.to_string(),
                what,
                difference,
            });
        }
    }

    pub(super) fn page(&self) -> String {
        let (plugin, [old, new]) = (&self.plugin, &self.digests);
        let changed: usize = self.changes.values().sum();
        let mut out = format!(
            "{plugin}: active version {old}, candidate {new}\n\
             {} events, {} reached `{plugin}`, {changed} would get another verdict\n",
            self.events, self.reached,
        );
        for (what, count) in &self.changes {
            out.push_str(&format!("{count:8}  {}\n", printable(what)));
        }
        if self.as_recorded < self.recorded {
            out.push_str(&format!(
                "{} of {} events that the active version handled when they came get another verdict from it today: \
                 its settings, or the plugins before it, have changed since\n",
                self.recorded - self.as_recorded,
                self.recorded
            ));
        }
        for Change { id, source, kind, what, difference } in &self.shown {
            out.push_str(&format!(
                "\n{id}  {} {}  {}\n",
                printable(source),
                printable(kind),
                printable(what)
            ));
            difference.lines().for_each(|line| out.push_str(&format!("    {}\n", printable(line))));
        }
        if changed > self.shown.len() {
            out.push_str(&format!("\n{} more: --show {changed}\n", changed - self.shown.len()));
        }
        out
    }

    pub(super) fn as_value(&self) -> Value {
        let each = |change: &Change| {
            json!({
                "id": change.id, "source": change.source, "kind": change.kind,
                "change": change.what, "difference": change.difference,
            })
        };
        json!({
            "plugin": self.plugin, "in_force": self.digests[0], "candidate": self.digests[1],
            "events": self.events, "reached": self.reached,
            "changed": self.changes.values().sum::<usize>(), "changes": self.changes,
            "recorded": self.recorded, "as_recorded": self.as_recorded,
            "shown": self.shown.iter().map(each).collect::<Vec<_>>(),
        })
    }
}
