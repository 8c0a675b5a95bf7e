//! The stamp of a file: metadata by which a change is detected without reading the file.
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A file's stamp. Two versions of a file with the same stamp can't be distinguished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    is_file: bool,
}

impl FileStamp {
    /// None where there is nothing. Symbolic links are followed.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            is_file: meta.is_file(),
        })
    }

    /// The file itself, whatever its contents.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn is_file(&self) -> bool {
        self.is_file
    }
}
