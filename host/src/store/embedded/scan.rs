//! Walking over the records of one segment, front to back.
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::error::ReadError;
use super::ops::Swept;
use super::record::{self, HEAD, Head};
use super::segment::{HEADER, Locator, Segment};

pub(super) struct Scan {
    file: Arc<File>,
    path: PathBuf,
    number: u32,
    offset: u64,
    end: u64,
}

impl Scan {
    /// From a record's start on, or from the first.
    pub(super) fn new(file: Arc<File>, segment: &Segment, from: Option<u64>) -> Self {
        Self {
            file,
            path: segment.path.clone(),
            number: segment.number,
            offset: from.unwrap_or(HEADER).max(HEADER),
            end: segment.bytes,
        }
    }

    /// Where the next record starts.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record, its CRC checked.
    pub(super) fn next(&mut self) -> Result<Option<(Head, Bytes, Locator)>, ReadError> {
        let Some((head, at)) = self.head()? else { return Ok(None) };
        let mut content = vec![0; head.length];
        self.read(&mut content, self.offset + HEAD as u64)?;
        record::check(head, &content).map_err(|_| self.damaged())?;
        self.offset += u64::from(at.length);
        Ok(Some((head, content.into(), at)))
    }

    /// The next record without its content, which stays unread and unchecked.
    pub(super) fn next_swept(&mut self) -> Result<Option<Swept>, ReadError> {
        let Some((head, at)) = self.head()? else { return Ok(None) };
        let mut row = [0; 8];
        self.read(&mut row, self.offset + HEAD as u64)?;
        self.offset += u64::from(at.length);
        Ok(Some(Swept { row: i64::from_le_bytes(row), kind: head.kind, at }))
    }

    fn head(&self) -> Result<Option<(Head, Locator)>, ReadError> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let mut bytes = [0; HEAD];
        self.read(&mut bytes, self.offset)?;
        let head = record::head(&bytes).map_err(|_| self.damaged())?;
        let length = (HEAD + head.length) as u32;
        if self.offset + u64::from(length) > self.end {
            return Err(self.damaged());
        }
        Ok(Some((head, Locator { segment: self.number, offset: self.offset, length })))
    }

    fn read(&self, into: &mut [u8], offset: u64) -> Result<(), ReadError> {
        if offset + into.len() as u64 > self.end {
            return Err(self.damaged());
        }
        let read = self.file.read_exact_at(into, offset);
        read.map_err(|source| ReadError::Io { file: self.path.clone(), source })
    }

    fn damaged(&self) -> ReadError {
        ReadError::Damaged { file: self.path.clone(), offset: self.offset }
    }
}

/// Whether a whole record stands anywhere in the bytes.
pub(super) fn holds_a_record(bytes: &[u8]) -> bool {
    (0..bytes.len().saturating_sub(HEAD)).any(|start| {
        record::head(&bytes[start..]).is_ok_and(|head| {
            let content = bytes.get(start + HEAD..start + HEAD + head.length);
            content.is_some_and(|content| record::check(head, content).is_ok())
        })
    })
}
