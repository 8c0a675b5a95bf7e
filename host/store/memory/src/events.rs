//! The rows of events, deduplication keys, plugins' state, conditions and jobs.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookwright_model::{
    Event, EventId, EventState, Name, ReplayJob, ReplayState, StateRow, VerdictRecord,
};
use hookwright_store::{
    Appended, Condition, Cursor, NewEvent, Purged, Routed, StoreError, Unrouted, UnroutedPage,
    Usage,
};

use super::Follow;
use super::deliveries::Sent;

/// The node in the ids of every memory store's events.
pub(super) const NODE: u64 = 1;
/// So many bulk replays are kept; of older ones those that are done go.
const JOBS: u64 = 1_000;

/// All that a store holds.
#[derive(Default)]
pub(super) struct Tables {
    /// By the row key in their ids.
    pub(super) events: BTreeMap<i64, Kept>,
    /// The last row key that was given out.
    pub(super) last: i64,
    /// Destinations that have or had deliveries, or a condition.
    pub(super) destinations: BTreeSet<Name>,
    /// By source and key: the first event, and until when the key is known.
    keys: BTreeMap<(Name, [u8; 16]), (EventId, u64)>,
    state: BTreeMap<(Name, Box<str>), StateRow>,
    pub(super) conditions: BTreeMap<String, Condition>,
    jobs: BTreeMap<u64, ReplayJob>,
}

/// An event's row and those of its deliveries.
pub(super) struct Kept {
    pub(super) event: Arc<Event>,
    pub(super) state: EventState,
    pub(super) reason: Option<String>,
    pub(super) verdicts: Vec<VerdictRecord>,
    due_ms: u64,
    tries: u32,
    pub(super) replays: u32,
    pub(super) sent: Vec<Sent>,
}

impl Kept {
    fn is_finished(&self) -> bool {
        self.state != EventState::Accepted && !self.sent.iter().any(Sent::waits)
    }
}

/// A place in the order of (due, event).
pub(super) type At = (u64, i64);

/// A cursor behind that place.
pub(super) fn cursor((due_ms, row): At) -> Cursor {
    Cursor::new([due_ms.to_be_bytes(), row.to_be_bytes()].concat())
}

/// The place that a cursor stands for.
pub(super) fn place(cursor: Option<&Cursor>) -> Result<Option<At>, StoreError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes: Option<[u8; 16]> = cursor.as_bytes().try_into().ok();
    let Some(bytes) = bytes.map(u128::from_be_bytes) else {
        return Err(StoreError::Failed("a cursor that another store made".into()));
    };
    Ok(Some(((bytes >> 64) as u64, (bytes as u64).cast_signed())))
}

impl Tables {
    /// All rows go; ids continue to rise.
    pub(super) fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    pub(super) fn append(&mut self, new: NewEvent, now_ms: u64, follow: &mut Follow) -> Appended {
        let key = new.dedupe.as_ref().map(|dedupe| (new.source.clone(), dedupe.key));
        let known = key.as_ref().and_then(|key| self.keys.get(key));
        if let Some((first, _)) = known.filter(|(_, until_ms)| *until_ms > now_ms) {
            return Appended::Duplicate(*first);
        }
        self.last = EventId::next_row(self.last, now_ms);
        let id = EventId::new(self.last, NODE);
        if let (Some(key), Some(dedupe)) = (key, &new.dedupe) {
            let until_ms = now_ms.saturating_add(hookwright_model::clock::millis(dedupe.window));
            self.keys.insert(key, (id, until_ms));
        }
        let NewEvent { source, kind, headers, body, dedupe: _ } = new;
        let event = Arc::new(Event { id, received_ms: now_ms, source, kind, headers, body });
        follow.durable.push(Arc::clone(&event));
        let kept = Kept {
            event,
            state: EventState::Accepted,
            reason: None,
            verdicts: Vec::new(),
            due_ms: 0,
            tries: 0,
            replays: 0,
            sent: Vec::new(),
        };
        self.events.insert(self.last, kept);
        Appended::New(id)
    }

