//! The journal's segments: which there are, and reading records out of them.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::damage::Damage;
use super::disk::Disk;
use super::locator::Locator;
use super::record::{self, HEAD, Head, Salt};
use super::resync;
use super::scan::Gap;
use super::segment::{FORMAT, HEADER, Segment, file_name, header};
use crate::error::ReadError;
use hookwright_model::{Event, EventId, Payload};

/// So many segments are kept open for reading.
const OPEN_FILES: usize = 32;

/// All segments there are, and a few of them open for reading. Shared by the journal thread, which adds to them, the
/// index thread and the readers.
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    damage: Arc<Damage>,
    /// The store's own number, which is part of each event's id.
    pub(crate) node: u64,
    known: Mutex<BTreeMap<u32, Segment>>,
    open: Mutex<OpenFiles>,
    /// Damage that reads have reported, so that each place is reported once while the host runs.
    reported: Mutex<BTreeSet<(u32, u64)>>,
}

/// A segment that is open, with all that reading a record takes: one lock a read.
#[derive(Clone)]
struct OpenFile {
    number: u32,
    file: Arc<File>,
    salt: Salt,
}

/// Segments that are open for reading; the one that was opened first is closed for another.
#[derive(Default)]
struct OpenFiles(VecDeque<OpenFile>);

impl OpenFiles {
    fn get(&self, number: u32) -> Option<OpenFile> {
        self.0.iter().find(|open| open.number == number).cloned()
    }

    fn add(&mut self, open: OpenFile) {
        if self.0.len() >= OPEN_FILES {
            self.0.pop_front();
        }
        self.0.push_back(open);
    }

    fn remove(&mut self, number: u32) {
        self.0.retain(|open| open.number != number);
    }
}

impl Segments {
    pub(crate) fn new(
        dir: PathBuf,
        (disk, damage): (Arc<dyn Disk>, Arc<Damage>),
        node: u64,
        known: Vec<Segment>,
    ) -> Self {
        let known = known.into_iter().map(|segment| (segment.number, segment)).collect();
        Self {
            dir,
            disk,
            damage,
            node,
            known: Mutex::new(known),
            open: Mutex::default(),
            reported: Mutex::default(),
        }
    }

    /// Oldest first.
    pub(crate) fn list(&self) -> Vec<Segment> {
        self.known.lock().values().cloned().collect()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.known.lock().values().map(|segment| segment.bytes).sum()
    }

    pub(crate) fn set_bytes(&self, number: u32, bytes: u64) {
        if let Some(segment) = self.known.lock().get_mut(&number) {
            segment.bytes = bytes;
        }
    }

    /// A new segment, durable with its header and its name.
    pub(crate) fn create(&self, number: u32, first_row: i64) -> io::Result<(Arc<File>, Salt)> {
        let path = self.dir.join(file_name(number, first_row));
        let file = self.disk.create(&path)?;
        let salt = Salt(hookwright_model::clock::random_u64() as u32);
        let header = header(FORMAT, salt.0, first_row, self.node);
        let made = self
            .disk
            .write_at(&path, &file, &header, 0)
            .and_then(|()| self.disk.sync(&path, &file))
            .and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = made {
            // What can't be removed is an empty file that the next opening removes.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        let file = Arc::new(file);
        let segment = Segment { number, first_row, path, bytes: HEADER, salt };
        self.known.lock().insert(number, segment);
        self.open.lock().add(OpenFile { number, file: Arc::clone(&file), salt });
        Ok((file, salt))
    }

    /// Forgets and deletes a segment; returns its size.
    pub(crate) fn remove(&self, number: u32) -> io::Result<u64> {
        let Some(segment) = self.segment(number) else { return Ok(0) };
        match self.disk.remove(&segment.path) {
            // Somebody took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.known.lock().remove(&number);
        self.open.lock().remove(number);
        Ok(segment.bytes)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(crate) fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.dir)
    }

    pub(crate) fn path(&self, number: u32) -> Option<PathBuf> {
        self.known.lock().get(&number).map(|segment| segment.path.clone())
    }

    fn segment(&self, number: u32) -> Option<Segment> {
        self.known.lock().get(&number).cloned()
    }

    /// The segment's file, open for reading and writing.
    pub(crate) fn file(&self, number: u32) -> Result<Arc<File>, ReadError> {
        self.open(number).map(|open| open.file)
    }

    fn open(&self, number: u32) -> Result<OpenFile, ReadError> {
        if let Some(open) = self.open.lock().get(number) {
            return Ok(open);
        }
        let Segment { path, salt, .. } = self.segment(number).ok_or(ReadError::Gone(number))?;
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => Arc::new(file),
            Err(source) => return Err(ReadError::Io { file: path, source }),
        };
        let open = OpenFile { number, file, salt };
        self.open.lock().add(open.clone());
        Ok(open)
    }

