//! Rows whose records are gone: with a damaged part of a segment, or with a file that somebody took away.
use std::ops::RangeInclusive;

use rusqlite::params;

use crate::engine::Embedded;
use crate::index::ops::{Request, SweepOutcome};
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
