//! What the index is asked to record.
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::rein::TooLate;
use crate::journal::locator::Locator;
use crate::journal::record::{Key, RecordTag};
use crate::journal::scan::Scanned;
use crate::unrecorded::Slot;
use hookwright_model::{Delivery, Event, Outcome, Payload, ReplayJob};
use hookwright_store::{Condition, GivenUp, Next, Routed, Settled, StoreError};

/// What an op takes in memory beside what it holds, roughly.
pub(crate) const OP_WEIGHT: usize = 256;
/// And a delivery, a header, a name.
const PART_WEIGHT: usize = 160;

/// So long an event's row waits for the outcome of its routing and of its deliveries.
pub(crate) const HOLD: Duration = Duration::from_millis(50);
/// And so long what nothing follows from, for a commit that comes anyway.
const SHORT_DELAY: Duration = Duration::from_millis(10);

pub(crate) type Reply<T> = SyncSender<Result<T, StoreError>>;

/// An event that is in the journal.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) event: Arc<Event>,
    pub(crate) at: Locator,
    pub(crate) key: Option<Key>,
}

impl Accepted {
    /// Its share of memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        event_weight(&self.event)
    }
}

fn event_weight(event: &Event) -> usize {
    512 + event.headers.len() * PART_WEIGHT + event.body.len()
}

/// What an outcome of routing holds, roughly: bodies that plugins made above all.
/// A payload that several deliveries share counts once.
fn routed_weight(routed: &Routed) -> usize {
    let Routed { event, reason, verdicts, deliveries, state_rows, .. } = routed;
    let mut payloads: Vec<_> = deliveries.iter().filter_map(|own| own.payload.as_ref()).collect();
    payloads.sort_unstable_by_key(|payload| Arc::as_ptr(payload));
    payloads.dedup_by(|one, other| Arc::ptr_eq(one, other));
    let payload = |payload: &&Arc<Payload>| {
        let headers = payload
            .headers
            .iter()
            .map(|edit| edit.name.len() + edit.value.as_ref().map_or(0, String::len) + PART_WEIGHT);
        payload.body.as_ref().map_or(0, bytes::Bytes::len) + headers.sum::<usize>()
    };
    let verdict = |record: &hookwright_model::VerdictRecord| {
        PART_WEIGHT + record.log.iter().map(|line| line.len() + 24).sum::<usize>()
    };
    let row = |row: &hookwright_model::StateRow| {
        PART_WEIGHT
            + row.key.len()
            + row.value.as_ref().map_or(0, hookwright_model::StateValue::size)
    };
    OP_WEIGHT
        + event_weight(event)
        + reason.as_ref().map_or(0, String::len)
        + deliveries.len() * PART_WEIGHT
        + payloads.iter().map(payload).sum::<usize>()
        + verdicts.iter().map(verdict).sum::<usize>()
        + state_rows.iter().map(row).sum::<usize>()
}

pub(crate) fn settled_weight(settled: &Settled) -> usize {
    let told = match &settled.attempt.outcome {
        Outcome::Answered { excerpt, .. } => excerpt.len(),
        Outcome::Failed { message, .. } => message.len(),
        Outcome::Accepted => 0,
    };
    let cause = match &settled.next {
        Next::Dead { cause } => cause.len(),
        _ => 0,
    };
    OP_WEIGHT + told + cause
}

/// An outcome of routing with its payloads in the journal.
#[derive(Debug)]
pub(crate) struct RoutedOp {
    pub(crate) routed: Routed,
    /// One for each delivery; none where it leaves as it came. Empty where all do.
    pub(crate) payloads: Vec<Option<Locator>>,
    /// The deliveries were handed on already.
    pub(crate) handed: bool,
    /// Places of those that are not to be handed on: an earlier one of their
    /// order key waits.
    pub(crate) behind: Vec<usize>,
    /// The counters of what it concerns: its source and its destinations, as it came.
    pub(crate) slots: Arc<[Slot]>,
    /// What it took in memory when it came.
    weight: usize,
}

impl RoutedOp {
    pub(crate) fn new(routed: Routed) -> Self {
        let weight = routed_weight(&routed);
        let destinations = routed.deliveries.iter().map(|own| Slot::destination(&own.destination));
        let slots = std::iter::once(Slot::source(&routed.event.source)).chain(destinations);
        let slots = slots.collect();
        Self { routed, payloads: Vec::new(), handed: false, behind: Vec::new(), slots, weight }
    }

    /// The deliveries are handed on beside it. The event is the one that waits for
    /// its row and is weighed there.
    pub(crate) fn handed(self) -> Self {
        Self { handed: true, weight: self.weight - event_weight(&self.routed.event), ..self }
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// The event is the one that waits for its row, and weighed there: what that
    /// takes off.
    pub(crate) fn share_event(&mut self) -> usize {
        let own = if self.handed { 0 } else { event_weight(&self.routed.event) };
        self.weight -= own;
        own
    }
}

impl RoutedOp {
    /// Lets go of the deliveries that are not to be handed on.
    pub(crate) fn leave_behind(&mut self) {
        if !self.behind.is_empty() {
            let mut place = 0..;
            self.routed.deliveries.retain(|_| !self.behind.contains(&place.next().unwrap_or(0)));
        }
    }
}

/// A copy made by a purge.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) row: i64,
    pub(crate) tag: RecordTag,
    pub(crate) from: Locator,
    pub(crate) to: Locator,
}

