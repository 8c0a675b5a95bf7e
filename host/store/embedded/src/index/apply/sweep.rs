//! What a purge asks of the index: finished events lose their rows, and of the others it says which records they need.
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};

use super::aside;
use super::deliveries::Deliveries;
use super::delivery_rows::DeliveryId;
use super::events::Events;
use crate::index::columns::{delivery_state, locator, payload_locator};
use crate::index::counts::Delta;
use crate::index::ops::SweepOutcome;
use crate::journal::locator::Locator;
use crate::journal::record::RecordTag;
use crate::journal::scan::Scanned;
use crate::journal::segments::Segments;

/// One step of a purge, inside the transaction that the applier has begun.
pub(super) struct Sweep<'a, 'c> {
    pub(super) conn: &'c Connection,
    pub(super) segments: &'a Segments,
    pub(super) events: &'a Events<'c>,
    pub(super) deliveries: &'a mut Deliveries<'c>,
    pub(super) delta: &'a mut Delta,
}

/// A waiting delivery: its key, its destination's name, and where its payload is.
type Waiting = (DeliveryId, String, Option<Locator>);

impl Sweep<'_, '_> {
    /// Drops the rows of finished events among the records, and says which records are still needed.
    pub(super) fn records(self, records: &[Scanned]) -> rusqlite::Result<SweepOutcome> {
        let mut out = SweepOutcome::default();
        let mut unfinished = self.conn.prepare(
            "SELECT state = 0 OR EXISTS(SELECT 1 FROM delivery d WHERE d.event = e.id AND +d.state IN (0, 3))
             FROM event e WHERE id = ?1 AND segment = ?2 AND offset = ?3",
        )?;
        let mut used = self.conn.prepare(
            "SELECT EXISTS(SELECT 1 FROM delivery
             WHERE event = ?1 AND pay_segment = ?2 AND pay_offset = ?3)",
        )?;
        let mut drop_event = DropEvent::new(self.conn)?;
        for scanned in records {
            let place = params![scanned.row, scanned.at.segment, scanned.at.offset as i64];
            if !scanned.tag.is_event() {
                if used.query_row(place, |row| row.get(0))? {
                    out.keep.push(*scanned);
                }
                continue;
            }
            match unfinished.query_row(place, |row| row.get(0)).optional()? {
                None => aside::delete(self.conn, scanned.row)?,
                Some(true) => out.keep.push(*scanned),
                Some(false) => {
                    drop_event.execute(scanned.row, self.delta)?;
                    out.dropped += 1;
                }
            }
        }
        Ok(out)
    }

    /// Ends what is unfinished of events whose records are gone with these segments, and drops those that had ended
    /// before. What can be read after all is to be relocated.
    pub(super) fn unreadable(
        mut self,
        rows: &[i64],
        segments: &RangeInclusive<u32>,
    ) -> rusqlite::Result<SweepOutcome> {
        let mut out = SweepOutcome::default();
        let mut drop_event = DropEvent::new(self.conn)?;
        for row in rows {
            let find = "SELECT segment, offset, length, state FROM event WHERE id = ?1";
            let found = self.conn.query_row(find, [row], |found| {
                Ok((locator(found, 0)?, found.get::<_, i64>(3)? == 0))
            });
            let Some((at, to_be_routed)) = found.optional()? else { continue };
            let waiting = self.waiting(*row)?;
            if !segments.contains(&at.segment) {
                self.payloads(segments, &waiting, &mut out)?;
            } else if to_be_routed || !waiting.is_empty() {
                match self.segments.event(*row, at) {
                    Ok(_) => out.keep.push(Scanned { row: *row, tag: RecordTag::Event, at }),
                    Err(error) if error.is_lasting() => {
                        self.events.end_unreadable(*row)?;
                        for (id, name, _) in waiting {
                            self.deliveries.end_unreadable(id, &name, &error, self.delta)?;
                        }
                        out.ended += 1;
                    }
                    // Not now; the file stays meanwhile.
                    Err(_) => out.ended += 1,
                }
            } else {
                drop_event.execute(*row, self.delta)?;
                out.dropped += 1;
            }
        }
        Ok(out)
    }

    fn payloads(
        &mut self,
        segments: &RangeInclusive<u32>,
        waiting: &[Waiting],
        out: &mut SweepOutcome,
    ) -> rusqlite::Result<()> {
        for (id, name, payload) in waiting {
            let Some(at) = payload.filter(|at| segments.contains(&at.segment)) else { continue };
            match self.segments.payload(id.event, at) {
                Ok(_) => out.keep.push(Scanned { row: id.event, tag: RecordTag::Payload, at }),
                Err(error) if error.is_lasting() => {
                    self.deliveries.end_unreadable(*id, name, &error, self.delta)?;
                    out.ended += 1;
                }
                Err(_) => out.ended += 1,
            }
        }
        Ok(())
    }

    fn waiting(&self, event: i64) -> rusqlite::Result<Vec<Waiting>> {
        let mut find = self.conn.prepare(
            "SELECT d.dest, t.text, d.pay_segment, d.pay_offset, d.pay_length
             FROM delivery d JOIN destination t ON t.id = d.dest
             WHERE d.event = ?1 AND +d.state IN (0, 3)",
        )?;
        let found = find.query_map([event], |found| {
            let id = DeliveryId { event, dest: found.get(0)? };
            Ok((id, found.get(1)?, payload_locator(found, 2)?))
        })?;
        found.collect()
    }
}

/// Drops an event's row with all that belongs to it.
struct DropEvent<'c> {
    event: rusqlite::Statement<'c>,
    deliveries: rusqlite::Statement<'c>,
    attempts: rusqlite::Statement<'c>,
}

impl<'c> DropEvent<'c> {
    fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            event: conn.prepare("DELETE FROM event WHERE id = ?1")?,
            deliveries: conn
                .prepare("DELETE FROM delivery WHERE event = ?1 RETURNING dest, state")?,
            attempts: conn.prepare("DELETE FROM attempt WHERE event = ?1")?,
        })
    }

    fn execute(&mut self, row: i64, delta: &mut Delta) -> rusqlite::Result<()> {
        delta.events -= self.event.execute([row])? as i64;
        let mut rows = self.deliveries.query([row])?;
        while let Some(row) = rows.next()? {
            delta.moved(row.get(0)?, Some(delivery_state(row.get(1)?)?), None);
        }
        self.attempts.execute([row]).map(drop)
    }
}
