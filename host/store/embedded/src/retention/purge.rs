//! Dropping old segments: what is unfinished in them is carried over, the rest goes.
//!
//! For each segment, oldest first: (1) finished events lose their rows, (2) the
//! records that unfinished ones need are copied to the journal's end and
//! synced, (3) their rows point to the copies, (4) the index is synced, (5)
//! the file is deleted. A crash before (5) leaves a file that nothing points
//! into, and the next purge deletes it; the index can't fall back behind (4),
//! and the position up to which it is indexed lies behind the segment.
//!
//! A segment that can't be read stays, is told, and holds no other one up. Of one
//! that is damaged, the whole records go the way above; events in the damaged
//! parts end as dead, and the file goes with the next purge.
use std::io::ErrorKind;

use rusqlite::OptionalExtension;

use crate::engine::Embedded;
use crate::error::ReadError;
use crate::index::ops::{Request, SweepOutcome};
use crate::index::schema::TIME;
use crate::index::wal;
use crate::journal::resync::Ending;
use crate::journal::scan::Scanned;
use crate::journal::scan::{Gap, Scan};
use crate::journal::segment::Segment;
use crate::writer::queue::Job;
use hookwright_model::EventId;
use hookwright_model::metrics::{PURGED, STORE_ERRORS};
use hookwright_store::{Purged, StoreError};

/// Records a step looks at, so that commits in between stay quick.
const STEP: usize = 256;
/// Bytes that one step copies at most, a single record aside.
const RELOCATE_BYTES: u64 = 4 << 20;

/// What keeps a segment from being dropped.
enum Stuck {
    /// Something of the whole store: the others would not go either.
    Store(StoreError),
    /// Something of this one file.
    Segment(ReadError),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ReadError> for Stuck {
    fn from(error: ReadError) -> Self {
        Self::Segment(error)
    }
}

impl Embedded {
    pub(crate) fn purge_before(&self, before_ms: u64) -> Result<Purged, StoreError> {
        let _one_at_a_time = self.purging.lock();
        self.ask_journal(|reply| Job::Rotate { before_ms, reply })?;
        self.index.ask(|reply| Request::Barrier { all: true, reply })?;
        let segments = self.segments.list();
        let mut purged = Purged::default();
        for pair in segments.windows(2) {
            if !self.is_before(before_ms, &pair[0], &pair[1])? {
                break;
            }
            let about = pair[0].path.display().to_string();
            match self.drop_segment(&pair[0], pair[1].first_row, &mut purged) {
                Ok(()) => self.damage.clear(&about),
                Err(Stuck::Store(error)) => return Err(error),
                Err(Stuck::Segment(error)) => {
                    metrics::counter!(STORE_ERRORS, "part" => "purge").increment(1);
                    let what =
                        format!("{error}: retention can't drop it and goes on with the others");
                    self.damage.raise(&about, &what);
                }
            }
        }
        self.drop_orphans(EventId::first_row_at(before_ms), &mut purged)?;
        if purged.bytes > 0 {
            self.segments.sync_dir().map_err(|e| StoreError::Failed(e.to_string().into()))?;
        }
        metrics::counter!(PURGED).increment(purged.events);
        self.usage_gauge();
        Ok(purged)
    }

