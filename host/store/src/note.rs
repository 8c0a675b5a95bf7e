//! A small document beside the store, on the disk as a whole: read at the start, written when it has changed.
//!
//! A file of its own, as the audit log, so that no purge takes it along and a
//! damaged index neither.
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// A longer one is not read: it is none of ours.
const MOST: u64 = 16 << 20;

/// The document's place.
#[derive(Debug)]
pub struct Note {
    folder: PathBuf,
    name: &'static str,
    writing: Mutex<()>,
}

impl Note {
    /// `name` is that of the file in the data directory.
    pub fn new(folder: &Path, name: &'static str) -> Self {
        Self { folder: folder.to_owned(), name, writing: Mutex::default() }
    }

    /// What was written last; none where nothing was. Blocks.
    ///
    /// # Errors
    /// Where the file can't be read, or is a link.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut options = OpenOptions::new();
        let opened = options.read(true).custom_flags(libc::O_NOFOLLOW).open(self.path());
        let file = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts it in the place of what was there: a crash leaves one of both, whole. Blocks for syncs.
    ///
    /// # Errors
    /// As the disk fails; what was there stays.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let _one = self.writing.lock();
        let draft = self.folder.join(format!("{}.new", self.name));
        // Of one that broke off, or a link that somebody laid there.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, self.path())?;
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn it_is_there_again_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::new(folder.path(), "a.json");
        assert_eq!(note.read().unwrap(), None);
        note.write(b"one").unwrap();
        // Of a crash, or laid there.
        let other = folder.path().join("other");
        std::fs::write(&other, "theirs").unwrap();
        symlink(&other, folder.path().join("a.json.new")).unwrap();
        note.write(b"two").unwrap();
        assert_eq!(
            Note::new(folder.path(), "a.json").read().unwrap().as_deref(),
            Some(&b"two"[..])
        );
        let data = std::fs::metadata(folder.path().join("a.json")).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        std::fs::remove_file(folder.path().join("a.json")).unwrap();
        symlink(&other, folder.path().join("a.json")).unwrap();
        assert!(note.read().is_err(), "no link is followed");
    }
}