    /// One record, its CRC checked. What turns out to be damaged is reported, and a
    /// head of which one bit has flipped is set right.
    pub(crate) fn read(&self, at: Locator) -> Result<(Head, Bytes), ReadError> {
        let OpenFile { file, salt, .. } = self.open(at.segment)?;
        let mut bytes = vec![0; at.length as usize];
        if let Err(source) = file.read_exact_at(&mut bytes, at.offset) {
            let path = self.path(at.segment).unwrap_or_default();
            return Err(match source.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let what = format!("{} ends before its records do", path.display());
                    self.damage.raise(&path.display().to_string(), &what);
                    self.damaged(at)
                }
                _ => ReadError::Io { file: path, source },
            });
        }
        let content = Bytes::from(bytes);
        let checked = record::head(&content).and_then(|head| {
            let content = content.slice(HEAD..);
            record::check(head, salt, &content).map(|()| (head, content))
        });
        match checked {
            Ok(whole) => Ok(whole),
            Err(_) => {
                let segment = self.segment(at.segment).ok_or(ReadError::Gone(at.segment))?;
                self.set_right((&segment, &file), at, &content)
            }
        }
    }

    /// Keeps and reports a record that is not as it was written; one flipped bit
    /// of its head costs nothing.
    fn set_right(
        &self,
        (segment, file): (&Segment, &File),
        at: Locator,
        bytes: &Bytes,
    ) -> Result<(Head, Bytes), ReadError> {
        let mended = resync::mended(bytes, segment.salt);
        let gap = Gap { from: at.offset, to: at.end().offset, ending: None, mended };
        let new = self.reported.lock().insert((at.segment, at.offset));
        if let Some(head) = mended {
            if new && let Err(error) = self.damage.mend(self.disk(), (segment, file), (gap, head)) {
                let (file, offset) = (segment.path.display(), at.offset);
                tracing::warn!(%file, offset, %error, "a head can be read, and not be set right");
            }
            return Ok((head, bytes.slice(HEAD..)));
        }
        if new {
            // Where no copy can be made, that is told instead.
            let _ = self.damage.keep(segment, gap, bytes);
        }
        Err(self.damaged(at))
    }

    /// The event of a record; `row` guards against a locator that leads elsewhere.
    pub(crate) fn event(&self, row: i64, at: Locator) -> Result<Event, ReadError> {
        let (_, content) = self.read(at)?;
        let decoded = record::event(&content).ok().filter(|record| record.row == row);
        let record = decoded.ok_or_else(|| self.damaged(at))?;
        Ok(Event {
            id: EventId::new(row, self.node),
            received_ms: record.received_ms,
            source: record.source,
            kind: record.kind,
            headers: record.headers,
            body: record.body,
        })
    }

    /// The payload of a record; `row` is that of its event.
    pub(crate) fn payload(&self, row: i64, at: Locator) -> Result<Payload, ReadError> {
        let (head, content) = self.read(at)?;
        let decoded = record::payload(head.tag, &content).ok();
        let owned = decoded.filter(|(owner, ..)| *owner == row);
        owned.map(|(.., payload)| payload).ok_or_else(|| self.damaged(at))
    }

    fn damaged(&self, at: Locator) -> ReadError {
        let file = self.path(at.segment).unwrap_or_default();
        ReadError::Damaged { file, offset: at.offset }
    }
}
