//! What can go wrong at opening, each with its cure, and how failures of the disk and of SQLite become the store's own.
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use hookwright_store::{AppendError, StoreError};

/// Why the store did not open, for the one who started the host: each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory open.
    #[error(
        "{} is in use by another process{}; stop it, or give this one a `data_dir` of its own",
        dir.display(), Holder(*pid)
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// That process, where it could be found out.
        pid: Option<u32>,
    },
    /// A later version of the host wrote the store. Nothing was changed.
    #[error(
        "{} has format {found} and this version of hookwright knows {known}; \
         use the version that wrote it, or a newer one", file.display()
    )]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// The format that it is in.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// A file is not as it was written, in a way that the recovery can't leave out.
    #[error("{} is damaged at byte {offset}: {what}; restore it from a copy. {cure}", file.display())]
    Damaged {
        /// The journal's file, or the index.
        file: PathBuf,
        /// Where, in bytes; 0 where that is not known.
        offset: u64,
        /// What is wrong.
        what: String,
        /// What to do where there is no copy to restore, and what that costs.
        cure: &'static str,
    },
    /// The data directory, or a folder in it, is a file.
    #[error("{} is no directory; set `data_dir` to one", path.display())]
    NotDirectory {
        /// The file.
        path: PathBuf,
    },
    /// This user may not read or write it.
    #[error(
        "no permission to use {}; let this user read and write it, or set `data_dir` elsewhere",
        path.display()
    )]
    Permission {
        /// The file or folder.
        path: PathBuf,
    },
    /// No room for what an opening writes.
    #[error("the disk that holds {} is full; free some space", path.display())]
    Full {
        /// The file that was to grow.
        path: PathBuf,
    },
    /// Any other failure of the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Any other failure of SQLite.
    #[error("the index {}: {what}", file.display())]
    Index {
        /// The index.
        file: PathBuf,
        /// What SQLite said.
        what: String,
    },
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}

pub(crate) const JOURNAL_CURE: &str =
    "Without one, move the file out of the journal: the events in it are lost, the others stay";
pub(crate) const INDEX_CURE: &str = "Without one, move index.db* away: events are read back from \
     the journal and parked, since what became of them is lost; a replay sends them again";

impl OpenError {
    /// For `map_err` where `path` is meant.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { path }
            }
            io::ErrorKind::NotADirectory => Self::NotDirectory { path },
            _ if is_full(&source) => Self::Full { path },
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn journal(file: &Path, offset: u64, what: &str) -> Self {
        Self::Damaged { file: file.to_owned(), offset, what: what.to_owned(), cure: JOURNAL_CURE }
    }

    /// For `map_err` on what SQLite says of the index.
    pub(crate) fn index(file: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let file = file.to_owned();
        move |error| {
            let (path, file) = (file.clone(), file.clone());
            match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Damaged { file, offset: 0, what: error.to_string(), cure: INDEX_CURE }
                }
                Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                    Self::Permission { path }
                }
                Some(ErrorCode::DiskFull) => Self::Full { path },
                _ => Self::Index { file, what: error.to_string() },
            }
        }
    }
}

/// A record that should be in the journal and can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("journal segment {0} is gone")]
    Gone(u32),
    #[error("{} is damaged at byte {offset}", file.display())]
    Damaged { file: PathBuf, offset: u64 },
    #[error("{}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
}

impl ReadError {
    /// The record will not come back by itself.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Damaged { .. })
    }
}

/// Whether the disk has no room, or none for this user.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether SQLite refuses one operation for what is in it, and would do so each
/// time; all else passes, or concerns every operation.
pub(crate) fn is_of_content(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown
        ),
        // A value that can't be converted, a row that is not as it should be.
        None => true,
    }
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        let what = error.to_string().into();
        if error.is_lasting() { Self::Damaged(what) } else { Self::Failed(what) }
    }
}

/// A failure inside the engine, on its way to the caller as a [`StoreError`]: `?` makes one of SQLite's own errors and of
/// records that can't be read.
#[derive(Debug)]
pub(crate) struct Failure(StoreError);

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self(error.into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        Self(match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            _ => StoreError::Failed(format!("the index: {error}").into()),
        })
    }
}

/// What the sender of an event hears of a failed write.
pub(crate) fn refusal(error: &io::Error) -> AppendError {
    if is_full(error) {
        AppendError::Full
    } else {
        AppendError::Failed(Arc::from(error.to_string()))
    }
}