    /// Whether all events of the segment, whose next one is given, were accepted
    /// before that time.
    ///
    /// The clock may have been wrong. What it called a time that is still to
    /// come was accepted before the first later event that has a time of the
    /// past, and stays where there is none. So do copies, which have no time here.
    fn is_before(
        &self,
        before_ms: u64,
        segment: &Segment,
        next: &Segment,
    ) -> Result<bool, StoreError> {
        let end = next.first_row;
        if end <= EventId::first_row_at(before_ms) {
            return Ok(true);
        }
        let small = |ms: u64| ms.min(i64::MAX as u64) as i64;
        let (before, now) = (small(before_ms), small(self.clock.now_ms().max(before_ms)));
        self.readers.with(|conn| {
            let mut within = conn.prepare(&format!(
                "SELECT EXISTS(SELECT 1 FROM event e WHERE e.id >= ?1 AND e.id < ?2
                 AND {TIME} BETWEEN ?3 AND ?4 ORDER BY e.id DESC)"
            ))?;
            let mut within = |from: i64, to: i64| -> rusqlite::Result<bool> {
                within.query_row([segment.first_row, end, from, to], |row| row.get(0))
            };
            if within(before, now)? {
                return Ok(false);
            }
            let has_old = within(0, before.saturating_sub(1))?;
            if has_old && !within(now.saturating_add(1), i64::MAX)? {
                return Ok(true);
            }
            let later = format!(
                "SELECT {TIME} FROM event e WHERE e.id >= ?1 AND {TIME} <= ?2 ORDER BY e.id LIMIT 1"
            );
            let later = conn.query_row(&later, [end, now], |row| row.get::<_, i64>(0));
            Ok(later.optional()?.is_some_and(|later| later < before))
        })
    }

    fn drop_segment(
        &self,
        segment: &Segment,
        next_row: i64,
        purged: &mut Purged,
    ) -> Result<(), Stuck> {
        let whole = match self.segments.file(segment.number) {
            Ok(file) => self.sweep_records(Scan::new(file, segment, None), segment, purged)?,
            // Somebody moved it away.
            Err(ReadError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        let own = segment.number..=segment.number;
        if !whole && self.sweep_unreadable(own, next_row, purged)? > 0 {
            // Their end is to be seen, and an index that falls back finds the file.
            return Ok(());
        }
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string().into());
        wal::sync_log(&self.dir).map_err(failed)?;
        let removed = self.segments.remove(segment.number);
        purged.bytes +=
            removed.map_err(|source| ReadError::Io { file: segment.path.clone(), source })?;
        Ok(())
    }

    /// False where some of the segment was no record.
    fn sweep_records(
        &self,
        mut scan: Scan,
        segment: &Segment,
        purged: &mut Purged,
    ) -> Result<bool, Stuck> {
        let mut whole = true;
        loop {
            let mut records = Vec::with_capacity(STEP);
            while records.len() < STEP {
                match scan.next_scanned() {
                    Ok(Some(scanned)) => records.push(scanned),
                    Ok(None) => break,
                    Err(ReadError::Damaged { .. }) => {
                        let gap = scan.resync()?;
                        if self.mend(segment, gap) {
                            scan.back_to(gap);
                            continue;
                        }
                        whole = false;
                        if gap.ending != Some(Ending::Spare) {
                            // Without a copy the file is all that is left of it.
                            let kept = self.damage.keep(segment, gap, &scan.bytes(gap)?);
                            let file = self.damage.folder();
                            kept.map_err(|source| ReadError::Io { file, source })?;
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if records.is_empty() {
                return Ok(whole);
            }
            let out = self.index.ask(|reply| Request::Sweep {
                records,
                out: SweepOutcome::default(),
                reply,
            })?;
            purged.events += out.dropped;
            self.relocate(&out.keep, purged)?;
        }
    }

    fn mend(&self, segment: &Segment, gap: Gap) -> bool {
        let Some(head) = gap.mended else { return false };
        let Ok(file) = self.segments.file(segment.number) else { return false };
        let disk = self.segments.disk();
        self.damage.mend(disk, (segment, &file), (gap, head)).is_ok()
    }

    pub(crate) fn relocate(
        &self,
        mut keep: &[Scanned],
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        while !keep.is_empty() {
            let mut bytes = 0;
            let mut count = 0;
            for scanned in keep {
                bytes += u64::from(scanned.at.length);
                if count > 0 && bytes > RELOCATE_BYTES {
                    break;
                }
                count += 1;
            }
            let (now, later) = keep.split_at(count);
            let records = now.to_vec();
            let moved = self.ask_journal(|reply| Job::Relocate { records, reply })?;
            self.index.ask(|reply| Request::Repoint { moved, reply })?;
            let events = now.iter().filter(|scanned| scanned.tag.is_event()).count();
            purged.kept += events as u64;
            keep = later;
        }
        Ok(())
    }
}
