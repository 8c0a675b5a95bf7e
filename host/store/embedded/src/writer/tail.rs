//! The journal's tail: the active segment, and the new one that follows when it is full, old or poisoned.
use std::io;
use std::sync::Arc;

use super::active::ActiveSegment;
use crate::journal::disk::Disk;
use crate::journal::locator::Position;
use crate::journal::record::{RecordTag, Salt, row_ms};
use crate::journal::scan::Scan;
use crate::journal::segment::HEADER;
use crate::journal::segments::Segments;

/// When a segment ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentLimits {
    /// At this size, in bytes.
    pub(crate) bytes: u64,
    /// And at this age, in milliseconds.
    pub(crate) age_ms: u64,
}

/// Where the journal is written. Owned by the writer.
pub(super) struct Tail {
    segments: Arc<Segments>,
    disk: Arc<dyn Disk>,
    limits: SegmentLimits,
    active: Option<ActiveSegment>,
    /// Never used twice, so that a half-made file is in nobody's way.
    next_number: u32,
}

impl Tail {
    /// Continues in the last segment, unless that is sealed. `last_ms` is when the newest event was accepted.
    pub(super) fn resume(
        segments: Arc<Segments>,
        disk: Arc<dyn Disk>,
        limits: SegmentLimits,
        sealed: bool,
        last_ms: u64,
    ) -> Self {
        let mut tail = Self { segments, disk, limits, active: None, next_number: 1 };
        let Some(last) = tail.segments.list().pop() else { return tail };
        tail.next_number = last.number + 1;
        if sealed {
            return tail;
        }
        let Ok(file) = tail.segments.file(last.number) else { return tail };
        let mut scan = Scan::new(Arc::clone(&file), &last, None);
        let mut first_ms = None;
        while first_ms.is_none()
            && let Ok(Some(scanned)) = scan.next_scanned()
        {
            let own = matches!(scanned.tag, RecordTag::Event | RecordTag::Payload);
            // Later than it was where the clock had been ahead: it ends early then.
            first_ms = own.then(|| row_ms(scanned.row));
        }
        tail.active = Some(ActiveSegment::resume(last, file, first_ms, last_ms));
        tail
    }

    /// The active segment's end, where it takes more records.
    pub(super) fn ready(&self, now_ms: u64) -> Option<Position> {
        let SegmentLimits { bytes, age_ms } = self.limits;
        let good = self.active.as_ref().filter(|active| {
            !active.is_poisoned() && active.end().offset < bytes && !active.is_old(age_ms, now_ms)
        });
        good.map(ActiveSegment::end)
    }

    /// Seals the active segment and makes a new one; answers its end. `next_row` is the lowest row that an event in it
    /// can have.
    pub(super) fn rotate(&mut self, next_row: i64) -> io::Result<Position> {
        self.seal()?;
        let number = self.next_number;
        self.next_number += 1;
        let (file, salt) = self.segments.create(number, next_row)?;
        let path = self.segments.path(number).unwrap_or_default();
        self.active = Some(ActiveSegment::new(number, path, file, salt));
        Ok(Position { segment: number, offset: HEADER })
    }

    /// Gives back the active segment's spare room.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        match &mut self.active {
            Some(active) => active.seal(self.disk.as_ref()),
            None => Ok(()),
        }
    }

    /// Writes and syncs the bytes at the end.
    ///
    /// # Errors
    /// Those of the disk. Look at [`Self::is_poisoned`] then.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(active) = self.active.as_mut() else {
            return Err(io::Error::other("the journal has no segment to write to"));
        };
        active.write(self.disk.as_ref(), bytes, self.limits.bytes)?;
        let Position { segment, offset } = active.end();
        self.segments.set_bytes(segment, offset);
        Ok(())
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.active.as_ref().is_some_and(ActiveSegment::is_poisoned)
    }

    pub(super) fn salt(&self) -> Salt {
        self.active.as_ref().map_or(Salt::NONE, ActiveSegment::salt)
    }

    /// Whether the active segment holds only records of before that time, and some that are not copies.
    pub(super) fn is_before(&self, ms: u64) -> bool {
        self.active.as_ref().is_some_and(|active| active.is_before(ms))
    }

    /// A record that is not a copy was written now.
    pub(super) fn touch(&mut self, now_ms: u64) {
        if let Some(active) = &mut self.active {
            active.touch(now_ms);
        }
    }
}
