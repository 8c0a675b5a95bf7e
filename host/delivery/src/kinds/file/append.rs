//! Appends lines to a file that others may write to, move, empty or remove at any moment.
use std::io;
use std::path::Path;

use super::files::{FileId, Files};
use super::open::Open;
use super::rotation::rotate;

use hookwright_settings::FileOptions;

/// How often a file is opened again because it was moved or removed meanwhile, by other writers of
/// this process too: with several names for one small file, each of them moves it aside in turn.
const TRIES: usize = 64;

/// One path's appender. It opens the file for each write, which costs little
/// beside the sync: so it holds no file that was moved away, its space is free
/// once it is removed, and a path always means what it means now.
pub(super) struct Appender {
    files: Files,
    /// The file that was written to last, and when its first line was.
    begun: Option<(FileId, u64)>,
}

impl Appender {
    pub(super) fn new(files: Files) -> Self {
        Self { files, begun: None }
    }

    /// Appends whole lines and has them on the disk: all of them, or none.
    ///
    /// # Errors
    /// The disk's; none of the lines counts as written then.
    pub(super) fn put(
        &mut self,
        options: &FileOptions,
        lines: &[u8],
        at_ms: u64,
    ) -> io::Result<()> {
        let path = &options.path;
        for _ in 0..TRIES {
            let mut open = Open::at(path, options.mode)?;
            let turn = self.files.turn(open.id());
            let _turn = turn.lock();
            // Somebody else of this process may have moved it aside before our turn.
            if !open.is_at(path) {
                continue;
            }
            open.make_whole()?;
            let begun_ms = self.begun(&open, at_ms);
            if is_full(options, open.length(), lines.len() as u64, at_ms.saturating_sub(begun_ms)) {
                rotate(&real(path), at_ms, options.keep)?;
                continue;
            }
            open.put(lines)?;
            self.begun = Some((open.id(), begun_ms));
            // What was removed meanwhile has taken the lines along. What was
            // renamed has kept them.
            if open.has_a_name()? {
                return Ok(());
            }
        }
        Err(io::Error::other("it is moved or removed again and again"))
    }

    /// When the file's first line was written; not every file system knows.
    fn begun(&self, open: &Open, at_ms: u64) -> u64 {
        match self.begun {
            _ if open.length() == 0 => at_ms,
            Some((file, begun_ms)) if file == open.id() => begun_ms,
            _ => open.made_ms().unwrap_or(at_ms),
        }
    }
}

fn is_full(options: &FileOptions, length: u64, more: u64, age_ms: u64) -> bool {
    let too_large = options.max_size.is_some_and(|max| length.saturating_add(more) > max);
    let too_old = options.max_age.is_some_and(|max| u128::from(age_ms) >= max.as_millis());
    length > 0 && (too_large || too_old)
}

/// The file's own place: a link stays where it is when the file moves aside.
fn real(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
