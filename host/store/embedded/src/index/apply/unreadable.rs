//! Rows whose records are gone: with a damaged part of a segment, or with a file that somebody took away.
use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension, params};

use super::applier::{Applier, payload_at, state_of};
use crate::Embedded;
use crate::index::counts::Delta;
use crate::index::ops::{Request, Scanned, SweepOutcome};
use crate::journal::record::RecordTag;
use crate::journal::segment::Locator;
use crate::queries::query::locator;
use hookwright_store::{Purged, StoreError};

/// Rows that a step looks at.
const STEP: i64 = 256;

/// Events whose own record or whose payload's should be in one of the segments
/// that are gone. Older than all that is kept, so few are looked at.
const LOST: &str = "
SELECT id FROM event e WHERE id > ?1 AND id < ?2 AND (segment BETWEEN ?3 AND ?4 OR EXISTS(
  SELECT 1 FROM delivery d
  WHERE d.event = e.id AND d.pay_segment BETWEEN ?3 AND ?4 AND +d.state IN (0, 3)))
ORDER BY id LIMIT ?5";

/// A waiting delivery: its destination's number and name, and its payload's place.
type Waiting = (i64, String, Option<Locator>);

impl Embedded {
    /// Rows of events older than `before_row` that still point into the segments:
    /// their records are gone. Answers how many had to be ended.
    pub(crate) fn sweep_unreadable(
        &self,
        segments: RangeInclusive<u32>,
        before_row: i64,
        purged: &mut Purged,
    ) -> Result<u64, StoreError> {
        let mut after = i64::MIN;
        let mut ended = 0;
        loop {
            let rows: Vec<i64> = self.readers.with(|conn| {
                let mut find = conn.prepare(LOST)?;
                let (from, to) = (segments.start(), segments.end());
                let page = params![after, before_row, from, to, STEP];
                let found = find.query_map(page, |row| row.get(0))?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })?;
            let Some(last) = rows.last() else { return Ok(ended) };
            after = *last;
            let out = self.index.ask(|reply| Request::SweepUnreadable {
                rows,
                segments: segments.clone(),
                out: SweepOutcome::default(),
                reply,
            })?;
            purged.events += out.dropped;
            ended += out.ended;
            self.relocate(&out.keep, purged)?;
        }
    }

    /// The same for segments that are no more, whoever took them away.
    pub(crate) fn drop_orphans(
        &self,
        before_row: i64,
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        let segments = self.segments.list();
        let Some(oldest) = segments.first() else { return Ok(()) };
        let before_row = before_row.min(oldest.first_row);
        self.sweep_unreadable(0..=oldest.number.saturating_sub(1), before_row, purged).map(drop)
    }
}

impl Applier<'_> {
    /// Ends what is unfinished of events whose records are gone, and drops those
    /// that had ended before. What can be read after all is to be carried.
    pub(crate) fn sweep_unreadable(
        &mut self,
        rows: &[i64],
        segments: &RangeInclusive<u32>,
        delta: &mut Delta,
    ) -> rusqlite::Result<SweepOutcome> {
        let mut out = SweepOutcome::default();
        for row in rows {
            let find = "SELECT segment, offset, length, state FROM event WHERE id = ?1";
            let found = self.conn.query_row(find, [row], |found| {
                Ok((locator(found, 0)?, found.get::<_, i64>(3)? == 0))
            });
            let Some((at, accepted)) = found.optional()? else { continue };
            let waiting = self.waiting(*row)?;
            if !segments.contains(&at.segment) {
                self.sweep_payloads(*row, segments, &waiting, &mut out, delta)?;
            } else if accepted || !waiting.is_empty() {
                match self.segments.event(*row, at) {
                    Ok(_) => out.keep.push(Scanned { row: *row, tag: RecordTag::Event, at }),
                    Err(error) if error.is_lasting() => {
                        self.end_unreadable_event(*row)?;
                        for (dest, name, _) in waiting {
                            self.end_delivery((*row, dest), &name, &error, delta)?;
                        }
                        out.ended += 1;
                    }
                    // Not now; the file stays meanwhile.
                    Err(_) => out.ended += 1,
                }
            } else {
                self.drop_event(*row, delta)?;
                out.dropped += 1;
            }
        }
        Ok(out)
    }

    fn sweep_payloads(
        &mut self,
        row: i64,
        segments: &RangeInclusive<u32>,
        waiting: &[Waiting],
        out: &mut SweepOutcome,
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        for (dest, name, payload) in waiting {
            let Some(at) = payload.filter(|at| segments.contains(&at.segment)) else { continue };
            match self.segments.payload(row, at) {
                Ok(_) => out.keep.push(Scanned { row, tag: RecordTag::Payload, at }),
                Err(error) if error.is_lasting() => {
                    self.end_delivery((row, *dest), name, &error, delta)?;
                    out.ended += 1;
                }
                Err(_) => out.ended += 1,
            }
        }
        Ok(())
    }

    fn waiting(&self, row: i64) -> rusqlite::Result<Vec<Waiting>> {
        let mut find = self.conn.prepare(
            "SELECT d.dest, t.text, d.pay_segment, d.pay_offset, d.pay_length
             FROM delivery d JOIN destination t ON t.id = d.dest
             WHERE d.event = ?1 AND +d.state IN (0, 3)",
        )?;
        let found = find
            .query_map([row], |found| Ok((found.get(0)?, found.get(1)?, payload_at(found, 2)?)))?;
        found.collect()
    }

    fn drop_event(&self, row: i64, delta: &mut Delta) -> rusqlite::Result<()> {
        delta.events -= self.conn.execute("DELETE FROM event WHERE id = ?1", [row])? as i64;
        let drop = "DELETE FROM delivery WHERE event = ?1 RETURNING dest, state";
        let mut drop = self.conn.prepare(drop)?;
        let mut rows = drop.query([row])?;
        while let Some(row) = rows.next()? {
            delta.moved(row.get(0)?, Some(state_of(row.get(1)?)?), None);
        }
        self.conn.execute("DELETE FROM attempt WHERE event = ?1", [row])?;
        Ok(())
    }
}
