//! A disk that counts, fails when told, and knows what a power loss would leave.
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::journal::disk::{Disk, OsDisk};

/// What goes wrong, from now on until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// No room, after half of the bytes were written.
    Full,
    /// A broken disk, after half of the bytes were written.
    Write,
    /// The sync fails, once; what was written is lost or not.
    Sync,
    /// Syncs wait until the fault is taken back.
    Stuck,
    /// Room is taken by half before there is no more of it.
    HalfReserved,
}

#[derive(Default)]
pub(super) struct FaultyDisk {
    pub(super) syncs: AtomicUsize,
    fault: Mutex<Fault>,
    /// What is free on it; 0 stands for what is free in truth.
    pub(super) free: AtomicU64,
    changed: Condvar,
    /// By file: up to where it was written, and how much of that was synced.
    ends: Mutex<HashMap<PathBuf, Ends>>,
}

#[derive(Default, Clone, Copy)]
struct Ends {
    written: u64,
    synced: u64,
}

impl FaultyDisk {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
        self.changed.notify_all();
    }

    /// Leaves of the files in a copy of the directory what was synced; zeros
    /// stand in reserved room that was written and not synced.
    pub(super) fn lose_power(&self, copy: &Path) {
        for (path, ends) in self.ends.lock().iter() {
            let own = copy.join("journal").join(path.file_name().unwrap());
            if let Ok(file) = File::options().write(true).open(own) {
                let length = file.metadata().unwrap().len();
                file.set_len(ends.synced).unwrap();
                file.set_len(length.max(ends.synced)).unwrap();
            }
        }
    }

    fn wrote(&self, path: &Path, end: u64) {
        let mut ends = self.ends.lock();
        let own = ends.entry(path.to_owned()).or_default();
        own.written = own.written.max(end);
    }
}

impl Disk for FaultyDisk {
    fn free(&self, path: &Path) -> io::Result<u64> {
        match self.free.load(Ordering::SeqCst) {
            0 => OsDisk.free(path),
            free => Ok(free),
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        if *self.fault.lock() == Fault::Full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.ends.lock().insert(path.to_owned(), Ends::default());
        OsDisk.create(path)
    }

    fn write_at(&self, path: &Path, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = *self.fault.lock();
        self.wrote(path, offset + bytes.len() as u64);
        let half = &bytes[..bytes.len() / 2];
        match fault {
            Fault::Full => {
                OsDisk.write_at(path, file, half, offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::Write => {
                OsDisk.write_at(path, file, half, offset)?;
                Err(io::Error::other("the test breaks the disk"))
            }
            _ => OsDisk.write_at(path, file, bytes, offset),
        }
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        let mut fault = self.fault.lock();
        while *fault == Fault::Stuck {
            self.changed.wait(&mut fault);
        }
        if *fault == Fault::Sync {
            *fault = Fault::None;
            return Err(io::Error::other("the test breaks the sync"));
        }
        drop(fault);
        self.syncs.fetch_add(1, Ordering::SeqCst);
        OsDisk.sync(path, file)?;
        let mut ends = self.ends.lock();
        let own = ends.entry(path.to_owned()).or_default();
        own.synced = own.written;
        Ok(())
    }

    fn set_len(&self, path: &Path, file: &File, length: u64) -> io::Result<()> {
        OsDisk.set_len(path, file, length)?;
        let mut ends = self.ends.lock();
        let own = ends.entry(path.to_owned()).or_default();
        own.written = own.written.min(length);
        own.synced = own.synced.min(length);
        Ok(())
    }

    fn reserve(&self, path: &Path, file: &File, length: u64) -> io::Result<()> {
        match *self.fault.lock() {
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::HalfReserved => {
                let half = length.midpoint(file.metadata()?.len());
                OsDisk.reserve(path, file, half)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => OsDisk.reserve(path, file, length),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }
}
