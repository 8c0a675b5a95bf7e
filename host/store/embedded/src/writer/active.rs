//! The active segment: the one file of the journal that is written to.
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::is_full;
use crate::journal::disk::Disk;
use crate::journal::locator::Position;
use crate::journal::record::Salt;
use crate::journal::segment::{HEADER, Segment};

/// Room is taken from the disk in pieces of this size, in bytes: a sync that has
/// a new length to write waits for the file system's own journal, and on a
/// machine that writes much else that takes several times as long.
const RESERVE: u64 = 8 << 20;

/// A segment with room for more records. The tail owns it, and replaces it by a new one once it is full, old or
/// poisoned.
pub(super) struct ActiveSegment {
    number: u32,
    path: PathBuf,
    file: Arc<File>,
    salt: Salt,
    /// Everything before is whole and synced.
    end: u64,
    /// The file is that long at most; from `end` on it is zeros.
    reserved: u64,
    /// When it got its first record that is not a copy of an older one, milliseconds since 1970.
    first_ms: Option<u64>,
    /// And the one that was the latest by the clock.
    last_ms: u64,
    /// A write or sync failed: nothing may follow what is in it.
    poisoned: bool,
}

impl ActiveSegment {
    /// A new segment, which has its header and nothing else.
    pub(super) fn new(number: u32, path: PathBuf, file: Arc<File>, salt: Salt) -> Self {
        Self {
            number,
            path,
            file,
            salt,
            end: HEADER,
            reserved: HEADER,
            first_ms: None,
            last_ms: 0,
            poisoned: false,
        }
    }

    /// The last segment of before, with the times of its first and its latest record of its own.
    pub(super) fn resume(
        segment: Segment,
        file: Arc<File>,
        first_ms: Option<u64>,
        last_ms: u64,
    ) -> Self {
        let Segment { number, path, bytes, salt, .. } = segment;
        Self {
            number,
            path,
            file,
            salt,
            end: bytes,
            reserved: bytes,
            first_ms,
            last_ms,
            poisoned: false,
        }
    }

    pub(super) fn end(&self) -> Position {
        Position { segment: self.number, offset: self.end }
    }

    pub(super) fn salt(&self) -> Salt {
        self.salt
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Whether its first record of its own is further away than `age_ms`. Either way: what was written while the clock
    /// was wrong ends there.
    pub(super) fn is_old(&self, age_ms: u64, now_ms: u64) -> bool {
        self.first_ms.is_some_and(|first| now_ms.abs_diff(first) > age_ms)
    }

    /// Whether it has records of its own, all of before that time. One that holds only copies stays: they would be
    /// copied for ever.
    pub(super) fn is_before(&self, ms: u64) -> bool {
        self.first_ms.is_some() && self.last_ms < ms
    }

    /// A record of its own was written now.
    pub(super) fn touch(&mut self, now_ms: u64) {
        self.first_ms.get_or_insert(now_ms);
        self.last_ms = self.last_ms.max(now_ms);
    }

    /// Writes and syncs the bytes behind the end; `segment_bytes` is how long a segment becomes.
    ///
    /// # Errors
    /// Those of the disk. Unless the disk was merely full and the write could be taken back, the segment is poisoned.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        bytes: &[u8],
        segment_bytes: u64,
    ) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if end > self.reserved {
            let reserve = end.max(segment_bytes.min(end + RESERVE));
            // Without it the write itself makes the file longer. One that fails may
            // have made it longer too, by a part.
            let _ = disk.reserve(&self.path, &self.file, reserve);
            self.reserved = reserve;
        }
        if let Err(error) = disk.write_at(&self.path, &self.file, bytes, self.end) {
            self.reserved = self.end;
            let taken_back = disk.set_len(&self.path, &self.file, self.end);
            self.poisoned = !is_full(&error) || taken_back.is_err();
            return Err(error);
        }
        if let Err(error) = disk.sync(&self.path, &self.file) {
            // The kernel may have dropped the pages: a second sync would claim
            // success for what is not on the disk.
            self.poisoned = true;
            return Err(error);
        }
        self.end = end;
        Ok(())
    }

    /// Gives back what lies behind the end: neither spare room nor what a failed write left may be taken for damage
    /// later.
    pub(super) fn seal(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.poisoned || self.reserved > self.end {
            disk.set_len(&self.path, &self.file, self.end)?;
            disk.sync(&self.path, &self.file)?;
            self.reserved = self.end;
        }
        Ok(())
    }
}
