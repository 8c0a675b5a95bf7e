//! A file, open for one write.
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::{FlockOperation, flock};

use super::files::FileId;

/// How each of our lines begins: by this the host knows its own.
const BEGINNING: &[u8] = b"{\"id\":\"evt_";

/// A file, open for one write, with what was seen of it then. The appender opens one
/// for each write.
pub(super) struct Open {
    file: File,
    data: Metadata,
    length: u64,
    /// No other Hookwright writes to it now: they keep each other out by a lock
    /// on the file. Where it can't be had, nothing is ever taken away again.
    alone: bool,
    /// It ends within a line that is not ours to take away.
    torn: bool,
}

impl Open {
    /// Opens the file, or makes it, with its folder. Lines are only ever
    /// appended (`O_APPEND`): each goes where the file ends then, whatever else
    /// writes to it or has emptied it meanwhile.
    pub(super) fn at(path: &Path, mode: u32) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let around = match std::fs::metadata(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_folders(folder, mode)?;
                std::fs::metadata(folder)?
            }
            found => found?,
        };
        let shared = is_shared(&around);
        let mut options = OpenOptions::new();
        // Without waiting: a pipe without a reader would hold the writer up for ever.
        let follow = if shared { libc::O_NOFOLLOW } else { 0 };
        options.read(true).append(true).mode(mode).custom_flags(libc::O_NONBLOCK | follow);
        let (file, made) = match options.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match options.clone().create_new(true).open(path) {
                    // A link that leads to nothing yet, or somebody else was faster.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        (options.create(true).open(path)?, false)
                    }
                    made => (made?, true),
                }
            }
            Err(error) if shared && error.raw_os_error() == Some(libc::ELOOP) => {
                let what = "is a link in a folder that everybody may write to";
                return Err(io::Error::new(error.kind(), what));
            }
            opened => (opened?, false),
        };
        if made {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(io::Error::other(
                "is not a regular file; `stdout = true` writes to a pipe",
            ));
        }
        // As Linux does itself where `fs.protected_regular` is on. Without the sticky
        // bit anybody may turn the file over, and is meant to.
        let own = [rustix::process::geteuid().as_raw(), around.uid()];
        if shared && is_sticky(&around) && !own.contains(&data.uid()) {
            let what = "belongs to somebody else, in a folder that everybody may write to";
            return Err(io::Error::other(what));
        }
        if data.len() == 0 {
            // The name of a new file is as durable as its lines.
            sync_folder_of(&path.canonicalize()?)?;
        }
        let length = data.len();
        let alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(Self { file, data, length, alone, torn: false })
    }

    pub(super) fn id(&self) -> FileId {
        (self.data.dev(), self.data.ino())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// When it was made, milliseconds since 1970, or last written to where the
    /// file system does not keep that.
    pub(super) fn made_ms(&self) -> Option<u64> {
        let made = self.data.created().or_else(|_| self.data.modified()).ok()?;
        let made = made.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(made.as_millis()).ok()
    }

    /// Whether it is what the path leads to now.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|data| (data.dev(), data.ino()) == self.id())
    }

    /// Whether it is reached by any path still.
    pub(super) fn has_a_name(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }

    /// Looks how the file ends. A line of ours without an end, from a crash or
    /// a full disk, was acknowledged to nobody and is taken away; the end of
    /// what others wrote stays, and what comes next begins on a line of its own.
    pub(super) fn make_whole(&mut self) -> io::Result<()> {
        self.length = self.file.metadata()?.len();
        if self.length == 0 {
            return Ok(());
        }
        let mut last = [0];
        self.file.seek(SeekFrom::Start(self.length - 1))?;
        self.file.read_exact(&mut last)?;
        if last == *b"\n" {
            return Ok(());
        }
        let whole = whole(&mut self.file, self.length)?;
        let is_ours = self.begins_as_ours(whole)?;
        if self.alone && is_ours && self.file.metadata()?.len() == self.length {
            let bytes = self.length - whole;
            tracing::warn!(bytes, "the end of a line that was not finished is cut off");
            self.file.set_len(whole)?;
            self.length = whole;
        } else {
            self.torn = true;
        }
        Ok(())
    }

    /// Whether what stands there is the beginning of one of our lines.
    fn begins_as_ours(&mut self, at: u64) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::with_capacity(BEGINNING.len());
        (&self.file).take(BEGINNING.len() as u64).read_to_end(&mut head)?;
        Ok(!head.is_empty() && BEGINNING.starts_with(&head))
    }

    /// All of it and synced, or an error and, where nobody else wrote meanwhile, nothing.
    pub(super) fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        let apart: &[u8] = if self.torn { b"\n" } else { b"" };
        let mut written = 0;
        let done = self.append(apart, &mut written).and_then(|()| self.append(lines, &mut written));
        let done = done.and_then(|()| self.file.sync_data());
        if done.is_err() && written > 0 {
            self.take_back(written);
        }
        done
    }

    fn append(&mut self, mut bytes: &[u8], written: &mut u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    *written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts off what was written just now, where that is certainly nobody
    /// else's. What stays is seen to by the next look.
    fn take_back(&mut self, written: u64) {
        // Appending leaves the position behind what was appended.
        let Ok(end) = self.file.stream_position() else { return };
        let is_last = self.file.metadata().is_ok_and(|data| data.len() == end);
        let is_one_piece = self.length.checked_add(written) == Some(end);
        if self.alone && is_last && is_one_piece {
            let _ = self.file.set_len(self.length);
        }
    }
}

/// Everybody may make files there, as in `/tmp`: what stands there already may be a trap.
fn is_shared(folder: &Metadata) -> bool {
    folder.permissions().mode() & 0o002 != 0
}

fn is_sticky(folder: &Metadata) -> bool {
    folder.permissions().mode() & 0o1000 != 0
}

/// Whoever may read the file may enter the folders that are made for it.
fn make_folders(folder: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|part| !part.as_os_str().is_empty() && !part.exists())
        .collect();
    if let Some(link) = missing.iter().find(|part| part.is_symlink()) {
        let what = format!("the folder {} is a link that leads nowhere", link.display());
        return Err(io::Error::new(ErrorKind::NotFound, what));
    }
    let enter = (mode & 0o444) >> 2;
    DirBuilder::new().recursive(true).mode(0o700 | mode | enter).create(folder)?;
    missing.into_iter().rev().try_for_each(sync_folder_of)
}

/// Has the entry of the path in its folder on the disk.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Up to the last newline.
fn whole(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut room = [0; 4_096];
    while end > 0 {
        let start = end.saturating_sub(room.len() as u64);
        let part = &mut room[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
