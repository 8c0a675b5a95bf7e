//! Opening: what the journal has and the index has not gets its rows.
//!
//! The index commits without syncing, so a power loss may take it back to an
//! earlier commit. That commit says up to where in the journal it had its
//! rows; everything behind is read again. Rows that are there already stay as
//! they are, so reading too much does no harm.
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};

use super::apply::Applier;
use super::disk::Disk;
use super::error::{INDEX_CURE, OpenError, ReadError};
use super::index::{Held, Work};
use super::ops::Accepted;
use super::record::{self, Kind};
use super::scan::{Scan, holds_a_record};
use super::schema::{self, TIME};
use super::segment::{self, Locator, Position, Segment, Segments};
use crate::model::{Event, EventId};

/// Rows in one transaction.
const STEP: usize = 4_096;

pub(super) struct Recovered {
    pub(super) conn: Connection,
    pub(super) segments: Arc<Segments>,
    pub(super) position: Position,
    pub(super) events: i64,
    pub(super) last_row: i64,
    /// When the newest event was accepted, milliseconds since 1970; 0 where there is none.
    pub(super) last_ms: u64,
}

/// The data directory and the journal's in it, mode 0700 where they are made here.
pub(super) fn make_dirs(dir: &Path) -> Result<(), OpenError> {
    for path in [dir.to_owned(), dir.join("journal")] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotDirectory { path });
        }
        made.map_err(OpenError::io(&path))?;
    }
    Ok(())
}

