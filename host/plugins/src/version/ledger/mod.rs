//! The in-flight ledger: which events plugins were handling when the host crashed, so that none crashes it in a loop.
//!
//! An event that was in the store when the host crashed is routed again at the next start,
//! and may be what crashed it. From such a start on, each call about an event older than
//! the start is marked in a file for as long as the call lasts. An event that is marked when
//! the host crashes again is suspected: it goes through its plugins alone. One that is
//! marked at another crash is poison, and is parked.
//!
//! A shadow's call may crash the host over an event whose outcome is recorded already, so
//! after such a start its calls about new events are marked too. Previews are marked always,
//! since people and programs ask for the same one again.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::metrics::counter;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::run::CallMode;
use crate::version::crash_loop::{CrashLoopTracker, InFlightMark, Suspicion};
use hookwright_model::metrics::POISON_EVENTS;
use hookwright_model::{Digest, Event, EventId, Name};

/// The file of marks. It exists while the host runs, and after a crash.
const MARKS: &str = "in-hand";
/// The file of the tracker's counts.
const COUNTS: &str = "strikes.json";
/// Bytes of a mark: an event, the start of a digest and a plugin's name, and room.
const MARK: usize = 128;

/// The in-flight ledger: marks of calls in a file, and what earlier crashes have told.
///
/// Each version marks its calls in it, and routing asks it whether an event is suspected.
pub struct InFlightLedger {
    dir: PathBuf,
    marks: File,
    free: Mutex<Free>,
    /// Events with row keys below this are marked; 0 after a clean shutdown, where no
    /// event is suspected. Row keys and not times, since clocks are set.
    watch_to: i64,
    tracker: Mutex<CrashLoopTracker>,
    /// Whether any event is suspected; where none is, an event costs one load of this flag.
    any_suspected: AtomicBool,
    /// Held by the suspected event that is being routed.
    alone: Arc<tokio::sync::Mutex<()>>,
    /// The host shut down cleanly.
    closed: AtomicBool,
}

/// Places in the file that hold no mark, to be used for the next calls.
#[derive(Default)]
struct Free {
    given_back: Vec<u32>,
    next: u32,
}

/// Why the ledger can't be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} can't be read or written: {source}; it must belong to the user that runs Hookwright"
)]
pub struct LedgerError {
    path: PathBuf,
    source: io::Error,
}

/// The mark of one call; it is erased when this is dropped.
pub(crate) struct LedgerEntry {
    ledger: Arc<InFlightLedger>,
    place: u32,
}

/// A suspected poison event (it was in flight when the host crashed), and the lock under which it is
/// routed: one such event at a time.
///
/// Routing and previews hold it while they ask the event's plugins. The event stays suspected
/// until [`clear`](Self::clear), also where this is dropped.
pub struct PoisonSuspect {
    ledger: Arc<InFlightLedger>,
    event: EventId,
    poison: Option<String>,
    _turn: OwnedMutexGuard<()>,
}

impl PoisonSuspect {
    /// Why the event is poison and must not go through its plugins again; none where it is
    /// only suspected.
    pub fn poison(&self) -> Option<&str> {
        self.poison.as_deref()
    }

    /// Logs and counts that the event is parked because it is poison.
    pub fn park(&self, why: &str) {
        tracing::error!(event = %self.event, why, "a poison event is parked");
        counter!(POISON_EVENTS).increment(1);
    }

    /// Ends the suspicion, and with it the event's crash count, so a replay starts from zero. To be called
    /// once the outcome of routing is in the event's row: earlier, the event could crash the
    /// host again with its count lost. Blocks.
    pub fn clear(self) {
        self.ledger.forget(self.event);
    }
}

