//! Work that SQLite refuses for its content: found among the rest, and set aside with its reason.
//!
//! Tried again and again it would hold all others up. So each piece of the batch
//! gets a savepoint of its own; one that is refused is taken back, and its event
//! is parked with what SQLite said, in the same transaction. Where not even that
//! can be recorded, the event has its place in the table `aside`.
use rusqlite::{OptionalExtension, params};

use super::applier::Applier;
use crate::error::is_of_content;
use crate::index::counts::Delta;
use crate::index::ops::{Accepted, Request, RoutedOp};
use crate::index::work::{Fresh, PendingEvent, Work};
use crate::journal::segment::{Locator, Position};
use crate::queries::query::locator;
use hookwright_model::{Attempt, DeliveryKey, Event, EventId, Outcome};
use hookwright_store::{GivenUp, Next, Routed, Settled};

/// One piece that was refused.
pub(crate) struct Refused {
    /// Its place in the batch.
    pub(crate) place: usize,
    pub(crate) error: rusqlite::Error,
    /// None where it concerns no single event.
    pub(crate) event: Option<i64>,
}

impl Applier<'_> {
    /// As `transaction`, with each piece by itself. Only what concerns all pieces
    /// is an error.
    pub(crate) fn apart(
        &mut self,
        work: &mut [Work],
        position: Position,
        events: i64,
        now_ms: u64,
    ) -> rusqlite::Result<(Delta, Vec<Refused>)> {
        self.begin()?;
        let (mut delta, mut refused) = (Delta::default(), Vec::new());
        for (place, item) in work.iter_mut().enumerate() {
            let applied = self.piece(&mut delta, |applier, own| applier.apply(item, own))?;
            let Err(error) = applied else { continue };
            self.set_aside(item, &error, &mut delta)?;
            refused.push(Refused { place, error, event: row_of(item) });
        }
        self.commit(&mut delta, position, events, now_ms)?;
        Ok((delta, refused))
    }

    /// All or nothing of one piece; what it was refused for.
    fn piece(
        &mut self,
        delta: &mut Delta,
        work: impl FnOnce(&mut Self, &mut Delta) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<rusqlite::Result<()>> {
        self.conn.execute_batch("SAVEPOINT piece")?;
        let mut own = Delta::default();
        match work(self, &mut own) {
            Ok(()) => {
                self.conn.execute_batch("RELEASE piece")?;
                delta.add(own);
                Ok(Ok(()))
            }
            Err(error) if is_of_content(&error) => {
                self.conn.execute_batch("ROLLBACK TO piece; RELEASE piece")?;
                self.forget_names();
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    fn set_aside(
        &mut self,
        item: &mut Work,
        error: &rusqlite::Error,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let why = format!("the index refused what was to be recorded: {error}");
        match item {
            Work::New(PendingEvent { accepted, routed, .. }) => {
                if let Some(op) = routed {
                    op.routed.deliveries.clear();
                }
                self.park_new(accepted, why, delta)
            }
            Work::Found { accepted, fresh } if *fresh != Fresh::No => {
                self.park_new(accepted, why, delta)
            }
            Work::Routed(op) => {
                op.routed.deliveries.clear();
                let event = op.routed.event.clone();
                self.park(event.id.row(), Routed::parked(event, why), delta)
            }
            Work::Settled(settled) => self.settle_bare(settled, &why, delta),
            Work::GivenUp(GivenUp { key, cause, .. }) => {
                self.drop_and_park(key, &format!("was given up ({cause})"), &why, delta)
            }
            // Whoever asked is told.
            _ => Ok(()),
        }
    }

    fn park_new(
        &mut self,
        accepted: &Accepted,
        why: String,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let parked = Routed::parked(accepted.event.clone(), why.clone());
        let done = self
            .piece(delta, |applier, own| applier.insert(accepted, Some(&parked), own).map(drop))?;
        let Err(error) = done else { return Ok(()) };
        let why = format!("{why}; and its row: {error}");
        let (row, at) = (accepted.event.id.row(), accepted.at);
        // What is refused even so is in the journal and in the log.
        self.piece(delta, |applier, _| applier.put_aside(row, at, &why)).map(drop)
    }

    fn park(&mut self, row: i64, parked: Routed, delta: &mut Delta) -> rusqlite::Result<()> {
        let why = parked.reason.clone().unwrap_or_default();
        let mut op = RoutedOp::new(parked);
        let done = self.piece(delta, |applier, own| applier.route(&mut op, &[], own))?;
        let Err(error) = done else { return Ok(()) };
        let why = format!("{why}; and its row: {error}");
        let find = "SELECT segment, offset, length FROM event WHERE id = ?1";
        let found = self.conn.query_row(find, [row], |found| locator(found, 0)).optional()?;
        let Some(at) = found else { return Ok(()) };
        self.piece(delta, |applier, _| applier.put_aside(row, at, &why)).map(drop)
    }

    /// The attempt without what it told. Where that is refused too, the delivery
    /// goes, lest it be made for ever, and its event is parked.
    fn settle_bare(
        &mut self,
        settled: &Settled,
        why: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let bare = bare(settled, why);
        let done = self.piece(delta, |applier, own| applier.settle(&bare, own))?;
        if done.is_ok() {
            return Ok(());
        }
        let came_to = match &settled.next {
            Next::Delivered => "was delivered",
            _ => "failed",
        };
        self.drop_and_park(&settled.key, came_to, why, delta)
    }

    fn drop_and_park(
        &mut self,
        key: &DeliveryKey,
        came_to: &str,
        why: &str,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        let (row, name) = (key.event.row(), key.destination.as_str());
        let Some(dest) = self.destinations.find(name)? else { return Ok(()) };
        let why = format!("its delivery to {name} {came_to} and has no row any more: {why}");
        let gone = self.piece(delta, |applier, own| applier.drop_delivery(row, dest, own))?;
        if gone.is_err() {
            return Ok(());
        }
        // The event itself was not handed over: only its row is looked at.
        let event = Event {
            id: EventId::new(row, self.segments.node),
            received_ms: 0,
            source: key.destination.clone(),
            kind: "".into(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        self.park(row, Routed::parked(event.into(), why), delta)
    }

    fn put_aside(&mut self, row: i64, at: Locator, why: &str) -> rusqlite::Result<()> {
        let put = "INSERT OR REPLACE INTO aside VALUES(?1, ?2, ?3, ?4, ?5)";
        let Locator { segment, offset, length } = at;
        self.conn.execute(put, params![row, segment, offset as i64, length, why]).map(drop)
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
        Outcome::Taken => Outcome::Taken,
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
