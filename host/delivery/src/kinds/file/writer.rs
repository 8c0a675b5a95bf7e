//! Lines that wait for one place: one task at a time takes all of them, has them written, and answers each.
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::append::Appender;
use super::files::Files;
use super::stdout::Output;
use hookwright_settings::FileOptions;

/// Whether a line is on the disk; if not, why.
pub(super) type Written = Result<(), Arc<str>>;

/// Writes lines to one place for every destination that names it. Cheap to
/// clone; clones share the place.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

/// A writer that is remembered and not kept: once no destination has it, it is gone.
pub(super) struct WeakWriter(Weak<Shared>);

impl WeakWriter {
    /// None where no destination has it any more.
    pub(super) fn upgrade(&self) -> Option<Writer> {
        self.0.upgrade().map(Writer)
    }

    /// Whether a destination still has it.
    pub(super) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// What the clones of a writer, and the task that writes, have in common.
struct Shared {
    queue: Mutex<Queue>,
    /// Told when nobody writes any more.
    ended: Notify,
    place: Mutex<Place>,
}

/// What the writer knows of its place.
struct Place {
    file: Appender,
    output: Output,
}

/// Bounded by what is in flight: a caller that gives up waiting takes its line along.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    next: u64,
    /// Somebody writes, and looks here again before ending.
    busy: bool,
}

struct Job {
    number: u64,
    line: Vec<u8>,
    /// Of the destination, as its settings are now; none: standard output.
    file: Option<Arc<FileOptions>>,
    at_ms: u64,
    done: oneshot::Sender<Written>,
}

impl Writer {
    /// A writer that keeps to the turns of `files`.
    pub(super) fn new(files: Files) -> Self {
        let place = Place { file: Appender::new(files), output: Output::default() };
        let (queue, ended) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { queue, ended, place: Mutex::new(place) }))
    }

    /// For remembering it without keeping it.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(Arc::downgrade(&self.0))
    }

    /// Ends when the line is on the disk. Dropped before that, the line is
    /// written or not: a disk that hangs must not gather lines without end.
    ///
    /// # Errors
    /// It is not; nothing of it is left in the file.
    pub(super) async fn write(
        &self,
        line: Vec<u8>,
        file: Option<Arc<FileOptions>>,
        at_ms: u64,
    ) -> Written {
        let (done, answer) = oneshot::channel();
        let (number, idle) = {
            let mut queue = self.0.queue.lock();
            let number = queue.next;
            queue.next += 1;
            queue.jobs.push_back(Job { number, line, file, at_ms, done });
            (number, !std::mem::replace(&mut queue.busy, true))
        };
        let mut place = Waiting { shared: &self.0, number, answered: false };
        if idle {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.run());
        }
        let answer = answer.await;
        place.answered = true;
        answer.unwrap_or_else(|_| Err("the writer ended before the line was written".into()))
    }

    /// Ends when nothing is being written and nothing waits.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.0.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if !self.0.queue.lock().busy {
                return;
            }
            ended.await;
        }
    }
}

#[cfg(test)]
impl Writer {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Lines in the queue.
    pub(super) fn waiting(&self) -> usize {
        self.0.queue.lock().jobs.len()
    }
}

/// A line in the queue that somebody waits for.
struct Waiting<'w> {
    shared: &'w Shared,
    number: u64,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.queue.lock().jobs.retain(|job| job.number != self.number);
        }
    }
}

/// Whoever writes says so when it ends, however that is.
struct Busy<'s>(&'s Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        // None where it ended as it should; those left by a panic hear of it.
        queue.jobs.clear();
        queue.busy = false;
        drop(queue);
        self.0.ended.notify_waiters();
    }
}

impl Shared {
    fn run(&self) {
        let busy = Busy(self);
        loop {
            let jobs = {
                let mut queue = self.queue.lock();
                if queue.jobs.is_empty() {
                    // Under the lock: nobody adds a line in between.
                    queue.busy = false;
                    std::mem::forget(busy);
                    drop(queue);
                    return self.ended.notify_waiters();
                }
                std::mem::take(&mut queue.jobs)
            };
            let written = self.put(&jobs).map_err(|error| Arc::from(error.to_string()));
            for job in jobs {
                // Whoever gave up waiting sends it again: at least once.
                let _ = job.done.send(written.clone());
            }
        }
    }

    fn put(&self, jobs: &VecDeque<Job>) -> io::Result<()> {
        let Some(newest) = jobs.back() else { return Ok(()) };
        let lines: Vec<&[u8]> = jobs.iter().map(|job| job.line.as_slice()).collect();
        let lines = lines.concat();
        let mut place = self.place.lock();
        match &newest.file {
            None => place.output.put(&lines),
            // The settings of the newest: after a reload they hold for all.
            Some(options) => place.file.put(options, &lines, newest.at_ms).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", options.path.display()))
            }),
        }
    }
}
