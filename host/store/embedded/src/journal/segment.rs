//! The journal's files: their names and headers, which there are, and reading records out of them.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::damage::Damage;
use super::disk::Disk;
use super::record::{self, HEAD, Head, Salt};
use super::resync;
use super::scan::Gap;
use crate::error::{OpenError, ReadError};
use hookwright_model::{Event, EventId, Payload};

const MAGIC: &[u8; 8] = b"hookwrit";
/// Of the journal's files. Raise it with every change that an older version can't read.
pub(crate) const FORMAT: u32 = 2;
/// Magic, format, salt, first row, node, CRC-32 of all before it. In format 1 the
/// file's number, which its name has too, stood where the salt is.
pub(crate) const HEADER: u64 = 36;
const OPEN_FILES: usize = 32;

/// Where a record is. The length counts its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locator {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

impl Locator {
    pub(crate) fn end(&self) -> Position {
        Position { segment: self.segment, offset: self.offset + u64::from(self.length) }
    }

    pub(crate) fn start(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }
}

/// A place between two records of the journal.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// One file. Segment i holds the events with rows from its first one up to the
/// next segment's, and copies of older unfinished ones.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) first_row: i64,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) salt: Salt,
}

struct Inner {
    known: BTreeMap<u32, Segment>,
    open: VecDeque<(u32, Arc<File>)>,
    /// What reads have told of, so that each place is told of once while the host runs.
    told: BTreeSet<(u32, u64)>,
}

/// All segments there are, and a few of them open for reading.
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    damage: Arc<Damage>,
    pub(crate) node: u64,
    inner: Mutex<Inner>,
}

impl Segments {
    pub(crate) fn new(
        dir: PathBuf,
        (disk, damage): (Arc<dyn Disk>, Arc<Damage>),
        node: u64,
        known: Vec<Segment>,
    ) -> Self {
        let known = known.into_iter().map(|segment| (segment.number, segment)).collect();
        let inner = Inner { known, open: VecDeque::new(), told: BTreeSet::new() };
        Self { dir, disk, damage, node, inner: Mutex::new(inner) }
    }

    /// Oldest first.
    pub(crate) fn list(&self) -> Vec<Segment> {
        self.inner.lock().known.values().cloned().collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.inner.lock().known.values().map(|segment| segment.bytes).sum()
    }

    pub(crate) fn set_bytes(&self, number: u32, bytes: u64) {
        if let Some(segment) = self.inner.lock().known.get_mut(&number) {
            segment.bytes = bytes;
        }
    }

    /// A new segment, durable with its header and its name.
    pub(crate) fn create(&self, number: u32, first_row: i64) -> io::Result<(Arc<File>, Salt)> {
        let path = self.dir.join(format!("{number:08x}-{first_row:016x}.journal"));
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
        let mut inner = self.inner.lock();
        inner.known.insert(number, Segment { number, first_row, path, bytes: HEADER, salt });
        inner.keep(number, Arc::clone(&file));
        Ok((file, salt))
    }

    /// Forgets and deletes a segment; returns its size.
    pub(crate) fn remove(&self, number: u32) -> io::Result<u64> {
        let Some(segment) = self.inner.lock().known.get(&number).cloned() else { return Ok(0) };
        match self.disk.remove(&segment.path) {
            // Somebody took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let mut inner = self.inner.lock();
        inner.known.remove(&number);
        inner.open.retain(|(open, _)| *open != number);
        Ok(segment.bytes)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(crate) fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.dir)
    }

    pub(crate) fn path(&self, number: u32) -> Option<PathBuf> {
        self.inner.lock().known.get(&number).map(|segment| segment.path.clone())
    }

    pub(crate) fn file(&self, number: u32) -> Result<Arc<File>, ReadError> {
        let path = {
            let inner = self.inner.lock();
            if let Some((_, file)) = inner.open.iter().find(|(open, _)| *open == number) {
                return Ok(Arc::clone(file));
            }
            inner.known.get(&number).map(|s| s.path.clone()).ok_or(ReadError::Gone(number))?
        };
        let opened = File::options().read(true).write(true).open(&path);
        let file = Arc::new(opened.map_err(|source| ReadError::Io { file: path, source })?);
        self.inner.lock().keep(number, Arc::clone(&file));
        Ok(file)
    }