impl InFlightLedger {
    /// Reads what the last run left in the data directory, and begins this one.
    /// Events with row keys up to `newest` are older than this start.
    ///
    /// # Errors
    /// Where the files can't be read or written.
    pub fn open(dir: &Path, newest: i64) -> Result<Self, LedgerError> {
        let failed = |name: &str| {
            let path = dir.join(name);
            move |source| LedgerError { path, source }
        };
        let left = read(&dir.join(MARKS)).map_err(failed(MARKS))?;
        let mut tracker = CrashLoopTracker::default();
        if left.is_none() {
            // A clean shutdown whose removal of the counts did not succeed.
            let _ = fs::remove_file(dir.join(COUNTS));
        }
        if let Some(left) = &left {
            let kept = read(&dir.join(COUNTS)).map_err(failed(COUNTS))?.unwrap_or_default();
            // A garbled file counts as an empty one.
            tracker = serde_json::from_slice(&kept).unwrap_or_default();
            let lines = String::from_utf8_lossy(left);
            tracker.record_crash(&lines.lines().filter_map(InFlightMark::read).collect::<Vec<_>>());
            write(dir, &tracker).map_err(failed(COUNTS))?;
        }
        for (event, plugin, crashes) in tracker.suspected() {
            tracing::warn!(
                event,
                plugin,
                strikes = crashes,
                "the host died with this event in hand"
            );
        }
        let any_suspected = AtomicBool::new(tracker.suspected().next().is_some());
        let marks = create(&dir.join(MARKS)).map_err(failed(MARKS))?;
        Ok(Self {
            dir: dir.into(),
            marks,
            free: Mutex::default(),
            watch_to: left.map_or(0, |_| newest.saturating_add(1)),
            tracker: Mutex::new(tracker),
            any_suspected,
            alone: Arc::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Removes the files: after a clean shutdown no event is suspected.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for name in [COUNTS, MARKS] {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    /// Takes a start back that failed, so that it does not count as a crash.
    pub fn undo(&self) {
        if self.watch_to == 0 {
            self.close();
        }
    }

    /// Marks a call that is about to begin, where its event could crash the host again after
    /// a restart; none where it could not.
    pub(crate) fn take(
        self: &Arc<Self>,
        event: &Event,
        plugin: &Name,
        digest: Digest,
        mode: CallMode,
    ) -> Option<LedgerEntry> {
        let comes_back = match mode {
            CallMode::Decide => event.id.row() < self.watch_to,
            CallMode::Shadow => self.watch_to > 0,
            CallMode::Preview => true,
        };
        if !comes_back {
            return None;
        }
        let place = self.free.lock().take();
        let entry = LedgerEntry { ledger: self.clone(), place };
        self.mark(place, &format!("{} {}", event.id, version(plugin, digest)));
        Some(entry)
    }

    fn mark(&self, place: u32, text: &str) {
        let line = format!("{text:<width$.width$}\n", width = MARK - 1);
        let written = self.marks.write_all_at(line.as_bytes(), u64::from(place) * MARK as u64);
        if let Err(error) = written {
            let path = self.dir.join(MARKS);
            tracing::warn!(path = %path.display(), %error, "a plugin's call is not marked");
        }
    }

    /// Waits until a suspected event may be routed alone; none, at once, for any other event.
    pub(crate) async fn isolate(self: &Arc<Self>, event: EventId) -> Option<PoisonSuspect> {
        let poison = match self.suspicion(event) {
            Suspicion::None => return None,
            Suspicion::Suspected => None,
            Suspicion::Poison(why) => Some(why),
        };
        let _turn = self.alone.clone().lock_owned().await;
        Some(PoisonSuspect { ledger: self.clone(), event, poison, _turn })
    }

    pub(crate) fn is_suspected(&self, event: EventId) -> bool {
        self.suspicion(event) != Suspicion::None
    }

    fn suspicion(&self, event: EventId) -> Suspicion {
        match self.any_suspected.load(Ordering::Relaxed) {
            false => Suspicion::None,
            true => self.tracker.lock().suspicion(&event.to_string()),
        }
    }

    /// Why a plugin's version gets no more events.
    pub(crate) fn crash_loop(&self, plugin: &Name, digest: Digest) -> Option<String> {
        self.tracker.lock().crash_loop(&version(plugin, digest))
    }

    /// Called by one task at a time: the caller holds `alone`.
    fn forget(&self, event: EventId) {
        let tracker = {
            let mut tracker = self.tracker.lock();
            tracker.forget(&event.to_string());
            self.any_suspected.store(tracker.suspected().next().is_some(), Ordering::Relaxed);
            tracker.clone()
        };
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        if let Err(error) = write(&self.dir, &tracker) {
            let path = self.dir.join(COUNTS);
            tracing::warn!(path = %path.display(), %error, "an event stays under suspicion");
        }
    }
}

impl Drop for LedgerEntry {
    fn drop(&mut self) {
        self.ledger.mark(self.place, "");
        self.ledger.free.lock().given_back.push(self.place);
    }
}

impl Free {
    fn take(&mut self) -> u32 {
        self.given_back.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

fn version(plugin: &Name, digest: Digest) -> String {
    format!("{} {plugin}", digest.short())
}

/// None where there is no such file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a file, or empties it, with access for the host's user only. A symbolic link is an error: to
/// follow it would empty the file that it points to.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Replaces the file of counts. No sync: what a process wrote outlives its crash.
fn write(dir: &Path, tracker: &CrashLoopTracker) -> io::Result<()> {
    let draft = dir.join(format!("{COUNTS}.tmp"));
    create(&draft)?.write_all(&serde_json::to_vec(tracker)?)?;
    fs::rename(draft, dir.join(COUNTS))
}

#[cfg(test)]
mod tests;
