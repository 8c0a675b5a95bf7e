//! The in-flight ledger: which events plugins were handling when the host crashed, so that none crashes it in a loop.
//!
//! An event that was in the store when the host died is routed again at the
//! next start, and may be what killed it. From such a start on, calls about
//! events of before are marked in a file for as long as they last. What is
//! marked when the host dies again is a suspect and goes through its
//! plugins alone; one that is marked at another death is parked.
//!
//! A shadow may kill the host over an event whose outcome is recorded already, so
//! from such a start on its calls about new events are marked, too. A preview is
//! asked for again by people and programs, and is marked always.
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
use crate::version::crash_loop::{CrashLoopTracker, InFlightMark, Standing};
use hookwright_model::metrics::POISON_EVENTS;
use hookwright_model::{Digest, Event, EventId, Name};

/// It is there while the host runs, and after it died.
const MARKS: &str = "in-hand";
const STRIKES: &str = "strikes.json";
/// Bytes of a mark: an event, the start of a digest and a plugin's name, and room.
const MARK: usize = 128;

/// The in-flight ledger: marks of calls in a file, and what earlier crashes have told.
///
/// Each version marks its calls in it, and routing asks it whether an event is a suspect.
pub struct InFlightLedger {
    dir: PathBuf,
    marks: File,
    free: Mutex<Free>,
    /// Events with row keys before that are marked; 0 where there is nothing to
    /// be found out. Not their times, since clocks are set.
    watch_to: i64,
    strikes: Mutex<CrashLoopTracker>,
    /// Whether there are suspects; where there are none, an event costs one look at this.
    suspects: AtomicBool,
    alone: Arc<tokio::sync::Mutex<()>>,
    /// The end was orderly.
    closed: AtomicBool,
}

/// Places in the file that hold no mark.
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

/// An event that was in flight when the host crashed, and its turn: suspects go one
/// at a time. It stays one until it is told otherwise.
pub struct Suspect {
    ledger: Arc<InFlightLedger>,
    event: EventId,
    guilty: Option<String>,
    _turn: OwnedMutexGuard<()>,
}

impl Suspect {
    /// Why it may not go through its plugins again.
    pub fn guilty(&self) -> Option<&str> {
        self.guilty.as_deref()
    }

    /// Says that it is parked for that.
    pub fn park(&self, why: &str) {
        tracing::error!(event = %self.event, why, "a poison event is parked");
        counter!(POISON_EVENTS).increment(1);
    }

    /// Its routing has ended and is in its row: earlier than that, it could kill
    /// again and nothing would be known of the times before. A person who
    /// replays it gives it all its tries again. Blocks.
    pub fn clear(self) {
        self.ledger.forget(self.event);
    }
}

impl InFlightLedger {
    /// Reads what the last run left in the data directory, and begins this one.
    /// Events with row keys up to `newest` are those of before.
    ///
    /// # Errors
    /// Where the files can't be read or written.
    pub fn open(dir: &Path, newest: i64) -> Result<Self, LedgerError> {
        let failed = |name: &str| {
            let path = dir.join(name);
            move |source| LedgerError { path, source }
        };
        let left = read(&dir.join(MARKS)).map_err(failed(MARKS))?;
        let mut strikes = CrashLoopTracker::default();
        if left.is_none() {
            // Of an end that was orderly, but for what came after it.
            let _ = fs::remove_file(dir.join(STRIKES));
        }
        if let Some(left) = &left {
            let kept = read(&dir.join(STRIKES)).map_err(failed(STRIKES))?.unwrap_or_default();
            // What can't be understood tells nothing.
            strikes = serde_json::from_slice(&kept).unwrap_or_default();
            let lines = String::from_utf8_lossy(left);
            strikes.blame(&lines.lines().filter_map(InFlightMark::read).collect::<Vec<_>>());
            write(dir, &strikes).map_err(failed(STRIKES))?;
        }
        for (event, plugin, strikes) in strikes.suspects() {
            tracing::warn!(event, plugin, strikes, "the host died with this event in hand");
        }
        let suspects = AtomicBool::new(strikes.suspects().next().is_some());
        let marks = create(&dir.join(MARKS)).map_err(failed(MARKS))?;
        Ok(Self {
            dir: dir.into(),
            marks,
            free: Mutex::default(),
            watch_to: left.map_or(0, |_| newest.saturating_add(1)),
            strikes: Mutex::new(strikes),
            suspects,
            alone: Arc::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// After an orderly end there is nothing to remember.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for name in [STRIKES, MARKS] {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    /// The host did not start, so it did not die either.
    pub fn undo(&self) {
        if self.watch_to == 0 {
            self.close();
        }
    }

    /// Marks a call that is about to begin, where it may be what kills the host
    /// again and again.
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
        let hand = LedgerEntry { ledger: self.clone(), place };
        self.mark(place, &format!("{} {}", event.id, version(plugin, digest)));
        Some(hand)
    }

    fn mark(&self, place: u32, text: &str) {
        let line = format!("{text:<width$.width$}\n", width = MARK - 1);
        let written = self.marks.write_all_at(line.as_bytes(), u64::from(place) * MARK as u64);
        if let Err(error) = written {
            let path = self.dir.join(MARKS);
            tracing::warn!(path = %path.display(), %error, "a plugin's call is not marked");
        }
    }

    /// Waits for its turn where the event is a suspect.
    pub(crate) async fn suspect(self: &Arc<Self>, event: EventId) -> Option<Suspect> {
        let guilty = match self.standing(event) {
            Standing::Free => return None,
            Standing::Suspect => None,
            Standing::Guilty(why) => Some(why),
        };
        let _turn = self.alone.clone().lock_owned().await;
        Some(Suspect { ledger: self.clone(), event, guilty, _turn })
    }

    pub(crate) fn is_suspect(&self, event: EventId) -> bool {
        self.standing(event) != Standing::Free
    }

    fn standing(&self, event: EventId) -> Standing {
        match self.suspects.load(Ordering::Relaxed) {
            false => Standing::Free,
            true => self.strikes.lock().standing(&event.to_string()),
        }
    }

    /// Why a plugin's version gets no more events.
    pub(crate) fn condemned(&self, plugin: &Name, digest: Digest) -> Option<String> {
        self.strikes.lock().condemned(&version(plugin, digest))
    }

    /// One at a time: whoever calls it has the suspects' turn.
    fn forget(&self, event: EventId) {
        let strikes = {
            let mut strikes = self.strikes.lock();
            strikes.forget(&event.to_string());
            self.suspects.store(strikes.suspects().next().is_some(), Ordering::Relaxed);
            strikes.clone()
        };
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        if let Err(error) = write(&self.dir, &strikes) {
            let path = self.dir.join(STRIKES);
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

/// Empty, and the host's alone. A link that somebody laid there is an error: it
/// would empty what it leads to.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// No sync: the death of a process takes nothing of a file with it.
fn write(dir: &Path, strikes: &CrashLoopTracker) -> io::Result<()> {
    let draft = dir.join(format!("{STRIKES}.tmp"));
    create(&draft)?.write_all(&serde_json::to_vec(strikes)?)?;
    fs::rename(draft, dir.join(STRIKES))
}

#[cfg(test)]
mod tests;
