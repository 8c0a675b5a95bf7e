//! The disk of the store: what kind, how fast it syncs, how much room it has.
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::finding::{Finding, Findings};
use crate::app::{IndexCheck, check_index, faults_in};
use hookwright_config::Config;

const ABOUT: &str = "disk";
/// Writes of the probe, each with its sync.
const SYNCS: usize = 50;
const BLOCK: usize = 4096;
/// Time limit of the probe, for slow disks.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time limit of the check of the index.
const CHECK: Duration = Duration::from_secs(30);
/// A commit that takes longer noticeably delays responses to sources.
const SLOW: Duration = Duration::from_millis(20);

/// `f_type` of file systems that are unsuitable for a store (linux/magic.h).
const UNFIT: &[(u64, &str)] = &[
    (0x0102_1994, "in memory (tmpfs): events are gone after a restart of the machine"),
    (0x6969, "on NFS: locks and syncs are not to be relied on"),
    (0xff53_4d42, "on CIFS: locks and syncs are not to be relied on"),
    (0xfe53_4d42, "on SMB: locks and syncs are not to be relied on"),
];

pub(super) fn examine(found: &mut Findings, config: &Config) {
    let dir = &config.data_dir;
    // The host makes the folder at its first start.
    let there = existing(dir);
    if let Some(what) = crate::app::too_open(dir) {
        let cure = format!("chmod 700 {}", dir.display());
        found.push(Finding::warning(ABOUT, what, cure));
    }
    kind(found, dir, there);
    store(found, dir);
    room(found, config, there);
    speed(found, there);
}

fn existing(dir: &Path) -> &Path {
    let parents = dir.ancestors().find(|path| path.is_dir());
    parents.unwrap_or(Path::new("."))
}

fn kind(found: &mut Findings, dir: &Path, there: &Path) {
    let Ok(about) = rustix::fs::statfs(there) else { return };
    let magic = u64::try_from(about.f_type).unwrap_or_default() & 0xffff_ffff;
    if let Some((_, what)) = UNFIT.iter().find(|(unfit, _)| *unfit == magic) {
        let what = format!("{} is {what}", dir.display());
        found.push(Finding::warning(ABOUT, what, "set `data_dir` to a local disk".to_owned()));
    }
}

/// The store's own files: damage that the host met, and the index as SQLite sees it.
fn store(found: &mut Findings, dir: &Path) {
    for fault in faults_in(dir) {
        let cure = format!(
            "look at {}/damaged/{}, then move it away: that says that it was seen",
            dir.display(),
            fault.subject
        );
        found.push(Finding::bad("store", fault.what, cure));
    }
    let index = dir.join("index.db");
    let index = index.display();
    match check_index(dir, CHECK) {
        IndexCheck::Absent => {}
        IndexCheck::Fine => {
            found.push(Finding::fine("store", format!("{index} is as SQLite wants it")));
        }
        IndexCheck::Damaged(what) => {
            let cure = "stop the host and restore the backup; without one move index.db* away: \
                        events are read back from the journal and parked";
            let what = format!("{index} is damaged: {what}");
            found.push(Finding::bad("store", what, cure.to_owned()));
        }
        IndexCheck::Unknown(why) => {
            let cure = format!("stop the host and run `sqlite3 {index} 'PRAGMA quick_check'`");
            found.push(Finding::warning("store", format!("{index} was not checked: {why}"), cure));
        }
    }
}

fn room(found: &mut Findings, config: &Config, there: &Path) {
    let Ok(about) = rustix::fs::statvfs(there) else { return };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let reserve = config.store.reserve;
    let shown = format!("{} MiB free where `data_dir` is", free >> 20);
    if free < reserve {
        let what = format!("{shown}, less than `store.reserve`: new events get 503");
        found.push(Finding::bad(ABOUT, what, "make room, or shorten `retention.keep`".to_owned()));
    } else if free < reserve.saturating_mul(4) {
        let cure = "make room, or shorten `retention.keep`".to_owned();
        found.push(Finding::warning(
            ABOUT,
            format!("{shown}, soon less than `store.reserve`"),
            cure,
        ));
    } else {
        found.push(Finding::fine(ABOUT, shown));
    }
}

fn speed(found: &mut Findings, there: &Path) {
    let times = match measure(there) {
        Ok(times) => times,
        Err(error) => {
            let what = format!("can't write in {}: {error}", there.display());
            let cure = "give this user the folder, or set `data_dir` to another one".to_owned();
            return found.push(Finding::bad(ABOUT, what, cure));
        }
    };
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let shown = format!(
        "a write of 4 KiB and its sync take {:.2} ms, {:.2} ms at worst, of {}",
        median.as_secs_f64() * 1e3,
        worst.as_secs_f64() * 1e3,
        times.len()
    );
    if median > SLOW {
        let cure = "a source waits so long for its 2xx; take a faster disk, or one whose write cache survives a power cut".to_owned();
        found.push(Finding::warning(ABOUT, shown, cure));
    } else {
        found.push(Finding::fine(ABOUT, shown));
    }
}

/// Sorted; at least one.
fn measure(there: &Path) -> io::Result<Vec<Duration>> {
    let mut file: File = tempfile::tempfile_in(there)?;
    let began = Instant::now();
    let mut times = Vec::with_capacity(SYNCS);
    while times.len() < SYNCS && (times.is_empty() || began.elapsed() < PATIENCE) {
        let each = Instant::now();
        file.write_all(&[0x5a; BLOCK])?;
        file.sync_data()?;
        times.push(each.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
