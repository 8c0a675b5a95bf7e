//! The cache of fetched keys: which of them a request was verified by, and what failed, kept apart.
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use hookwright_signing::Fetched;

/// URLs whose keys are kept, of each sort; a provider has few at a time.
pub(super) const KEPT: usize = 16;
/// URLs that are known to have failed, or to be confirmed.
pub(super) const NOTED: usize = 128;

/// Keys by their URL. All lists are bounded; what was used last is the last to go.
#[derive(Default)]
pub(super) struct Cache {
    /// Those by which a request was verified, or that the settings name.
    proved: Vec<Entry>,
    /// Those that a request named and that have proved none: the first to go.
    unproved: Vec<Entry>,
    /// Not to be tried again until then.
    failed: VecDeque<(String, Instant)>,
    /// Fetched because a verified request asked for it.
    confirmed: VecDeque<String>,
}

pub(super) struct Entry {
    pub(super) url: String,
    pub(super) keys: Arc<Fetched>,
    pub(super) fetched: Instant,
    /// When the next fetch is due.
    pub(super) due: Instant,
}

impl Cache {
    /// Moves the entry to the end of its list.
    pub(super) fn find(&mut self, url: &str) -> Option<&Entry> {
        let Self { proved, unproved, .. } = self;
        for list in [proved, unproved] {
            if let Some(place) = list.iter().position(|entry| entry.url == url) {
                let entry = list.remove(place);
                list.push(entry);
                return list.last();
            }
        }
        None
    }

    pub(super) fn is_proved(&self, url: &str) -> bool {
        self.proved.iter().any(|entry| entry.url == url)
    }

    /// Takes new keys; `named` says that a request named their URL.
    pub(super) fn keep(&mut self, entry: Entry, named: bool) {
        self.failed.retain(|(url, _)| *url != entry.url);
        let proved = !named || self.is_proved(&entry.url);
        self.unproved.retain(|old| old.url != entry.url);
        self.proved.retain(|old| old.url != entry.url);
        push(if proved { &mut self.proved } else { &mut self.unproved }, entry);
    }

    pub(super) fn prove(&mut self, url: &str) {
        if let Some(place) = self.unproved.iter().position(|entry| entry.url == url) {
            let entry = self.unproved.remove(place);
            push(&mut self.proved, entry);
        }
    }

    pub(super) fn failed(&mut self, url: &str, until: Instant) {
        self.failed.retain(|(known, _)| known != url);
        note(&mut self.failed, (url.to_owned(), until));
    }

    pub(super) fn has_failed(&mut self, url: &str, now: Instant) -> bool {
        self.failed.retain(|(_, until)| now < *until);
        self.failed.iter().any(|(known, _)| known == url)
    }

    pub(super) fn confirm(&mut self, url: &str) {
        self.confirmed.retain(|known| known != url);
        note(&mut self.confirmed, url.to_owned());
    }

    /// Whether it was fetched or failed; none where it may be tried.
    pub(super) fn confirmed(&mut self, url: &str, now: Instant) -> Option<bool> {
        if self.confirmed.iter().any(|known| known == url) {
            return Some(true);
        }
        self.has_failed(url, now).then_some(false)
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 4] {
        [self.proved.len(), self.unproved.len(), self.failed.len(), self.confirmed.len()]
    }
}

fn push(list: &mut Vec<Entry>, entry: Entry) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(entry);
}

fn note<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() >= NOTED {
        list.pop_front();
    }
    list.push_back(entry);
}
