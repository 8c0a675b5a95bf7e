//! Appends lines: one writer at a time takes all that wait, writes them, and syncs once.
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::FileOptions;
use super::rotation::rotate;

/// Where the lines go.
pub(super) enum Place {
    File(FileOptions),
    Stdout,
}

type Written = Result<(), Arc<str>>;

/// Cheap to clone; clones share the file.
#[derive(Clone)]
pub(super) struct Writer(Arc<Inner>);

struct Inner {
    place: Place,
    queue: Mutex<Queue>,
    open: Mutex<Option<Open>>,
}

/// Bounded by what is in flight.
#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Somebody writes, and looks here again before ending.
    busy: bool,
}

struct Job {
    line: Vec<u8>,
    at_ms: u64,
    done: oneshot::Sender<Written>,
}

/// The file that is written to.
struct Open {
    file: File,
    /// Whole lines, in bytes.
    length: u64,
    /// When its first line was written.
    begun_ms: u64,
}

impl Writer {
    pub(super) fn new(place: Place) -> Self {
        Self(Arc::new(Inner { place, queue: Mutex::default(), open: Mutex::default() }))
    }

    /// Ends when the line is on the disk.
    ///
    /// # Errors
    /// It is not; nothing of it is left in the file.
    pub(super) async fn write(&self, line: Vec<u8>, at_ms: u64) -> Written {
        let (done, answer) = oneshot::channel();
        let idle = {
            let mut queue = self.0.queue.lock();
            queue.jobs.push(Job { line, at_ms, done });
            !std::mem::replace(&mut queue.busy, true)
        };
        if idle {
            let inner = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || inner.run());
        }
        answer.await.unwrap_or_else(|_| Err("the writer ended before the line was written".into()))
    }
}

/// Whoever writes says so when it ends, however that is.
struct Busy<'i>(&'i Inner);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        // None where it ended as it should; those left by a panic hear of it.
        queue.jobs.clear();
        queue.busy = false;
    }
}

impl Inner {
    fn run(&self) {
        let busy = Busy(self);
        loop {
            let jobs = {
                let mut queue = self.queue.lock();
                if queue.jobs.is_empty() {
                    // Under the lock: nobody adds a line in between.
                    queue.busy = false;
                    std::mem::forget(busy);
                    return;
                }
                std::mem::take(&mut queue.jobs)
            };
            let written = self.append(&jobs).map_err(|error| Arc::from(error.to_string()));
            for job in jobs {
                // Whoever gave up waiting sends it again: at least once.
                let _ = job.done.send(written.clone());
            }
        }
    }

    fn append(&self, jobs: &[Job]) -> io::Result<()> {
        let lines: Vec<&[u8]> = jobs.iter().map(|job| job.line.as_slice()).collect();
        let lines = lines.concat();
        match &self.place {
            Place::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&lines)?;
                out.flush()
            }
            Place::File(options) => {
                let at_ms = jobs.first().map_or(0, |job| job.at_ms);
                let mut open = self.open.lock();
                let named = |error: io::Error| {
                    io::Error::other(format!("{}: {error}", options.path.display()))
                };
                let mut file =
                    ready(open.take(), options, lines.len() as u64, at_ms).map_err(named)?;
                file.put(&lines).map_err(named)?;
                // After a failure it is opened anew, and looked at.
                *open = Some(file);
                Ok(())
            }
        }
    }
}

/// The file to go on with, where it is still the one of that name and not full; else a new one.
fn ready(open: Option<Open>, options: &FileOptions, more: u64, at_ms: u64) -> io::Result<Open> {
    let path = &options.path;
    let open = match open.filter(|open| open.is_at(path)) {
        Some(open) => open,
        None => Open::at(path, at_ms)?,
    };
    let too_large = options.max_size.is_some_and(|max| open.length + more > max);
    let age = at_ms.saturating_sub(open.begun_ms);
    let too_old = options.max_age.is_some_and(|max| u128::from(age) >= max.as_millis());
    if open.length == 0 || !(too_large || too_old) {
        return Ok(open);
    }
    rotate(path, at_ms, options.keep)?;
    Open::at(path, at_ms)
}

