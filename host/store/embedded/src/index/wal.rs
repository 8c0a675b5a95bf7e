//! Checkpoints of the index: on a thread of their own, so that commits wait for none.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::schema;
use crate::vitals;

/// Rows between two checkpoints.
const EVERY: usize = 4_096;
/// A small commit writes a few pages however little it changes.
const PAGES_A_COMMIT: usize = 4;
/// A log of this many pages is wrapped by the index thread itself.
const RESET_PAGES: i64 = 4_096;
const IDLE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct State {
    rows: usize,
    closed: bool,
}

/// Says when a checkpoint is due.
///
/// A background checkpoint copies all pages but those that were written
/// meanwhile, and SQLite starts the log anew only once none is left: under
/// steady load that never happens by itself. So where the log has grown long,
/// the index thread copies the few that are left between two of its own
/// commits, and its next commit starts at the log's front.
#[derive(Default)]
pub(crate) struct WalCheckpoints {
    state: Mutex<State>,
    wake: Condvar,
    reset: AtomicBool,
}

impl WalCheckpoints {
    /// Called by the index thread after a commit.
    pub(crate) fn committed(&self, rows: usize, conn: &Connection) {
        if self.reset.swap(false, Ordering::Relaxed)
            && let Err(error) = passive(conn)
        {
            tracing::warn!(%error, "the index's log could not be copied; trying again later");
        }
        let mut state = self.state.lock();
        state.rows += rows + PAGES_A_COMMIT;
        if state.rows >= EVERY {
            drop(state);
            self.wake.notify_one();
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// False once closed.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.closed && state.rows < EVERY {
            let late = self.wake.wait_for(&mut state, IDLE).timed_out();
            if late && state.rows > 0 {
                break;
            }
        }
        state.rows = 0;
        !state.closed
    }
}

pub(crate) fn start(
    dir: &Path,
    checkpoints: Arc<WalCheckpoints>,
) -> rusqlite::Result<JoinHandle<()>> {
    let conn = schema::open_reader(dir)?;
    conn.execute_batch("PRAGMA query_only = OFF")?;
    let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(move || {
        while checkpoints.wait() {
            vitals::guarded("store-checkpoint", || match passive(&conn) {
                Ok(pages) if pages > RESET_PAGES => {
                    checkpoints.reset.store(true, Ordering::Relaxed)
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the index's log could not be copied"),
            });
        }
    });
    Ok(thread.expect("the system starts a thread"))
}

/// Copies what can be copied without making anyone wait; returns the pages in the log.
pub(crate) fn passive(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}

/// Makes every commit so far durable, by syncing the log that holds them.
///
/// Opening the log beside SQLite is safe: SQLite's locks are on the database
/// and the shared-memory file, and closing this one drops none of them.
pub(crate) fn sync_log(dir: &Path) -> io::Result<()> {
    let path: PathBuf = schema::wal_file(dir);
    match File::open(&path) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