#[derive(Debug, Default)]
pub(crate) struct SweepOutcome {
    pub(crate) dropped: u64,
    /// Records that unfinished events still need.
    pub(crate) keep: Vec<Scanned>,
    /// Events and deliveries that ended since their records are gone.
    pub(crate) ended: u64,
}

#[derive(Debug)]
pub(crate) enum Op {
    Accepted(Accepted),
    Routed(RoutedOp),
    Settled(Settled),
    GivenUp(GivenUp),
    /// A record that is needed could not be read.
    Unreadable {
        row: i64,
        destination: Option<Box<str>>,
    },
    Request(Request),
}

/// Work that someone waits for.
#[derive(Debug)]
pub(crate) enum Request {
    Replay {
        row: i64,
        destination: Option<Box<str>>,
        now_ms: u64,
        found: bool,
        ready: Option<Delivery>,
        reply: Reply<bool>,
    },
    Condition {
        destination: Box<str>,
        condition: Condition,
        reply: Reply<()>,
    },
    Discard {
        destination: Box<str>,
        cause: String,
        most: usize,
        ended: u64,
        reply: Reply<u64>,
    },
    KeepReplay {
        job: ReplayJob,
        reply: Reply<()>,
    },
    ReinIn {
        times: TooLate,
        count: u64,
        reply: Reply<u64>,
    },
    Sweep {
        records: Vec<Scanned>,
        out: SweepOutcome,
        reply: Reply<SweepOutcome>,
    },
    /// Events whose records are gone, with some of these segments.
    SweepUnreadable {
        rows: Vec<i64>,
        segments: RangeInclusive<u32>,
        out: SweepOutcome,
        reply: Reply<SweepOutcome>,
    },
    Repoint {
        moved: Vec<Moved>,
        reply: Reply<()>,
    },
    /// Everything before is committed; `all` counts events that wait to be routed too.
    Barrier {
        all: bool,
        reply: Reply<()>,
    },
    /// The same once it comes to that by itself: no row is written earlier for it.
    Settle {
        reply: Reply<()>,
    },
}

impl Request {
    /// Without what the answer takes.
    pub(crate) fn weight(&self) -> usize {
        let held = match self {
            Self::KeepReplay { job, .. } => job.wanted.len(),
            Self::Discard { cause, .. } => cause.len(),
            Self::Sweep { records, .. } => size_of_val(&records[..]),
            Self::SweepUnreadable { rows, .. } => size_of_val(&rows[..]),
            Self::Repoint { moved, .. } => size_of_val(&moved[..]),
            Self::Replay { .. }
            | Self::ReinIn { .. }
            | Self::Condition { .. }
            | Self::Barrier { .. }
            | Self::Settle { .. } => 0,
        };
        OP_WEIGHT + held
    }

    pub(crate) fn refuse(self, error: StoreError) {
        // Whoever asked may be gone; then nobody needs the answer.
        let _ = match self {
            Self::Replay { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Sweep { reply, .. } | Self::SweepUnreadable { reply, .. } => {
                reply.send(Err(error)).is_ok()
            }
            Self::ReinIn { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Discard { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Condition { reply, .. }
            | Self::KeepReplay { reply, .. }
            | Self::Repoint { reply, .. }
            | Self::Settle { reply }
            | Self::Barrier { reply, .. } => reply.send(Err(error)).is_ok(),
        };
    }
}

impl Op {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Accepted(accepted) => accepted.weight(),
            Self::Routed(op) => op.weight(),
            Self::Settled(settled) => settled_weight(settled),
            Self::GivenUp(given_up) => OP_WEIGHT + given_up.cause.len(),
            Self::Unreadable { .. } => OP_WEIGHT,
            Self::Request(request) => request.weight(),
        }
    }

    /// Whether its outcome shows in what the claiming reads give out.
    pub(crate) fn is_pressing(&self) -> bool {
        !matches!(self, Self::Accepted(_))
    }

    /// How long it may wait for company. Accepted events lie well in the
    /// journal, and are routed once more where a crash takes that back; so is an
    /// attempt made once more; all else has someone waiting for it.
    pub(crate) fn batching_delay(&self) -> Duration {
        match self {
            Self::Accepted(_) => HOLD,
            Self::Routed(op) if op.handed => HOLD,
            // Nothing is to be handed on after it.
            Self::Routed(op) if op.routed.deliveries.is_empty() => SHORT_DELAY,
            // The next one of its key waits for that.
            Self::Settled(Settled { ordered: true, .. })
            | Self::GivenUp(GivenUp { ordered: true, .. }) => Duration::ZERO,
            Self::Settled(_) | Self::GivenUp(_) | Self::Request(Request::Settle { .. }) => {
                SHORT_DELAY
            }
            _ => Duration::ZERO,
        }
    }
}
