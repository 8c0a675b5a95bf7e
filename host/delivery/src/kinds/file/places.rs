//! The places that lines go to: one writer for each in a process, however many destinations name it and however often settings change.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::Files;
use super::writer::{WeakWriter, Writer};

/// Cheap to clone; clones share it. Holds nothing alive: a place that no
/// destination names any more is forgotten.
#[derive(Clone, Default)]
pub(crate) struct Places {
    writers: Arc<Mutex<HashMap<Option<PathBuf>, WeakWriter>>>,
    files: Files,
}

impl Places {
    /// The writer of the path, or that of standard output.
    pub(super) fn writer(&self, path: Option<&Path>) -> Writer {
        // Links are told apart later, by what they lead to.
        let place = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let mut writers = self.writers.lock();
        if let Some(writer) = writers.get(&place).and_then(WeakWriter::upgrade) {
            return writer;
        }
        writers.retain(|_, writer| writer.is_alive());
        let writer = Writer::new(self.files.clone());
        writers.insert(place, writer.downgrade());
        writer
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> &Files {
        &self.files
    }
}
