//! The audit log: who changed what and when, a line of JSON for each change, on the disk before the call returns.
//!
//! A file beside the store's, so that an operator can read it with any tool
//! and a damaged index takes none of it along.
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes after which the file becomes the older one; the older one before it goes.
const MOST: u64 = 8 << 20;

/// What was changed, as it is handed in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// The token's name, `local`, or what else changed it.
    pub who: String,
    /// The address that the request came from.
    pub from: Option<String>,
    /// Method and route: `POST /destinations/{name}/disable`.
    pub action: String,
    /// The path as it was asked for.
    pub path: String,
    /// The request's document, cut where it is long.
    pub body: Value,
    /// The answer's status. A refused change is kept too.
    pub status: u16,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// From 1, rising.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    #[serde(flatten)]
    pub change: Change,
}

/// Which entries to list. Newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub who: Option<String>,
    /// A part of the action.
    pub action: Option<String>,
    /// Milliseconds since 1970, inclusive.
    pub since_ms: Option<u64>,
    /// Milliseconds since 1970, exclusive.
    pub until_ms: Option<u64>,
    /// Only entries with a smaller number: the cursor.
    pub before: Option<u64>,
    pub limit: usize,
}

/// The open log.
#[derive(Debug)]
pub struct AuditLog {
    current: PathBuf,
    older: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    last: u64,
}

impl AuditLog {
    /// Opens `audit.jsonl` in the folder, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// Where a file can't be read or made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let (current, older) = (dir.join("audit.jsonl"), dir.join("audit.older.jsonl"));
        let file = append(&current)?;
        let mut log = Self { open: Mutex::new(Open { file, bytes: 0, last: 0 }), current, older };
        let text = read(&log.current)?;
        let last = log.walk(|_| false)?.map_or(0, |entry| entry.number);
        let open = log.open.get_mut();
        (open.bytes, open.last) = (text.len() as u64, last);
        // Half a line of a crash must not spoil the next one.
        if text.last().is_some_and(|byte| *byte != b'\n') {
            open.file.write_all(b"\n")?;
            open.bytes += 1;
        }
        Ok(log)
    }

    /// Writes the change down; it is on the disk afterwards. Blocks for a sync.
    ///
    /// # Errors
    /// As the disk fails.
    pub fn write(&self, at_ms: u64, change: Change) -> io::Result<()> {
        let mut open = self.open.lock();
        if open.bytes >= MOST {
            std::fs::rename(&self.current, &self.older)?;
            (open.file, open.bytes) = (append(&self.current)?, 0);
        }
        let entry = AuditEntry { number: open.last + 1, at_ms, change };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        open.file.write_all(&line)?;
        open.file.sync_data()?;
        open.bytes += line.len() as u64;
        open.last += 1;
        Ok(())
    }

    /// A page, and the cursor of the next one where there may be more.
    ///
    /// # Errors
    /// Where a file can't be read.
    pub fn list(&self, query: &AuditQuery) -> io::Result<(Vec<AuditEntry>, Option<u64>)> {
        let mut page = Vec::new();
        let mut more = false;
        self.walk(|entry| {
            if !query.takes(entry) {
                return true;
            }
            more = page.len() == query.limit;
            if !more {
                page.push(entry.clone());
            }
            !more
        })?;
        let next = page.last().filter(|_| more).map(|last| last.number);
        Ok((page, next))
    }

    /// Shows the entries, the newest first, as long as `go_on` says so; the
    /// last one that was shown. Lines that are no entries are left out.
    fn walk(&self, mut go_on: impl FnMut(&AuditEntry) -> bool) -> io::Result<Option<AuditEntry>> {
        let mut shown = None;
        for path in [&self.current, &self.older] {
            let text = read(path)?;
            for line in text.rsplit(|byte| *byte == b'\n') {
                let Ok(entry) = serde_json::from_slice::<AuditEntry>(line) else { continue };
                let on = go_on(&entry);
                shown = Some(entry);
                if !on {
                    return Ok(shown);
                }
            }
        }
        Ok(shown)
    }
}

impl AuditQuery {
    fn takes(&self, entry: &AuditEntry) -> bool {
        let AuditEntry { number, at_ms, change } = entry;
        self.before.is_none_or(|before| *number < before)
            && self.who.as_ref().is_none_or(|who| *who == change.who)
            && self.action.as_ref().is_none_or(|part| change.action.contains(part.as_str()))
            && self.since_ms.is_none_or(|since| *at_ms >= since)
            && self.until_ms.is_none_or(|until| *at_ms < until)
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// At most about [`MOST`] bytes; none where there is no file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(who: &str) -> Change {
        Change {
            who: who.into(),
            from: None,
            action: "POST /destinations/{name}/disable".into(),
            path: "/destinations/ci/disable".into(),
            body: Value::Null,
            status: 200,
        }
    }

    fn numbers(log: &AuditLog, query: &AuditQuery) -> (Vec<u64>, Option<u64>) {
        let (page, next) = log.list(query).unwrap();
        (page.iter().map(|entry| entry.number).collect(), next)
    }

    #[test]
    fn entries_outlive_the_process_and_come_newest_first_by_pages() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        for at_ms in 0..3 {
            log.write(at_ms, change("a")).unwrap();
        }
        drop(log);
        let log = AuditLog::open(dir.path()).unwrap();
        log.write(3, change("b")).unwrap();
        let two = AuditQuery { limit: 2, ..AuditQuery::default() };
        assert_eq!(numbers(&log, &two), (vec![4, 3], Some(3)));
        let rest = AuditQuery { before: Some(3), ..two.clone() };
        assert_eq!(numbers(&log, &rest), (vec![2, 1], None));
        assert_eq!(numbers(&log, &AuditQuery { who: Some("b".into()), ..two.clone() }).0, [4]);
        let narrow = AuditQuery { since_ms: Some(1), until_ms: Some(2), ..two.clone() };
        assert_eq!(numbers(&log, &narrow).0, [2]);
        assert!(numbers(&log, &AuditQuery { action: Some("replay".into()), ..two }).0.is_empty());
    }

    #[test]
    fn half_a_line_of_a_crash_spoils_nothing() {
        let dir = tempfile::tempdir().unwrap();
        AuditLog::open(dir.path()).unwrap().write(0, change("a")).unwrap();
        let path = dir.path().join("audit.jsonl");
        append(&path).unwrap().write_all(b"{\"number\":2,\"at").unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.write(1, change("b")).unwrap();
        let all = AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(numbers(&log, &all).0, [2, 1]);
    }

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        log.write(0, change("a")).unwrap();
        log.open.lock().bytes = MOST;
        log.write(1, change("b")).unwrap();
        assert!(dir.path().join("audit.older.jsonl").exists());
        let all = AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(numbers(&log, &all).0, [2, 1]);
        drop(log);
        // Right after the turn only the older one may have entries.
        std::fs::write(dir.path().join("audit.jsonl"), "").unwrap();
        let log = AuditLog::open(dir.path()).unwrap();
        assert_eq!(log.open.lock().last, 1);
    }
}
