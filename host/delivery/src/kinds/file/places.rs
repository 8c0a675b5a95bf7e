//! The places that lines go to: one writer for each in a process, however many destinations name it and however often settings change.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::writer::{Inner, Writer};

/// Cheap to clone; clones share it. Holds nothing alive: a place that no
/// destination names any more is forgotten.
#[derive(Clone, Default)]
pub(crate) struct Places {
    writers: Arc<Mutex<HashMap<Option<PathBuf>, Weak<Inner>>>>,
    files: Files,
}

impl Places {
    /// The writer of the path, or that of standard output.
    pub(super) fn writer(&self, path: Option<&Path>) -> Writer {
        // Links are told apart later, by what they lead to.
        let place = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let mut writers = self.writers.lock();
        if let Some(inner) = writers.get(&place).and_then(Weak::upgrade) {
            return Writer(inner);
        }
        writers.retain(|_, inner| inner.strong_count() > 0);
        let inner = Arc::new(Inner::new(self.files.clone()));
        writers.insert(place, Arc::downgrade(&inner));
        Writer(inner)
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> &Files {
        &self.files
    }
}

/// A file by what it is, not by what it is called: device and inode.
pub(super) type FileId = (u64, u64);

/// Files that somebody in this process is writing to. Two paths may lead to the
/// same file by a link; what looks at a file and then changes it (a torn line
/// that is taken away, a full file that is moved aside) has it for itself.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<Mutex<HashMap<FileId, Weak<Mutex<()>>>>>);

impl Files {
    /// Who holds its lock is the only one in this process that writes to the file.
    pub(super) fn turn(&self, file: FileId) -> Arc<Mutex<()>> {
        let mut files = self.0.lock();
        if let Some(turn) = files.get(&file).and_then(Weak::upgrade) {
            return turn;
        }
        files.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        files.insert(file, Arc::downgrade(&turn));
        turn
    }
}
