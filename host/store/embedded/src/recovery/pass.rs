//! Opening: what the journal has and the index has not gets its rows.
//!
//! The index commits without syncing, so a power loss may take it back to an
//! earlier commit. That commit says up to where in the journal it had its
//! rows; everything behind is read again. Rows that are there already stay as
//! they are, so reading too much does no harm.
//!
//! What is damaged on the way is copied aside, told, and passed by: the records
//! behind it are read as all others. Of an index that is new beside an old
//! journal, or older than all of it, nobody knows what became of the events: they
//! are parked, not sent once more.
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};

use crate::error::{INDEX_CURE, OpenError, ReadError, is_of_content};
use crate::index::apply::{Applier, Progress, Refused, apply_isolated};
use crate::index::ops::Accepted;
use crate::index::schema::{self, TIME};
use crate::index::work::{Fresh, PendingEvent, Work};
use crate::journal::codec::Malformed;
use crate::journal::damage::Damage;
use crate::journal::disk::Disk;
use crate::journal::find;
use crate::journal::locator::{Locator, Position};
use crate::journal::record::{self, RecordTag};
use crate::journal::resync::Ending;
use crate::journal::scan::{Gap, Scan};
use crate::journal::segment::Segment;
use crate::journal::segments::Segments;
use hookwright_model::{Event, EventId};

/// Rows in one transaction.
const STEP: usize = 4_096;

/// Why events are parked whose rows were lost.
const UNKNOWN: &str = "the index was lost, and with it what became of this event: it may have been \
     delivered or not; a replay sends it";

pub(crate) struct Recovered {
    pub(crate) conn: Connection,
    pub(crate) segments: Arc<Segments>,
    pub(crate) position: Position,
    pub(crate) events: i64,
    pub(crate) last_row: i64,
    /// When the newest event was accepted, milliseconds since 1970; 0 where there is none.
    pub(crate) last_ms: u64,
    /// The last segment holds damage that could not be copied: nothing may be
    /// written behind it.
    pub(crate) sealed: bool,
}

/// The data directory and the journal's in it, mode 0700 where they are made here.
pub(crate) fn make_dirs(dir: &Path) -> Result<(), OpenError> {
    for path in [dir.to_owned(), dir.join("journal")] {
        let absent: Vec<_> = path.ancestors().take_while(|part| !part.exists()).collect();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotDirectory { path });
        }
        made.map_err(OpenError::io(&path))?;
        // Else a power loss takes the new folder, with all that is synced in it.
        for above in absent.into_iter().filter_map(Path::parent) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            let synced = fs::File::open(above).and_then(|folder| folder.sync_all());
            synced.map_err(OpenError::io(above))?;
        }
    }
    Ok(())
}

