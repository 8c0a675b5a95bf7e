//! Walking over the records of one segment, front to back, and past what is none.
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::locator::Locator;
use super::record::{self, HEAD, Head, RecordTag, Salt};
use super::resync::{self, Ending, Search};
use super::segment::{HEADER, Segment};
use crate::error::ReadError;

/// A record that a walk has met, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The event's row.
    pub(crate) row: i64,
    pub(crate) tag: RecordTag,
    pub(crate) at: Locator,
}

/// A walk over one segment. Recovery reads all contents with it, a purge only which records there are.
pub(crate) struct Scan {
    file: Arc<File>,
    path: PathBuf,
    number: u32,
    salt: Salt,
    offset: u64,
    end: u64,
    /// The rest of the segment from that offset on, once something in it was damaged.
    search: Option<(u64, Search)>,
}

/// What lies between two records, or behind the last, and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Where nothing whole follows: how it ends.
    pub(crate) ending: Option<Ending>,
    /// The head that makes a whole record of it, where one bit of that is flipped.
    pub(crate) mended: Option<Head>,
}

impl Scan {
    /// From a record's start on, or from the first.
    pub(crate) fn new(file: Arc<File>, segment: &Segment, from: Option<u64>) -> Self {
        Self {
            file,
            path: segment.path.clone(),
            number: segment.number,
            salt: segment.salt,
            offset: from.unwrap_or(HEADER).max(HEADER),
            end: segment.bytes,
            search: None,
        }
    }

    /// Where the next record starts.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record, its CRC checked.
    pub(crate) fn next(&mut self) -> Result<Option<(Head, Bytes, Locator)>, ReadError> {
        let found = self.whole_at(self.offset)?;
        if let Some((.., at)) = &found {
            self.offset += u64::from(at.length);
        }
        Ok(found)
    }

    /// As `next`, for whoever needs no content: it is read, checked and let go.
    pub(crate) fn next_scanned(&mut self) -> Result<Option<Scanned>, ReadError> {
        let start = self.offset;
        let Some((head, content, at)) = self.next()? else { return Ok(None) };
        let Some(row) = content.first_chunk().copied().map(i64::from_le_bytes) else {
            self.offset = start;
            return Err(self.damaged(start));
        };
        Ok(Some(Scanned { row, tag: head.tag, at }))
    }

    /// After damage: goes on at the next whole record, or at the end, and says
    /// what is in between. Damage of a content leads to the next record at once;
    /// after that of a head each place is looked at.
    pub(crate) fn resync(&mut self) -> Result<Gap, ReadError> {
        let from = self.offset;
        let behind = self.head(from).ok().flatten().map(|(_, at)| at.end().offset);
        let framed = behind.filter(|to| *to < self.end && self.whole_at(*to).is_ok());
        let found = match framed {
            Some(to) => Some(to),
            None => self.search(from)?,
        };
        self.offset = found.unwrap_or(self.end);
        let mut gap = Gap { from, to: self.offset, ending: None, mended: None };
        let bytes = self.bytes(gap)?;
        gap.mended = resync::mended(&bytes, self.salt);
        if let Some(head) = gap.mended {
            self.offset = from + (HEAD + head.length) as u64;
            gap.to = self.offset;
        } else if found.is_none() {
            gap.ending = Some(resync::ending(&bytes, from, self.salt));
        }
        Ok(gap)
    }

    /// The record at the front of a gap has its head again.
    pub(crate) fn back_to(&mut self, gap: Gap) {
        self.offset = gap.from;
    }

    /// The bytes of a gap, as they are.
    pub(crate) fn bytes(&self, gap: Gap) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; (gap.to - gap.from) as usize];
        self.read(&mut bytes, gap.from)?;
        Ok(bytes)
    }

    /// The first whole record behind `from`.
    fn search(&mut self, from: u64) -> Result<Option<u64>, ReadError> {
        let (base, search) = match self.search.take() {
            Some(known) => known,
            None => {
                let mut rest = vec![0; self.end.saturating_sub(from) as usize];
                self.read(&mut rest, from)?;
                (from, Search::new(rest, self.salt))
            }
        };
        let found = search.next((from - base) as usize + 1).map(|at| base + at as u64);
        self.search = Some((base, search));
        Ok(found)
    }

    /// None at the end.
    fn whole_at(&self, offset: u64) -> Result<Option<(Head, Bytes, Locator)>, ReadError> {
        let Some((head, at)) = self.head(offset)? else { return Ok(None) };
        let mut content = vec![0; head.length];
        self.read(&mut content, offset + HEAD as u64)?;
        record::check(head, self.salt, &content).map_err(|_| self.damaged(offset))?;
        Ok(Some((head, content.into(), at)))
    }

    fn head(&self, offset: u64) -> Result<Option<(Head, Locator)>, ReadError> {
        if offset >= self.end {
            return Ok(None);
        }
        let mut bytes = [0; HEAD];
        self.read(&mut bytes, offset)?;
        let head = record::head(&bytes).map_err(|_| self.damaged(offset))?;
        let length = (HEAD + head.length) as u32;
        if offset + u64::from(length) > self.end {
            return Err(self.damaged(offset));
        }
        Ok(Some((head, Locator { segment: self.number, offset, length })))
    }

    fn read(&self, into: &mut [u8], offset: u64) -> Result<(), ReadError> {
        if offset + into.len() as u64 > self.end {
            return Err(self.damaged(offset));
        }
        self.file.read_exact_at(into, offset).map_err(|source| match source.kind() {
            // Somebody made the file shorter.
            std::io::ErrorKind::UnexpectedEof => self.damaged(offset),
            _ => ReadError::Io { file: self.path.clone(), source },
        })
    }

    fn damaged(&self, offset: u64) -> ReadError {
        ReadError::Damaged { file: self.path.clone(), offset }
    }
}
