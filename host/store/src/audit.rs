//! The audit log: who changed what and when. What somebody is about to do is a line of JSON on the disk before it is
//! done, and how it ended is another.
//!
//! A file beside the store's, so that an operator can read it with any tool
//! and a damaged index takes none of it along.
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes after which the file becomes the older one; the older one before it goes.
const MOST: u64 = 8 << 20;
/// Bytes of a file that are read, from its end: more only where somebody else wrote into it.
const READ: u64 = 2 * MOST;
/// Lines that wait in memory for a disk that takes them, and their bytes together.
const OWED: usize = 1_000;
const OWED_BYTES: usize = 1 << 20;

/// What is changed, as it is handed in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The token's name, `local`, or what else changes it.
    pub who: String,
    /// The address that the request came from.
    pub from: Option<String>,
    /// Method and route: `POST /destinations/{name}/disable`.
    pub action: String,
    /// The path as it was asked for.
    pub path: String,
    /// The request's document, cut where it is long.
    pub body: Value,
}

/// An entry of the log.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// From 1, rising.
    pub number: u64,
    /// When it was begun, milliseconds since 1970.
    pub at_ms: u64,
    /// What was changed.
    #[serde(flatten)]
    pub change: Change,
    /// The answer's status. A refused change is kept too. None: how it ended is not known, since it is under way, or the
    /// host or its disk broke off in between.
    #[serde(default)]
    pub status: Option<u16>,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// With the status where it was known at once.
    Entry(AuditEntry),
    /// How an entry above it ended.
    Ended { of: u64, at_ms: u64, status: u16 },
}

/// A page of the log.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// The cursor of the next page where there may be one.
    pub next: Option<u64>,
    /// Lines on the way that can't be read: cut off by a full disk or a crash, or changed by hand.
    pub broken: u64,
}

/// Which entries to list. Newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Of this token, or whatever else changed it.
    pub who: Option<String>,
    /// A part of the action.
    pub action: Option<String>,
    /// Milliseconds since 1970, inclusive.
    pub since_ms: Option<u64>,
    /// Milliseconds since 1970, exclusive.
    pub until_ms: Option<u64>,
    /// Only entries with a smaller number: the cursor.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// The open log.
#[derive(Debug)]
pub struct AuditLog {
    dir: PathBuf,
    current: PathBuf,
    older: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    last: u64,
    /// Lines that could not be written when they should have been: they go before the next one.
    owed: Vec<Vec<u8>>,
}

