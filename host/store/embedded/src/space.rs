//! Watches the room on the disk, so that new events are refused before it is full.
//!
//! What is left then is for what must go on: outcomes of routing, attempts, the
//! index's log, and the purge that makes room again.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use metrics::{Gauge, gauge};

use crate::journal::disk::Disk;
use hookwright_model::metrics::STORE_FREE_BYTES;

/// Whether the room is less than the reserve, as it was at the last look.
#[derive(Default)]
pub(super) struct Space {
    low: AtomicBool,
}

impl Space {
    pub(super) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }
}

/// The thread that looks; it ends once this is dropped.
pub(super) struct Looker {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Look {
    space: Arc<Space>,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    reserve: u64,
    free: Gauge,
}

/// Looks at once, and then every so often. A reserve of 0 never refuses.
pub(super) fn start(
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    reserve: u64,
    every: Duration,
) -> (Arc<Space>, Looker) {
    let space = Arc::<Space>::default();
    let look = Look { space: space.clone(), disk, dir, reserve, free: gauge!(STORE_FREE_BYTES) };
    look.look();
    let (stop, stopped) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("store-space".into())
        .spawn(move || look.run(&stopped, every))
        .expect("the system starts a thread");
    (space, Looker { stop: Some(stop), thread: Some(thread) })
}

impl Look {
    fn run(&self, stopped: &Receiver<()>, every: Duration) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
            super::vitals::guarded("store-space", || self.look());
        }
    }

    fn look(&self) {
        // Where it can't be told, a full disk is still refused by the writes themselves.
        let Ok(free) = self.disk.free(&self.dir) else { return };
        self.free.set(free as f64);
        let low = free < self.reserve;
        let was = self.space.low.swap(low, Ordering::Relaxed);
        if low && !was {
            let reserve = self.reserve;
            tracing::error!(free, reserve, "the disk is nearly full; new events are refused");
        } else if was && !low {
            tracing::info!(free, "there is room on the disk again");
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looks at the disk had panicked");
        }
    }
}
