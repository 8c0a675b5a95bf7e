//! Work that SQLite refuses for its content: found among the rest of a batch, and set aside with its reason.
//!
//! Tried again and again it would hold all others up. So each unit of the batch gets a savepoint of its own; one that
//! is refused is taken back, and its event is parked with what SQLite said, in the same transaction. Where not even
//! that can be recorded, the event gets a row in the table `aside`.
use super::applier::{Applier, Progress};
use crate::index::counts::Delta;
use crate::index::ops::{Accepted, Request, RoutedOp};
use crate::index::work::{Fresh, PendingEvent, Work};
use hookwright_model::{Attempt, DeliveryKey, Event, EventId, Outcome};
use hookwright_store::{GivenUp, Next, Routed, Settled};

/// One unit of work that was refused.
pub(crate) struct Refused {
    /// Its index in the batch.
    pub(crate) index: usize,
    pub(crate) error: rusqlite::Error,
    /// The event's row; none where the work concerns no single event.
    pub(crate) event: Option<i64>,
}

/// As [`Applier::apply_all`], with each unit of work by itself: what SQLite refuses for its content is set aside.
///
/// # Errors
/// Only what concerns all units.
pub(crate) fn apply_isolated(
    applier: &mut Applier<'_>,
    work: &mut [Work],
    progress: Progress,
) -> rusqlite::Result<(Delta, Vec<Refused>)> {
    applier.begin()?;
    let mut delta = Delta::default();
    let refused = Isolation { applier, delta: &mut delta }.apply(work)?;
    applier.commit(&delta, progress)?;
    Ok((delta, refused))
}

/// Applies a batch unit by unit, inside a transaction that the applier has begun.
struct Isolation<'a, 'c> {
    applier: &'a mut Applier<'c>,
    delta: &'a mut Delta,
}

impl<'c> Isolation<'_, 'c> {
    fn apply(mut self, work: &mut [Work]) -> rusqlite::Result<Vec<Refused>> {
        let mut refused = Vec::new();
        for (index, item) in work.iter_mut().enumerate() {
            let Err(error) = self.piece(|applier, own| applier.apply(item, own))? else { continue };
            self.set_aside(item, &error)?;
            refused.push(Refused { index, error, event: row_of(item) });
        }
        Ok(refused)
    }

    fn piece(
        &mut self,
        work: impl FnOnce(&mut Applier<'c>, &mut Delta) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<rusqlite::Result<()>> {
        self.applier.piece(self.delta, work)
    }

    fn set_aside(&mut self, item: &mut Work, error: &rusqlite::Error) -> rusqlite::Result<()> {
        let why = format!("the index refused what was to be recorded: {error}");
        match item {
            Work::New(PendingEvent { accepted, routed, .. }) => {
                if let Some(op) = routed {
                    op.routed.deliveries.clear();
                }
                self.park_new(accepted, why)
            }
            Work::Found { accepted, fresh } if *fresh != Fresh::No => self.park_new(accepted, why),
            Work::Routed(op) => {
                op.routed.deliveries.clear();
                let event = op.routed.event.clone();
                self.park(event.id.row(), Routed::parked(event, why))
            }
            Work::Settled(settled) => self.settle_bare(settled, &why),
            Work::GivenUp(GivenUp { key, cause, .. }) => {
                self.delete_and_park(key, &format!("was given up ({cause})"), &why)
            }
            // The one who waits for the answer is told.
            _ => Ok(()),
        }
    }

    fn park_new(&mut self, accepted: &Accepted, why: String) -> rusqlite::Result<()> {
        let parked = Routed::parked(accepted.event.clone(), why.clone());
        let done =
            self.piece(|applier, own| applier.insert(accepted, Some(&parked), own).map(drop))?;
        let Err(error) = done else { return Ok(()) };
        let why = format!("{why}; and its row: {error}");
        // What is refused even so is in the journal and in the log.
        self.piece(|applier, _| applier.set_aside_new(accepted, &why)).map(drop)
    }

    fn park(&mut self, row: i64, parked: Routed) -> rusqlite::Result<()> {
        let why = parked.reason.clone().unwrap_or_default();
        let mut op = RoutedOp::new(parked);
        let done = self.piece(|applier, own| applier.route(&mut op, &[], own))?;
        let Err(error) = done else { return Ok(()) };
        let why = format!("{why}; and its row: {error}");
        self.piece(|applier, _| applier.set_aside_found(row, &why)).map(drop)
    }

    /// The attempt without what it told. Where that is refused too, the delivery goes, lest it be made for ever, and
    /// its event is parked.
    fn settle_bare(&mut self, settled: &Settled, why: &str) -> rusqlite::Result<()> {
        let bare = bare(settled, why);
        if self.piece(|applier, own| applier.settle(&bare, own))?.is_ok() {
            return Ok(());
        }
        let came_to = match &settled.next {
            Next::Delivered => "was delivered",
            _ => "failed",
        };
        self.delete_and_park(&settled.key, came_to, why)
    }

    fn delete_and_park(
        &mut self,
        key: &DeliveryKey,
        came_to: &str,
        why: &str,
    ) -> rusqlite::Result<()> {
        let (row, name) = (key.event.row(), key.destination.as_str());
        if !self.applier.knows_destination(name)? {
            return Ok(());
        }
        let why = format!("its delivery to {name} {came_to} and has no row any more: {why}");
        if self.piece(|applier, own| applier.delete_delivery(row, name, own))?.is_err() {
            return Ok(());
        }
        // The event itself was not handed over: only its row is looked at.
        let event = Event {
            id: EventId::new(row, self.applier.node()),
            received_ms: 0,
            source: key.destination.clone(),
            kind: "".into(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        self.park(row, Routed::parked(event.into(), why))
    }
}

fn bare(settled: &Settled, why: &str) -> Settled {
    let outcome = match &settled.attempt.outcome {
        Outcome::Answered { status, retry_after_s, .. } => Outcome::Answered {
            status: *status,
            retry_after_s: *retry_after_s,
            excerpt: bytes::Bytes::new(),
        },
        Outcome::Failed { cause, .. } => Outcome::Failed { cause: *cause, message: why.to_owned() },
        Outcome::Accepted => Outcome::Accepted,
    };
    let next = match &settled.next {
        Next::Dead { .. } => Next::Dead { cause: why.to_owned() },
        other => other.clone(),
    };
    Settled {
        key: settled.key.clone(),
        attempt: Attempt { outcome, ..settled.attempt.clone() },
        next,
        ordered: settled.ordered,
    }
}

fn row_of(item: &Work) -> Option<i64> {
    match item {
        Work::New(pending) => Some(pending.accepted.event.id.row()),
        Work::Found { accepted, .. } => Some(accepted.event.id.row()),
        Work::Routed(op) => Some(op.routed.event.id.row()),
        Work::Settled(settled) => Some(settled.key.event.row()),
        Work::GivenUp(given_up) => Some(given_up.key.event.row()),
        Work::FoundPayload { row, .. } | Work::Unreadable { row, .. } => Some(*row),
        Work::Request(Request::Replay { row, .. }) => Some(*row),
        Work::Request(_) => None,
    }
}
