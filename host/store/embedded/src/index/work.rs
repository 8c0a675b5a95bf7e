//! Units of the index's transactions, and events that wait for their rows.
use std::time::Instant;

use super::ops::{Accepted, OP_WEIGHT, Request, RoutedOp, settled_weight};
use super::queue::Weight;
use crate::journal::locator::Locator;
use crate::journal::record::Origin;
use crate::unrecorded::Slot;
use hookwright_store::{GivenUp, Next, Settled};

/// One unit of a transaction; it can be applied again after a rollback.
pub(crate) enum Work {
    /// An event without a row, with what is known of it.
    New(PendingEvent),
    /// An event or a copy of one, met when the journal is read again.
    Found {
        accepted: Accepted,
        fresh: Fresh,
    },
    FoundPayload {
        row: i64,
        from: Origin,
        to: Locator,
    },
    Routed(RoutedOp),
    Settled(Settled),
    GivenUp(GivenUp),
    Unreadable {
        row: i64,
        destination: Option<Box<str>>,
    },
    Request(Request),
}

/// Whether an event that is found without a row gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    No,
    Accepted,
    /// For this reason.
    Parked(&'static str),
}

impl Work {
    pub(crate) fn weight(&self) -> Weight {
        let bytes = match self {
            Self::New(pending) => return pending.weight(),
            // Only where the journal is read again, which weighs nothing.
            Self::Found { .. } | Self::FoundPayload { .. } => 0,
            Self::Routed(op) => op.weight(),
            Self::Settled(settled) => settled_weight(settled),
            Self::GivenUp(given_up) => OP_WEIGHT + given_up.cause.len(),
            Self::Unreadable { .. } => OP_WEIGHT,
            Self::Request(request) => request.weight(),
        };
        Weight { bytes, pressing: 1 }
    }

    /// Puts in the counters of what was handed in with it.
    pub(crate) fn slots(&self, into: &mut Vec<Slot>) {
        match self {
            Self::New(PendingEvent { accepted, routed, settled, .. }) => {
                into.push(Slot::source(&accepted.event.source));
                into.extend(routed.iter().flat_map(|op| op.slots.iter()));
                into.extend(settled.iter().map(|one| Slot::destination(&one.key.destination)));
            }
            Self::Routed(op) => into.extend_from_slice(&op.slots),
            Self::Settled(settled) => into.push(Slot::destination(&settled.key.destination)),
            Self::GivenUp(given_up) => into.push(Slot::destination(&given_up.key.destination)),
            Self::Found { .. }
            | Self::FoundPayload { .. }
            | Self::Unreadable { .. }
            | Self::Request(_) => {}
        }
    }
}

/// An event that has no row yet, and what became of it so far.
pub(crate) struct PendingEvent {
    pub(crate) accepted: Accepted,
    pub(crate) routed: Option<RoutedOp>,
    /// Attempts of its deliveries, in the order in which they ended.
    pub(crate) settled: Vec<Settled>,
    pub(crate) since: Instant,
}

impl PendingEvent {
    pub(crate) fn new(accepted: Accepted, since: Instant) -> Self {
        Self { accepted, routed: None, settled: Vec::new(), since }
    }

    fn weight(&self) -> Weight {
        let pressing = usize::from(self.routed.is_some()) + self.settled.len();
        let routed = self.routed.as_ref().map_or(0, RoutedOp::weight);
        let settled = self.settled.iter().map(settled_weight).sum::<usize>();
        Weight { bytes: self.accepted.weight() + routed + settled, pressing }
    }

    /// Whether waiting could save nothing more: it ended without deliveries,
    /// all of them ended, or one has to wait for another try.
    pub(crate) fn is_complete(&self) -> bool {
        let Some(op) = &self.routed else { return false };
        let retries = self.settled.iter().any(|one| matches!(one.next, Next::Retry { .. }));
        !op.handed || retries || self.settled.len() >= op.routed.deliveries.len()
    }
}