pub(crate) fn recover(
    dir: &Path,
    disk: &Arc<dyn Disk>,
    damage: &Arc<Damage>,
) -> Result<Recovered, OpenError> {
    let journal = dir.join("journal");
    let (list, journal_node) = find::segments(&journal, disk.as_ref(), damage)?;
    let end = list.last().map(|last| Position { segment: last.number, offset: last.bytes });
    let (conn, node) = schema::open_writer(dir, journal_node, end)?;
    let index = schema::file(dir);
    let failed = OpenError::index(&index);
    if let (Some(segment), Some(other)) = (list.first(), journal_node)
        && other != node
    {
        let what = "it belongs to another store than the index";
        return Err(OpenError::journal(&segment.path, 24, what));
    }
    let Checkpoint { position, events, mut unknown_before } = checkpoint(&conn).map_err(&failed)?;
    check_position(&index, &list, position)?;
    let rebuild = !list.iter().any(|one| one.number == position.segment);
    if let Some(end) = end.filter(|_| rebuild && position.segment > 0) {
        // An index of long ago, put back in its place: a later one knew more.
        unknown_before = unknown_before.max(end);
        schema::set_unknown_before(&conn, unknown_before).map_err(&failed)?;
    }
    let told = (Arc::clone(disk), Arc::clone(damage));
    let segments = Arc::new(Segments::new(journal, told, node, list));
    let mut pass = Pass {
        applier: Applier::new(&conn, Arc::clone(&segments)).map_err(&failed)?,
        segments: &segments,
        index: &index,
        disk: disk.as_ref(),
        damage,
        rebuild,
        unknown_before,
        position,
        events,
        found: 0,
        parked: 0,
        sealed: false,
    };
    pass.run()?;
    let (position, events, parked, sealed) = (pass.position, pass.events, pass.parked, pass.sealed);
    drop(pass);
    if parked > 0 {
        let Position { segment, offset } = unknown_before;
        let what = format!(
            "the index was lost or too old: {parked} events were read back from the journal and are parked, since \
             what became of them is not known; `hookwright replay --state parked` sends those that you want again"
        );
        damage.note(&format!("index-{segment}-{offset}"), &what);
    }
    let newest = format!("SELECT id, {TIME} FROM event e ORDER BY id DESC LIMIT 1");
    let newest = conn.query_row(&newest, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let newest: Option<(i64, i64)> = newest.optional().map_err(&failed)?;
    let (last, last_ms) = newest.unzip();
    let begun = segments.list().last().map_or(0, |segment| segment.first_row - 1);
    let last_row = last.unwrap_or(0).max(begun);
    disk.sync_dir(dir).map_err(OpenError::io(dir))?;
    let last_ms = last_ms.unwrap_or(0).cast_unsigned();
    Ok(Recovered { conn, segments, position, events, last_row, last_ms, sealed })
}

struct Checkpoint {
    /// Up to where the journal is indexed.
    position: Position,
    events: i64,
    /// What became of events before is known by their rows alone.
    unknown_before: Position,
}

fn checkpoint(conn: &Connection) -> rusqlite::Result<Checkpoint> {
    let read = "SELECT segment, offset, events, held_segment, held_offset FROM standing";
    conn.query_row(read, [], |row| {
        let position = |first: usize| -> rusqlite::Result<Position> {
            let offset = row.get::<_, i64>(first + 1)? as u64;
            Ok(Position { segment: row.get(first)?, offset })
        };
        Ok(Checkpoint { position: position(0)?, events: row.get(2)?, unknown_before: position(3)? })
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
    damage: &'a Damage,
    /// The index knows nothing of the present segments.
    rebuild: bool,
    unknown_before: Position,
    position: Position,
    events: i64,
    found: usize,
    parked: usize,
    sealed: bool,
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
            match scan.next() {
                Ok(Some((head, content, at))) => match self.work(head.tag, &content, at) {
                    Ok(found) => work.extend(found),
                    Err(_) => self.keep(segment, at, &content),
                },
                Ok(None) => break,
                Err(ReadError::Damaged { .. }) => {
                    let gap = scan.resync().map_err(|error| unreadable(error, segment))?;
                    if self.mend(segment, gap)? {
                        scan.back_to(gap);
                        continue;
                    }
                    let bytes = scan.bytes(gap).map_err(|error| unreadable(error, segment))?;
                    let cut =
                        gap.ending.is_some() && (is_last || gap.ending == Some(Ending::Spare));
                    if self.gap(segment, gap, &bytes) && cut {
                        self.cut(segment, gap.from)?;
                        self.commit(&mut work, segment.number, gap.from)?;
                        return Ok(());
                    }
                    self.sealed |= cut;
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
        &mut self,
        tag: RecordTag,
        content: &bytes::Bytes,
        at: Locator,
    ) -> Result<Option<Work>, Malformed> {
        if !tag.is_event() {
            // A payload counts only with the row that names it; a copy of one has such a row.
            let (row, origin, _) = record::payload(tag, content)?;
            return Ok(origin.map(|from| Work::FoundPayload { row, from, to: at }));
        }
        let record = record::event(content)?;
        let event = Event {
            id: EventId::new(record.row, self.segments.node),
            received_ms: record.received_ms,
            source: record.source,
            kind: record.kind,
            headers: record.headers,
            body: record.body,
        };
        let accepted = Accepted { event: Arc::new(event), at, key: record.key };
        let is_unknown = at.start() < self.unknown_before;
        let fresh = match (is_unknown, tag) {
            (true, _) => Fresh::Parked(UNKNOWN),
            (false, RecordTag::Event) => Fresh::Accepted,
            (false, _) if self.rebuild => Fresh::Accepted,
            (false, _) => Fresh::No,
        };
        self.parked += usize::from(is_unknown);
        Ok(Some(match (tag, fresh) {
            (RecordTag::Event, Fresh::Accepted) => {
                Work::New(PendingEvent::new(accepted, Instant::now()))
            }
            _ => Work::Found { accepted, fresh },
        }))
    }

    /// False where it can't be, or the disk does not take it.
    fn mend(&self, segment: &Segment, gap: Gap) -> Result<bool, OpenError> {
        let Some(head) = gap.mended else { return Ok(false) };
        let file =
            self.segments.file(segment.number).map_err(|error| unreadable(error, segment))?;
        Ok(self.damage.mend(self.disk, (segment, &file), (gap, head)).is_ok())
    }

    /// A record that is whole and makes no sense.
    fn keep(&self, segment: &Segment, at: Locator, content: &[u8]) {
        let gap = Gap { from: at.offset, to: at.end().offset, ending: None, mended: None };
        // It stays where it is, copied or not, and the error was told.
        let _ = self.damage.keep(segment, gap, content);
    }

    /// Keeps a copy of what is no record. False where that was not possible.
    fn gap(&self, segment: &Segment, gap: Gap, bytes: &[u8]) -> bool {
        let kept = match gap.ending {
            Some(Ending::Spare) => return true,
            Some(Ending::Torn) => self.damage.keep_torn(segment, gap, bytes),
            Some(Ending::Damaged) | None => self.damage.keep(segment, gap, bytes),
        };
        kept.is_ok()
    }

    /// Cuts off what lies behind the last record: spare room, or what was kept elsewhere.
    fn cut(&mut self, segment: &Segment, offset: u64) -> Result<(), OpenError> {
        let file =
            self.segments.file(segment.number).map_err(|error| unreadable(error, segment))?;
        let cut = self
            .disk
            .set_len(&segment.path, &file, offset)
            .and_then(|()| self.disk.sync(&segment.path, &file));
        cut.map_err(OpenError::io(&segment.path))?;
        self.segments.set_bytes(segment.number, offset);
        Ok(())
    }

    fn commit(&mut self, work: &mut Vec<Work>, number: u32, offset: u64) -> Result<(), OpenError> {
        let position = Position { segment: number, offset };
        if work.is_empty() && position <= self.position {
            return Ok(());
        }
        let failed = OpenError::index(self.index);
        let progress = Progress { position, events: self.events, now_ms: 0 };
        let done = match self.applier.apply_all(work, progress) {
            Err(error) if is_of_content(&error) => {
                self.applier.roll_back();
                let isolated = apply_isolated(&mut self.applier, work, progress);
                let (done, refused) = isolated.map_err(failed)?;
                for Refused { error, event, .. } in refused {
                    tracing::error!(row = event, %error, "the index refused an event for its content; it is set aside");
                }
                done
            }
            done => done.map_err(failed)?,
        };
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