impl AuditLog {
    /// Opens `audit.jsonl` in the folder, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// Where a file can't be read or made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let (current, older) = (dir.join("audit.jsonl"), dir.join("audit.older.jsonl"));
        let file = append(&current)?;
        File::open(dir)?.sync_all()?;
        let open = Mutex::new(Open { file, last: 0, owed: Vec::new() });
        let mut log = Self { dir: dir.to_owned(), open, current, older };
        let mut last = 0;
        let broken = log.walk(|entry| {
            last = entry.number;
            false
        })?;
        log.open.get_mut().last = last;
        if broken > 0 {
            let file = log.current.display();
            tracing::warn!(%file, lines = broken, "the audit log has lines that can't be read");
        }
        Ok(log)
    }

    /// Writes down what is about to be done, and gives its number: it is on the disk afterwards. Blocks for a sync.
    ///
    /// # Errors
    /// As the disk fails: nothing is written then, and it must not be done.
    pub fn begin(&self, at_ms: u64, change: Change) -> io::Result<u64> {
        let mut open = self.open.lock();
        let number = open.last + 1;
        let entry = AuditEntry { number, at_ms, change, status: None };
        self.put(&mut open, Some(&line(&Line::Entry(entry))?))?;
        open.last = number;
        Ok(number)
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// As the disk fails: the line is kept in memory until the disk takes it.
    pub fn end(&self, number: u64, at_ms: u64, status: u16) -> io::Result<()> {
        let mut open = self.open.lock();
        self.put_or_owe(&mut open, line(&Line::Ended { of: number, at_ms, status })?)
    }

    /// Writes down what has been done, or refused, already.
    ///
    /// # Errors
    /// As `end`.
    pub fn note(&self, at_ms: u64, change: Change, status: u16) -> io::Result<()> {
        let mut open = self.open.lock();
        open.last += 1;
        let entry = AuditEntry { number: open.last, at_ms, change, status: Some(status) };
        self.put_or_owe(&mut open, line(&Line::Entry(entry))?)
    }

    fn put_or_owe(&self, open: &mut Open, line: Vec<u8>) -> io::Result<()> {
        open.owed.push(line);
        let mut bytes: usize = open.owed.iter().map(Vec::len).sum();
        while open.owed.len() > OWED || bytes > OWED_BYTES {
            // The disk has failed for long; what goes is in the process's log.
            bytes -= open.owed.remove(0).len();
        }
        self.put(open, None)
    }

    /// What is owed and the line, both or nothing.
    fn put(&self, open: &mut Open, line: Option<&[u8]>) -> io::Result<()> {
        self.ready(open)?;
        let length = open.file.metadata()?.len();
        let mut text = Vec::new();
        // A line that was cut off must not spoil the next one.
        if length > 0 && !ends_well(&open.file, length) {
            text.push(b'\n');
        }
        open.owed.iter().for_each(|line| text.extend_from_slice(line));
        text.extend_from_slice(line.unwrap_or_default());
        let written = open.file.write_all(&text).and_then(|()| open.file.sync_data());
        match &written {
            Ok(()) => open.owed.clear(),
            // What can't be taken back is ended by the next one.
            Err(_) => drop(open.file.set_len(length)),
        }
        written
    }

    /// Begins a new file where the old one is full, or was moved away.
    fn ready(&self, open: &mut Open) -> io::Result<()> {
        let own = open.file.metadata()?;
        let there = std::fs::metadata(&self.current).ok();
        let same = there.is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino()));
        let full = own.len() >= MOST;
        if same && full {
            std::fs::rename(&self.current, &self.older)?;
        }
        if !same || full {
            open.file = append(&self.current)?;
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(())
    }

    /// A page, newest first.
    ///
    /// # Errors
    /// Where a file can't be read.
    pub fn list(&self, query: &AuditQuery) -> io::Result<AuditPage> {
        let mut page = AuditPage::default();
        let mut more = false;
        page.broken = self.walk(|entry| {
            if !query.takes(&entry) {
                return true;
            }
            more = page.entries.len() == query.limit;
            if !more {
                page.entries.push(entry);
            }
            !more
        })?;
        page.next = page.entries.last().filter(|_| more).map(|last| last.number);
        Ok(page)
    }

    /// Shows the entries, the newest first, as long as `go_on` says so. Gives the number of lines that are none.
    fn walk(&self, mut go_on: impl FnMut(AuditEntry) -> bool) -> io::Result<u64> {
        let (owed, files) = {
            // Together, so that no file changes its name in between.
            let open = self.open.lock();
            (open.owed.concat(), [reader(&self.current)?, reader(&self.older)?])
        };
        let (mut ends, mut broken) = (HashMap::new(), 0);
        let mut texts = vec![owed];
        for file in files.into_iter().flatten() {
            texts.push(Vec::new());
            let Some(text) = texts.last_mut() else { continue };
            end_of(file)?.read_to_end(text)?;
        }
        for text in texts {
            for line in text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                match serde_json::from_slice(line) {
                    Ok(Line::Ended { of, status, .. }) => {
                        ends.insert(of, status);
                    }
                    Ok(Line::Entry(mut entry)) => {
                        entry.status = entry.status.or_else(|| ends.remove(&entry.number));
                        if !go_on(entry) {
                            return Ok(broken);
                        }
                    }
                    Err(_) => broken += 1,
                }
            }
        }
        Ok(broken)
    }
}

impl AuditQuery {
    fn takes(&self, entry: &AuditEntry) -> bool {
        let AuditEntry { number, at_ms, change, .. } = entry;
        self.before.is_none_or(|before| *number < before)
            && self.who.as_ref().is_none_or(|who| *who == change.who)
            && self.action.as_ref().is_none_or(|part| change.action.contains(part.as_str()))
            && self.since_ms.is_none_or(|since| *at_ms >= since)
            && self.until_ms.is_none_or(|until| *at_ms < until)
    }
}

/// A person may have laid the log elsewhere by a link; in a folder that others
/// may write to, anybody may have.
fn append(path: &Path) -> io::Result<File> {
    let folder = path.parent().and_then(|folder| std::fs::metadata(folder).ok());
    let shared = folder.is_some_and(|folder| folder.permissions().mode() & 0o022 != 0);
    let follow = if shared { libc::O_NOFOLLOW } else { 0 };
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(follow).open(path)
}

/// None where there is no such file.
fn reader(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last [`READ`] bytes.
fn end_of(mut file: File) -> io::Result<impl Read> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ)))?;
    Ok(file.take(READ))
}

/// Whether the last byte ends a line.
fn ends_well(file: &File, length: u64) -> bool {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1).is_ok() && last == *b"\n"
}

fn line(line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests;
