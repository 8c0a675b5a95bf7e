//! One turn at a time for each file, by whatever paths this process reaches it.
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

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
