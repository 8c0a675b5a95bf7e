//! What the index is asked to record.
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::record::{Key, Kind};
use super::rein::TooLate;
use super::segment::Locator;
use crate::model::{Delivery, Event, ReplayJob};
use crate::store::{Condition, GivenUp, Routed, Settled, StoreError};

/// What an op without a body takes in memory, roughly.
pub(super) const OP_WEIGHT: usize = 256;

/// So long an event's row waits for the outcome of its routing and of its deliveries.
pub(super) const HOLD: Duration = Duration::from_millis(50);
/// And so long what nothing follows from, for a commit that comes anyway.
const LINGER: Duration = Duration::from_millis(10);

pub(super) type Reply<T> = SyncSender<Result<T, StoreError>>;

/// An event that is in the journal.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) event: Arc<Event>,
    pub(super) at: Locator,
    pub(super) key: Option<Key>,
}

impl Accepted {
    /// Its share of memory, roughly.
    pub(super) fn weight(&self) -> usize {
        512 + self.event.headers.len() * 160 + self.event.body.len()
    }
}

/// An outcome of routing with its payloads in the journal.
#[derive(Debug)]
pub(super) struct RoutedOp {
    pub(super) routed: Routed,
    /// One for each delivery; none where it leaves as it came. Empty where all do.
    pub(super) payloads: Vec<Option<Locator>>,
    /// The deliveries were handed on already.
    pub(super) handed: bool,
    /// Places of those that are not to be handed on: an earlier one of their
    /// order key waits.
    pub(super) behind: Vec<usize>,
}

impl RoutedOp {
    pub(super) fn new(routed: Routed) -> Self {
        Self { routed, payloads: Vec::new(), handed: false, behind: Vec::new() }
    }
}

impl RoutedOp {
    /// Lets go of the deliveries that are not to be handed on.
    pub(super) fn leave_behind(&mut self) {
        if !self.behind.is_empty() {
            let mut place = 0..;
            self.routed.deliveries.retain(|_| !self.behind.contains(&place.next().unwrap_or(0)));
        }
    }
}

/// A copy made by a purge.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) row: i64,
    pub(super) kind: Kind,
    pub(super) from: Locator,
    pub(super) to: Locator,
}

/// What a sweep is to look at: one record of the segment to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) row: i64,
    pub(super) kind: Kind,
    pub(super) at: Locator,
}

#[derive(Debug, Default)]
pub(super) struct SweptOut {
    pub(super) dropped: u64,
    /// Records that unfinished events still need.
    pub(super) keep: Vec<Swept>,
}

#[derive(Debug)]
pub(super) enum Op {
    Accepted(Accepted),
    Routed(RoutedOp),
    Settled(Settled),
    GivenUp(GivenUp),
    /// A record that is needed could not be read.
    Lost {
        row: i64,
        destination: Option<Box<str>>,
    },
    Asked(Asked),
}

/// Work that someone waits for.
#[derive(Debug)]
pub(super) enum Asked {
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
        records: Vec<Swept>,
        out: SweptOut,
        reply: Reply<SweptOut>,
    },
    Relocate {
        moved: Vec<Moved>,
        reply: Reply<()>,
    },
    /// Everything before is committed; `all` counts events that wait to be routed too.
    Barrier {
        all: bool,
        reply: Reply<()>,
    },
}

impl Asked {
    pub(super) fn refuse(self, error: StoreError) {
        // Whoever asked may be gone; then nobody needs the answer.
        let _ = match self {
            Self::Replay { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Sweep { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::ReinIn { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Discard { reply, .. } => reply.send(Err(error)).is_ok(),
            Self::Condition { reply, .. }
            | Self::KeepReplay { reply, .. }
            | Self::Relocate { reply, .. }
            | Self::Barrier { reply, .. } => reply.send(Err(error)).is_ok(),
        };
    }
}

impl Op {
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Accepted(accepted) => accepted.weight(),
            _ => OP_WEIGHT,
        }
    }

    /// Whether its outcome shows in what the claiming reads give out.
    pub(super) fn is_pressing(&self) -> bool {
        !matches!(self, Self::Accepted(_))
    }

    /// How long it may wait for company. Accepted events lie well in the
    /// journal, and are routed once more where a crash takes that back; so is an
    /// attempt made once more; all else has someone waiting for it.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Accepted(_) => HOLD,
            Self::Routed(op) if op.handed => HOLD,
            // Nothing is to be handed on after it.
            Self::Routed(op) if op.routed.deliveries.is_empty() => LINGER,
            // The next one of its key waits for that.
            Self::Settled(Settled { ordered: true, .. })
            | Self::GivenUp(GivenUp { ordered: true, .. }) => Duration::ZERO,
            Self::Settled(_) | Self::GivenUp(_) => LINGER,
            _ => Duration::ZERO,
        }
    }
}
