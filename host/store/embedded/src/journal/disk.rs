//! Every call that changes the journal's files, behind a seam where tests make disks fail.
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What the journal asks of a disk. Paths only say which file is meant.
pub(crate) trait Disk: Send + Sync + 'static {
    /// A new file, open for reading and writing, mode 0600; fails where it exists.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// All bytes or an error; after an error any part may have been written.
    fn write_at(&self, path: &Path, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Contents and length are durable afterwards.
    fn sync(&self, path: &Path, file: &File) -> io::Result<()>;
    fn set_len(&self, path: &Path, file: &File, length: u64) -> io::Result<()>;
    /// Makes the file that long, with room on the disk and zeros to read, so
    /// that a sync of what is written there later has no length to sync too.
    fn reserve(&self, path: &Path, file: &File, length: u64) -> io::Result<()>;
    /// Names created in or removed from the directory are durable afterwards.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this user may still write where the path is.
    fn free(&self, path: &Path) -> io::Result<u64> {
        let room = rustix::fs::statvfs(path)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

/// The machine's own.
#[derive(Debug)]
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn write_at(&self, _: &Path, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, _: &Path, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn set_len(&self, _: &Path, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn reserve(&self, _: &Path, file: &File, length: u64) -> io::Result<()> {
        let length = length.try_into().map_err(io::Error::other)?;
        // SAFETY: the descriptor is open for as long as `file` is borrowed.
        let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
        if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}