    /// One record, its CRC checked. What turns out to be damaged is told, and a
    /// head of which one bit has flipped is set right.
    pub(crate) fn read(&self, at: Locator) -> Result<(Head, Bytes), ReadError> {
        let file = self.file(at.segment)?;
        let segment = self.inner.lock().known.get(&at.segment).cloned();
        let segment = segment.ok_or(ReadError::Gone(at.segment))?;
        let salt = segment.salt;
        let mut bytes = vec![0; at.length as usize];
        if let Err(source) = file.read_exact_at(&mut bytes, at.offset) {
            return Err(match source.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let what = format!("{} ends before its records do", segment.path.display());
                    self.damage.raise(&segment.path.display().to_string(), &what);
                    self.damaged(at)
                }
                _ => ReadError::Io { file: self.path(at.segment).unwrap_or_default(), source },
            });
        }
        let content = Bytes::from(bytes);
        let checked = record::head(&content).and_then(|head| {
            let content = content.slice(HEAD..);
            record::check(head, salt, &content).map(|()| (head, content))
        });
        match checked {
            Ok(whole) => Ok(whole),
            Err(_) => self.set_right((&segment, &file), at, &content),
        }
    }

    /// Keeps and tells of a record that is not as it was written; one flipped bit
    /// of its head costs nothing.
    fn set_right(
        &self,
        (segment, file): (&Segment, &File),
        at: Locator,
        bytes: &Bytes,
    ) -> Result<(Head, Bytes), ReadError> {
        let mended = resync::mended(bytes, segment.salt);
        let gap = Gap { from: at.offset, to: at.end().offset, ending: None, mended };
        let new = self.inner.lock().told.insert((at.segment, at.offset));
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

impl Inner {
    fn keep(&mut self, number: u32, file: Arc<File>) {
        if self.open.len() >= OPEN_FILES {
            self.open.pop_front();
        }
        self.open.push_back((number, file));
    }
}

fn header(format: u32, salt: u32, first_row: i64, node: u64) -> [u8; HEADER as usize] {
    let mut out = [0; HEADER as usize];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&format.to_le_bytes());
    out[12..16].copy_from_slice(&salt.to_le_bytes());
    out[16..24].copy_from_slice(&first_row.to_le_bytes());
    out[24..32].copy_from_slice(&node.to_le_bytes());
    let crc = crc32fast::hash(&out[..32]);
    out[32..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The segments in the directory, oldest first, and the node that they name.
/// Files whose creation never ended are removed. A header that one flipped bit
/// spoiled is set right.
pub(crate) fn find(
    dir: &Path,
    disk: &dyn Disk,
    damage: &Damage,
) -> Result<(Vec<Segment>, Option<u64>), OpenError> {
    let mut found = BTreeMap::new();
    let mut node = None;
    for entry in std::fs::read_dir(dir).map_err(OpenError::io(dir))? {
        let path = entry.map_err(OpenError::io(dir))?.path();
        let Some((number, first_row)) = parse_name(&path) else { continue };
        let bytes = std::fs::metadata(&path).map_err(OpenError::io(&path))?.len();
        let named = Segment { number, first_row, path, bytes, salt: Salt::NONE };
        let path = &named.path;
        let Some((own, salt)) = check_header(&named, disk, damage)? else {
            if bytes > HEADER {
                return Err(OpenError::journal(path, 0, "the header does not match"));
            }
            tracing::warn!(file = %path.display(), "removing a segment that was never begun");
            disk.remove(path).map_err(OpenError::io(path))?;
            continue;
        };
        if *node.get_or_insert(own) != own {
            let what = "it belongs to another store than its neighbours";
            return Err(OpenError::journal(path, 24, what));
        }
        found.insert(number, Segment { salt, ..named });
    }
    Ok((found.into_values().collect(), node))
}

fn parse_name(path: &Path) -> Option<(u32, i64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let (number, row) = stem.split_once('-')?;
    Some((u32::from_str_radix(number, 16).ok()?, i64::from_str_radix(row, 16).ok()?))
}

/// Node and salt in the header; none where it is not what `create` wrote.
fn check_header(
    segment: &Segment,
    disk: &dyn Disk,
    damage: &Damage,
) -> Result<Option<(u64, Salt)>, OpenError> {
    let path = &segment.path;
    let file = File::options().read(true).write(true).open(path).map_err(OpenError::io(path))?;
    let mut bytes = [0; HEADER as usize];
    if file.read_exact_at(&mut bytes, 0).is_err() {
        return Ok(None);
    }
    if let Some(found) = parse_header(&bytes, segment) {
        return Ok(Some(found));
    }
    if let Some((mended, found)) = mended_header(&bytes, segment) {
        damage.keep_bytes(segment, 0, &bytes);
        let written = disk.write_at(path, &file, &mended, 0).and_then(|()| disk.sync(path, &file));
        written.map_err(OpenError::io(path))?;
        return Ok(Some(found));
    }
    let format = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    if &bytes[..8] == MAGIC && format > FORMAT {
        return Err(OpenError::Newer { file: path.to_owned(), found: format, known: FORMAT });
    }
    Ok(None)
}

fn parse_header(bytes: &Header, segment: &Segment) -> Option<(u64, Salt)> {
    let short = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four"));
    let (format, salt) = (short(8), short(12));
    let node = u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes"));
    let whole = *bytes == header(format, salt, segment.first_row, node);
    match format {
        1 => (whole && salt == segment.number).then_some((node, Salt::NONE)),
        FORMAT => whole.then_some((node, Salt(salt))),
        _ => None,
    }
}

type Header = [u8; HEADER as usize];

/// Where one flipped bit is all that is wrong.
fn mended_header(bytes: &Header, segment: &Segment) -> Option<(Header, (u64, Salt))> {
    (0..bytes.len() * 8).find_map(|bit| {
        let mut mended = *bytes;
        mended[bit / 8] ^= 1 << (bit % 8);
        parse_header(&mended, segment).map(|found| (mended, found))
    })
}