pub(super) fn recover(dir: &Path, disk: &Arc<dyn Disk>) -> Result<Recovered, OpenError> {
    let journal = dir.join("journal");
    let (list, journal_node) = segment::find(&journal, disk.as_ref())?;
    let (conn, node) = schema::open_writer(dir, journal_node)?;
    let index = schema::file(dir);
    let failed = OpenError::index(&index);
    if let (Some(segment), Some(other)) = (list.first(), journal_node)
        && other != node
    {
        let what = "it belongs to another store than the index";
        return Err(OpenError::journal(&segment.path, 24, what));
    }
    let (position, events) = standing(&conn).map_err(&failed)?;
    check_position(&index, &list, position)?;
    let segments = Arc::new(Segments::new(journal, Arc::clone(disk), node, list));
    let mut pass = Pass {
        applier: Applier::new(&conn, Arc::clone(&segments)).map_err(&failed)?,
        segments: &segments,
        index: &index,
        disk: disk.as_ref(),
        rebuild: !segments.list().iter().any(|one| one.number == position.segment),
        position,
        events,
        found: 0,
    };
    pass.run()?;
    let (position, events) = (pass.position, pass.events);
    drop(pass);
    let newest = format!("SELECT id, {TIME} FROM event e ORDER BY id DESC LIMIT 1");
    let newest = conn.query_row(&newest, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let newest: Option<(i64, i64)> = newest.optional().map_err(&failed)?;
    let (last, last_ms) = newest.unzip();
    let begun = segments.list().last().map_or(0, |segment| segment.first_row - 1);
    let last_row = last.unwrap_or(0).max(begun);
    disk.sync_dir(dir).map_err(OpenError::io(dir))?;
    let last_ms = last_ms.unwrap_or(0).cast_unsigned();
    Ok(Recovered { conn, segments, position, events, last_row, last_ms })
}

fn standing(conn: &Connection) -> rusqlite::Result<(Position, i64)> {
    conn.query_row("SELECT segment, offset, events FROM standing", [], |row| {
        let position = Position { segment: row.get(0)?, offset: row.get::<_, i64>(1)? as u64 };
        Ok((position, row.get(2)?))
    })
}

/// The index may be behind the journal, never ahead of it.
fn check_position(index: &Path, list: &[Segment], position: Position) -> Result<(), OpenError> {
    let last = list.last().map_or(0, |segment| segment.number);
    let own = list.iter().find(|segment| segment.number == position.segment);
    let (file, offset, what) = match own {
        Some(own) if own.bytes < position.offset => {
            let what = format!("it ends before byte {}, which the index knows", position.offset);
            (own.path.clone(), own.bytes, what)
        }
        None if last < position.segment => {
            let what = format!("journal segment {} that it knows is missing", position.segment);
            (index.to_owned(), 0, what)
        }
        _ => return Ok(()),
    };
    Err(OpenError::Damaged { file, offset, what, cure: INDEX_CURE })
}

struct Pass<'a> {
    applier: Applier<'a>,
    segments: &'a Arc<Segments>,
    index: &'a Path,
    disk: &'a dyn Disk,
    /// The index knows nothing of the present segments.
    rebuild: bool,
    position: Position,
    events: i64,
    found: usize,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<(), OpenError> {
        let list = self.segments.list();
        let from = self.position;
        let later = |one: &&Segment| self.rebuild || one.number >= from.segment;
        let list: Vec<Segment> = list.iter().filter(later).cloned().collect();
        if self.rebuild && !list.is_empty() {
            tracing::warn!("the index is new or too old: reading the whole journal again");
        }
        for (place, segment) in list.iter().enumerate() {
            let offset = (segment.number == from.segment).then_some(from.offset);
            self.segment(segment, offset, place + 1 == list.len())?;
        }
        if self.found > 0 {
            tracing::info!(events = self.found, "read events back from the journal");
        }
        Ok(())
    }

    fn segment(
        &mut self,
        segment: &Segment,
        from: Option<u64>,
        is_last: bool,
    ) -> Result<(), OpenError> {
        let file =
            self.segments.file(segment.number).map_err(|error| unreadable(error, segment))?;
        if is_last {
            // A killed process leaves records that are whole and not synced:
            // the index must not come to know what a power loss can still take.
            self.disk.sync(&segment.path, &file).map_err(OpenError::io(&segment.path))?;
        }
        let mut scan = Scan::new(file, segment, from);
        let mut work = Vec::new();
        loop {
            let next = scan.next();
            match next {
                Ok(Some((head, content, at))) => {
                    work.extend(self.work(head.kind, &content, at, segment)?);
                }
                Ok(None) => break,
                Err(ReadError::Damaged { .. }) if is_last => {
                    self.cut(segment, scan.offset())?;
                    break;
                }
                Err(error) => return Err(unreadable(error, segment)),
            }
            if work.len() >= STEP {
                self.commit(&mut work, segment.number, scan.offset())?;
            }
        }
        self.commit(&mut work, segment.number, scan.offset())
    }

    fn work(
        &self,
        kind: Kind,
        content: &bytes::Bytes,
        at: Locator,
        segment: &Segment,
    ) -> Result<Option<Work>, OpenError> {
        let garbled = |_| OpenError::journal(&segment.path, at.offset, "a record does not decode");
        if matches!(kind, Kind::Event | Kind::CarriedEvent) {
            let record = record::event(content).map_err(garbled)?;
            let event = Event {
                id: EventId::new(record.row, self.segments.node),
                received_ms: record.received_ms,
                source: record.source,
                kind: record.kind,
                headers: record.headers,
                body: record.body,
            };
            let accepted = Accepted { event: Arc::new(event), at, key: record.key };
            return Ok(Some(match kind {
                Kind::Event => Work::New(Held::new(accepted, Instant::now())),
                _ => Work::FoundCopy { accepted, insert: self.rebuild },
            }));
        }
        // A payload counts only with the row that names it; a copy of one has such a row.
        let (row, origin, _) = record::payload(kind, content).map_err(garbled)?;
        Ok(origin.map(|from| Work::FoundPayload { row, from, to: at }))
    }

    /// Cuts off spare room, and what a crash left half written. Nothing in it was acknowledged:
    /// that happens only once all before and in it is synced.
    fn cut(&mut self, segment: &Segment, offset: u64) -> Result<(), OpenError> {
        let failed = OpenError::io(&segment.path);
        let file =
            self.segments.file(segment.number).map_err(|error| unreadable(error, segment))?;
        let mut rest = vec![0; (segment.bytes - offset) as usize];
        file.read_exact_at(&mut rest, offset).map_err(OpenError::io(&segment.path))?;
        // A rebuild reads records that were once known to be whole: there a
        // whole record behind a broken one means damage, not a torn end.
        if self.rebuild && holds_a_record(rest.get(1..).unwrap_or_default()) {
            return Err(OpenError::journal(&segment.path, offset, "a record is broken"));
        }
        // Zeros are the room that the writer had reserved.
        if rest.iter().any(|byte| *byte != 0) {
            let bytes = rest.len();
            tracing::warn!(file = %segment.path.display(), offset, bytes, "cutting off a torn end");
        }
        let cut = self
            .disk
            .set_len(&segment.path, &file, offset)
            .and_then(|()| self.disk.sync(&segment.path, &file));
        cut.map_err(failed)?;
        self.segments.set_bytes(segment.number, offset);
        Ok(())
    }

    fn commit(&mut self, work: &mut Vec<Work>, number: u32, offset: u64) -> Result<(), OpenError> {
        let position = Position { segment: number, offset };
        if work.is_empty() && position <= self.position {
            return Ok(());
        }
        let failed = OpenError::index(self.index);
        let done = self.applier.transaction(work, position, self.events, 0).map_err(failed)?;
        self.found += done.events.max(0) as usize;
        self.events += done.events;
        self.position = position;
        work.clear();
        Ok(())
    }
}

fn unreadable(error: ReadError, segment: &Segment) -> OpenError {
    match error {
        ReadError::Io { file, source } => OpenError::io(&file)(source),
        ReadError::Damaged { file, offset } => {
            OpenError::journal(&file, offset, "a record is broken")
        }
        ReadError::Gone(_) => OpenError::journal(&segment.path, 0, "it is gone"),
    }
}
