//! Files that are read again together once what one of them holds has changed.
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hookwright_config::{Prints, print_of};

/// Every so many looks each file is read, whatever its metadata say.
const THOROUGH: u32 = 15;

/// What they held when they were read, and at the last look.
///
/// Told apart by contents: files that are swapped by a link may have the same
/// time and size, and ones that are touched hold what they held.
pub(super) struct Files {
    tried: Prints,
    last: Prints,
    metadata: BTreeMap<PathBuf, Metadata>,
    looks: u32,
}

/// What changes with every change of a file, and costs no read: device, inode,
/// size, the time of its contents and that of itself, which nobody sets.
type Metadata = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

fn metadata(path: &Path) -> Metadata {
    let data = std::fs::metadata(path).ok()?;
    let times = ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
    Some((data.dev(), data.ino(), data.size(), times.0, times.1))
}

impl Files {
    pub(super) fn new(prints: Prints) -> Self {
        Self { last: prints.clone(), tried: prints, metadata: BTreeMap::new(), looks: 0 }
    }

    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::new(
            paths.into_iter().map(|path| (print_of(&path), path)).map(|(p, f)| (f, p)).collect(),
        )
    }

    /// They were read just now, and held this.
    pub(super) fn read(&mut self, prints: Prints) {
        self.metadata.retain(|path, _| prints.contains_key(path));
        (self.last, self.tried) = (prints.clone(), prints);
    }

    /// Whether to read them now: because somebody says so, or because they
    /// changed and have settled. Half a file may be without a mistake: one that
    /// still changes is not read. Reads files, so it blocks.
    pub(super) fn is_due(&mut self, told: bool) -> bool {
        let now = self.look();
        let settled = now == self.last;
        let due = !now.is_empty() && (told || (settled && now != self.tried));
        self.last.clone_from(&now);
        if due {
            self.tried = now;
        }
        due
    }

    fn look(&mut self) -> Prints {
        self.looks = self.looks.wrapping_add(1);
        let thorough = self.looks.is_multiple_of(THOROUGH);
        let each = self.last.iter().map(|(path, print)| {
            let data = metadata(path);
            let same = self.metadata.insert(path.clone(), data) == Some(data);
            let print = if same && !thorough { *print } else { print_of(path) };
            (path.clone(), print)
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kubernetes swaps a link; the files behind it may have the same time and size.
    #[test]
    fn regression_a_swap_by_a_link_is_seen_with_the_same_time_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH;
        for (name, text) in [("one", "level = 1"), ("two", "level = 2")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let file = dir.path().join(name).join("settings");
            std::fs::write(&file, text).unwrap();
            std::fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        }
        let (link, new) = (dir.path().join("data"), dir.path().join("data.new"));
        std::os::unix::fs::symlink("one", &link).unwrap();
        let mut files = Files::of([link.join("settings")]);
        assert!(!files.is_due(false) && !files.is_due(false));
        std::os::unix::fs::symlink("two", &new).unwrap();
        std::fs::rename(&new, &link).unwrap();
        assert!(!files.is_due(false), "it may still change");
        assert!(files.is_due(false));
        assert!(!files.is_due(false), "it was read");
        assert!(files.is_due(true), "somebody says so");
    }

    #[test]
    fn a_file_that_is_touched_or_comes_back_as_it_was_is_not_read_and_one_that_appears_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let mut files = Files::of([path.clone()]);
        std::fs::write(&path, "s3cret").unwrap();
        assert!(!files.is_due(false) && files.is_due(false), "it appeared");
        std::fs::write(&path, "s3cret").unwrap();
        assert!(!files.is_due(false) && !files.is_due(false), "it holds the same");
        std::fs::write(&path, "half").unwrap();
        assert!(!files.is_due(false));
        std::fs::write(&path, "other!").unwrap();
        assert!(!files.is_due(false), "it still changes");
        assert!(files.is_due(false));
        std::fs::remove_file(&path).unwrap();
        assert!(!files.is_due(false) && files.is_due(false), "it is gone");
    }
}