    pub(super) fn route(&mut self, routed: Routed, follow: &mut Follow) {
        for row in routed.state_rows {
            let key = (row.plugin.clone(), row.key.clone());
            match row.value {
                Some(_) => drop(self.state.insert(key, row)),
                None => drop(self.state.remove(&key)),
            }
        }
        let row = routed.event.id.row();
        let Some(kept) = self.events.get_mut(&row) else { return };
        (kept.state, kept.reason, kept.verdicts) = (routed.state, routed.reason, routed.verdicts);
        (kept.due_ms, kept.tries) = (routed.retry_ms, routed.tries);
        for delivery in routed.deliveries {
            self.deliver(delivery, follow);
        }
    }

    pub(super) fn unrouted(
        &self,
        source: &str,
        now_ms: u64,
        after: Option<At>,
        limit: usize,
    ) -> UnroutedPage {
        let waits = |kept: &&Kept| {
            kept.state == EventState::Accepted && kept.event.source.as_str() == source
        };
        let mut all: Vec<(At, &Kept)> = self.events.values().filter(waits).map(at).collect();
        all.retain(|(at, _)| after.is_none_or(|after| *at > after));
        all.sort_by_key(|(at, _)| *at);
        let due = all.iter().take(limit).take_while(|((due_ms, _), _)| *due_ms <= now_ms).count();
        let events = all[..due].iter().map(|((due_ms, _), kept)| Unrouted {
            event: Arc::clone(&kept.event),
            due_ms: *due_ms,
            tries: kept.tries,
            replay: kept.replays > 0,
        });
        UnroutedPage {
            events: events.collect(),
            next: all[..due].last().map(|(at, _)| cursor(*at)),
            next_due_ms: all.get(due).map(|((due_ms, _), _)| *due_ms),
        }
    }

    /// A new round through the plugins. False where there is no such event.
    pub(super) fn replay_event(&mut self, row: i64, follow: &mut Follow) -> bool {
        let Some(kept) = self.events.get_mut(&row) else { return false };
        (kept.state, kept.reason) = (EventState::Accepted, None);
        (kept.due_ms, kept.tries, kept.replays) = (0, 0, kept.replays + 1);
        follow.wake = true;
        true
    }

    pub(super) fn rein_in_events(&mut self, now_ms: u64, longest_ms: u64) -> u64 {
        let limit_ms = now_ms.saturating_add(longest_ms);
        let late = |kept: &&mut Kept| kept.state == EventState::Accepted && kept.due_ms > limit_ms;
        let late = self.events.values_mut().filter(late);
        late.map(|kept| kept.due_ms = now_ms).count() as u64
    }

    pub(super) fn usage(&self) -> Usage {
        let bytes = |kept: &Kept| kept.event.body.len() as u64;
        let accepted = self.events.values().filter(|kept| kept.state == EventState::Accepted);
        Usage {
            bytes: self.events.values().map(bytes).sum(),
            events: self.events.len() as u64,
            accepted: accepted.count() as u64,
            oldest_ms: self.events.values().next().map(|kept| kept.event.received_ms),
        }
    }

    pub(super) fn purge(&mut self, before_ms: u64) -> Purged {
        let before = self.usage();
        let mut kept_back = 0;
        self.events.retain(|_, kept| {
            let old = kept.event.received_ms < before_ms;
            kept_back += u64::from(old && !kept.is_finished());
            !(old && kept.is_finished())
        });
        let after = self.usage();
        let (events, bytes) = (before.events - after.events, before.bytes - after.bytes);
        Purged { events, bytes, kept: kept_back }
    }

    pub(super) fn state(&self, now_ms: u64) -> Vec<StateRow> {
        let lives = |row: &&StateRow| row.expires_ms.is_none_or(|until_ms| until_ms > now_ms);
        self.state.values().filter(lives).cloned().collect()
    }

    pub(super) fn put_job(&mut self, job: &ReplayJob) {
        self.jobs.insert(job.id, job.clone());
        let newest = job.id;
        let keep = |id: u64| id.saturating_add(JOBS) > newest;
        self.jobs.retain(|id, job| keep(*id) || job.state != ReplayState::Done);
    }

    /// The latest first.
    pub(super) fn jobs(&self) -> Vec<ReplayJob> {
        self.jobs.values().rev().cloned().collect()
    }
}

fn at(kept: &Kept) -> (At, &Kept) {
    ((kept.due_ms, kept.event.id.row()), kept)
}
