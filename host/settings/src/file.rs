//! A file that lines of JSON are appended to, and how it is rotated.
use std::path::PathBuf;
use std::time::Duration;

/// The permissions that a new file gets where the settings say nothing.
///
/// Events may hold what only the host's own user is to read.
pub const FILE_MODE: u32 = 0o600;

/// A file that lines are appended to, `file` of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// Where it is; its folder is made where it is missing.
    pub path: PathBuf,
    /// Bytes that a file holds before a new one is begun. Default: no limit.
    pub max_size: Option<u64>,
    /// Age of a file before a new one is begun. Default: no limit.
    pub max_age: Option<Duration>,
    /// How many full files are kept. Default: all.
    pub keep: Option<usize>,
    /// Permissions of a new file, whatever the process's umask. Default [`FILE_MODE`].
    pub mode: u32,
}

impl FileOptions {
    /// The defaults for a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, max_size: None, max_age: None, keep: None, mode: FILE_MODE }
    }
}
