//! A copy of the store while it runs: the index as of one moment, then the journal, which is never behind it.
//!
//! No segment is dropped meanwhile, so what the copied rows point to is copied
//! too. What the journal has beyond the index is read from it when the copy is
//! opened, as after a crash.
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::engine::Embedded;
use super::error::{Failure, is_full};
use crate::index::ops::Request;
use crate::index::schema;
use crate::journal::segment::Segment;
use hookwright_store::{Backup, StoreError};

impl Embedded {
    pub(super) fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        let _no_purge = self.purging.lock();
        if to.exists() {
            let what = format!("{} exists: a backup goes into a new folder", to.display());
            return Err(StoreError::Failed(what.into()));
        }
        // What breaks off half-way is not taken for a backup.
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = to.with_file_name(name);
        let copied = self.copy_into(&part).and_then(|backup| {
            fs::rename(&part, to).map_err(failed(to))?;
            sync_dir(to.parent().unwrap_or(Path::new(".")))?;
            Ok(backup)
        });
        if copied.is_err() {
            // Its error says more than this one would.
            let _ = fs::remove_dir_all(&part);
        }
        copied
    }

    fn copy_into(&self, part: &Path) -> Result<Backup, StoreError> {
        let journal = part.join("journal");
        if part.exists() {
            // Of one that broke off.
            fs::remove_dir_all(part).map_err(failed(part))?;
        }
        let mut dirs = fs::DirBuilder::new();
        dirs.recursive(true).mode(0o700).create(&journal).map_err(failed(&journal))?;
        self.index.ask(|reply| Request::Barrier { all: true, reply })?;
        self.copy_index(&schema::file(part))?;
        // Read after the index, so it holds all that the rows point to.
        let segments = self.segments.list();
        for segment in &segments {
            let name = segment.path.file_name().unwrap_or_default();
            copy_segment(segment, &journal.join(name))?;
        }
        sync_dir(&journal)?;
        sync_dir(part)?;
        let bytes = segments.iter().map(|segment| segment.bytes).sum::<u64>()
            + fs::metadata(schema::file(part)).map_err(failed(part))?.len();
        let events = self.usage()?.events;
        Ok(Backup { bytes, events })
    }

    fn copy_index(&self, to: &Path) -> Result<(), Failure> {
        let file = private(to).map_err(failed(to))?;
        let conn = schema::open_reader(&self.dir)?;
        let path = to.to_str().ok_or_else(|| {
            StoreError::Failed(format!("{}: SQLite takes paths in UTF-8", to.display()).into())
        })?;
        // It writes into a file that is there and empty.
        conn.execute_batch("PRAGMA query_only = OFF")?;
        conn.execute("VACUUM INTO ?1", [path])?;
        Ok(file.sync_all().map_err(failed(to))?)
    }
}

fn copy_segment(segment: &Segment, to: &Path) -> Result<(), StoreError> {
    let mut copy = private(to).map_err(failed(to))?;
    let source = File::open(&segment.path).map_err(failed(&segment.path))?;
    // The file may be longer: room reserved, or records that are not synced yet.
    io::copy(&mut source.take(segment.bytes), &mut copy)
        .and_then(|_| copy.sync_all())
        .map_err(failed(to))
}

fn private(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path: PathBuf = path.to_owned();
    move |error| match is_full(&error) {
        true => StoreError::Full,
        false => StoreError::Failed(format!("{}: {error}", path.display()).into()),
    }
}