impl Open {
    /// A line without an end, from a crash, was acknowledged to nobody and goes.
    fn at(path: &Path, at_ms: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let data = file.metadata()?;
        let length = whole(&mut file, data.len())?;
        if length < data.len() {
            tracing::warn!(file = %path.display(), bytes = data.len() - length, "the end of a line that was not finished is cut off");
            file.set_len(length)?;
        }
        let begun = data.created().or_else(|_| data.modified()).ok();
        let begun = begun.and_then(|begun| begun.duration_since(UNIX_EPOCH).ok());
        let begun_ms = match begun {
            Some(begun) if length > 0 => u64::try_from(begun.as_millis()).unwrap_or(u64::MAX),
            _ => at_ms,
        };
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { file, length, begun_ms })
    }

    /// Whether nobody moved it away.
    fn is_at(&self, path: &Path) -> bool {
        let same = |data: std::fs::Metadata| {
            let own = self.file.metadata().ok()?;
            Some(own.ino() == data.ino() && own.dev() == data.dev())
        };
        std::fs::metadata(path).ok().and_then(same) == Some(true)
    }

    /// All of it and synced, or nothing.
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += lines.len() as u64,
            // What can't be cut now is cut when the file is opened again.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn options(path: &Path) -> FileOptions {
        FileOptions { path: path.to_owned(), max_size: None, max_age: None, keep: None }
    }

    fn writer(options: FileOptions) -> Writer {
        Writer::new(Place::File(options))
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    #[tokio::test]
    async fn lines_of_many_are_whole_and_each_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(options(&folder.path().join("deep/er/lines")));
        let all = (0..500).map(|number| writer.write(format!("{number}\n").into_bytes(), 0));
        for written in futures_util::future::join_all(all).await {
            written.unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join("deep/er/lines")).unwrap();
        let mut numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..500));
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        for (before, after) in
            [("a\nb\nhalf", "a\nb\nnew\n"), ("half", "new\n"), ("a\n", "a\nnew\n"), ("", "new\n")]
        {
            std::fs::write(&path, before).unwrap();
            writer(options(&path)).write(b"new\n".to_vec(), 0).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after, "{before}");
        }
        let long = format!("a\n{}", "x".repeat(10_000));
        std::fs::write(&path, long).unwrap();
        writer(options(&path)).write(b"new\n".to_vec(), 0).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nnew\n");
    }

    #[tokio::test]
    async fn a_new_file_is_begun_by_size_by_age_and_when_somebody_took_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let sized = writer(FileOptions { max_size: Some(4), keep: Some(2), ..options(&path) });
        for (line, at_ms) in
            [("a\n", 0), ("b\n", 1_000), ("c\n", 2_000), ("longer\n", 3_000), ("d\n", 4_000)]
        {
            sized.write(line.into(), at_ms).await.unwrap();
        }
        // `a` and `b` filled the first, which two younger ones have driven out by now.
        assert_eq!(files(folder.path()), ["c\n", "longer\n", "d\n"]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let max_age = Some(Duration::from_secs(60));
        let aged = writer(FileOptions { max_age, ..options(&path) });
        for (line, at_ms) in [("a\n", 0), ("b\n", 59_999), ("c\n", 60_000)] {
            aged.write(line.into(), at_ms).await.unwrap();
        }
        assert_eq!(files(folder.path()), ["a\nb\n", "c\n"]);
        std::fs::rename(&path, folder.path().join("taken")).unwrap();
        aged.write(b"e\n".to_vec(), 60_001).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "e\n");
        assert_eq!(std::fs::read_to_string(folder.path().join("taken")).unwrap(), "c\n");
    }

    #[tokio::test]
    async fn what_can_not_be_written_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = writer(options(folder.path())).write(b"x\n".to_vec(), 0).await.unwrap_err();
        assert!(error.contains(&*folder.path().to_string_lossy()), "{error}");
        let full = writer(options(Path::new("/dev/full"))).write(b"x\n".to_vec(), 0).await;
        assert!(full.is_err(), "the disk is full");
    }
}
