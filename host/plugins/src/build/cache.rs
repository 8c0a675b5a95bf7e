//! Native code kept from one start to the next, in a directory that nobody else can write to.
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::gate::Report;
use hookwright_model::Digest;

/// An entry: native code, from the first byte on, so that the file can be mapped;
/// the head as JSON; its size; a checksum; and this.
const MAGIC: &[u8; 8] = b"HWcache3";
/// Bytes of what follows the head.
const TAIL: usize = 4 + 32 + MAGIC.len();
const CHUNK: usize = 256 << 10;
const SUFFIX: &str = "native";
const ENTRY_BYTES: u64 = 1 << 30;
/// Entries that were not read for so long are deleted.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Why the cache directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory can't be made or read.
    #[error("the cache directory {dir} cannot be made or read: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Other users may write to the directory.
    #[error(
        "the cache directory {dir} {what}: native code is loaded from there, so only the user that runs Hookwright may own it and write to it; run `chmod 700 {dir}`, or name another directory"
    )]
    Unsafe {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// What native code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(component: &Digest, config_json: &str, engine: &[u8; 32]) -> Self {
        let mut sha = Sha256::new();
        sha.update(component.as_bytes());
        sha.update(Sha256::digest(config_json));
        sha.update(engine);
        Self(sha.finalize().into())
    }
}

/// The directory.
#[derive(Debug)]
pub(crate) struct Cache(PathBuf);

#[derive(Serialize, Deserialize)]
struct Head {
    report: Report,
    size: u64,
}

impl Cache {
    /// Makes the directory where there is none.
    pub(crate) fn open(dir: &Path) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Io { dir: dir.into(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let meta = fs::metadata(dir).map_err(failed)?;
        let user = user();
        let refuse = |what| Err(CacheError::Unsafe { dir: dir.into(), what });
        if !meta.is_dir() {
            return refuse("is no directory".into());
        }
        if meta.uid() != user {
            return refuse(format!("belongs to the user {}, not {user}", meta.uid()));
        }
        if meta.mode() & 0o077 != 0 {
            return refuse(format!("has the mode {:o}", meta.mode() & 0o777));
        }
        Ok(Self(dir.into()))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(format!("{}.{SUFFIX}", hex::encode(key.0)))
    }

    /// What is kept, and the file that begins with its native code; none where
    /// there is nothing or what is there is damaged.
    pub(crate) fn load(&self, key: &Key) -> Option<(Report, PathBuf)> {
        let path = self.path(key);
        // What is a link, or may have been written by others, is not ours.
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(&path).ok()?;
        let meta = file.metadata().ok()?;
        let ours = meta.is_file() && meta.uid() == user() && meta.mode() & 0o022 == 0;
        let Some(report) = ours.then(|| check(&file, meta.len(), key)).flatten() else {
            tracing::warn!(path = %path.display(), "a damaged cache entry; compiling again");
            return None;
        };
        // Only how long it was unused depends on this.
        let _ = file.set_modified(SystemTime::now());
        Some((report, path))
    }

    /// Replaces what is kept, whole or not at all. Answers the file that
    /// begins with the native code.
    pub(crate) fn store(&self, key: &Key, report: &Report, native: &[u8]) -> io::Result<PathBuf> {
        let head = serde_json::to_vec(&Head { report: report.clone(), size: native.len() as u64 })?;
        let size = u32::try_from(head.len()).map_err(io::Error::other)?;
        let mut sum = begin_sum(key);
        sum.update(native);
        sum.update(&head);
        let path = self.path(key);
        let draft =
            path.with_extension(format!("{:016x}.tmp", hookwright_model::clock::random_u64()));
        let written = (|| {
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(native)?;
            file.write_all(&head)?;
            file.write_all(&size.to_le_bytes())?;
            file.write_all(&sum.finalize())?;
            file.write_all(MAGIC)?;
            fs::rename(&draft, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written.map(|()| path)
    }

    /// Deletes what was not used for 90 days, and what a crash left half written.
    pub(crate) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|ext| ext == SUFFIX || ext == "tmp");
            let age = entry.metadata().and_then(|meta| meta.modified()).ok();
            let age = age.and_then(|at| at.elapsed().ok()).unwrap_or_default();
            if ours && age > UNUSED {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Over the key too: an entry under another one's name is a damaged one.
fn begin_sum(key: &Key) -> Sha256 {
    Sha256::new().chain_update(key.0)
}

fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// The report of a whole entry of that key. The native code is read, but not
/// kept: it will be mapped.
fn check(file: &File, size: u64, key: &Key) -> Option<Report> {
    let mut tail = [0; TAIL];
    let before_tail = size.checked_sub(TAIL as u64).filter(|_| size <= ENTRY_BYTES)?;
    file.read_exact_at(&mut tail, before_tail).ok()?;
    let (head_size, rest) = tail.split_first_chunk::<4>()?;
    let wanted = rest.strip_suffix(MAGIC)?;
    let head_size = u64::from(u32::from_le_bytes(*head_size));
    let native = before_tail.checked_sub(head_size)?;
    let mut sum = begin_sum(key);
    let mut chunk = vec![0; usize::try_from(native).ok()?.min(CHUNK)];
    let mut at = 0;
    while at < native {
        let next = usize::try_from(native - at).ok()?.min(chunk.len());
        file.read_exact_at(&mut chunk[..next], at).ok()?;
        sum.update(&chunk[..next]);
        at += next as u64;
    }
    let mut head = vec![0; usize::try_from(head_size).ok()?];
    file.read_exact_at(&mut head, native).ok()?;
    sum.update(&head);
    if sum.finalize()[..] != *wanted {
        return None;
    }
    let head: Head = serde_json::from_slice(&head).ok()?;
    (head.size == native).then_some(head.report)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let text = Cache::open(dir.path()).unwrap_err().to_string();
        assert!(text.contains("755") && text.contains("chmod 700"), "{text}");
        let made = dir.path().join("made/deep");
        Cache::open(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn keys_differ_by_component_settings_and_engine() {
        let key = |component, config, engine| {
            Key::new(&Digest::new([component; 32]), config, &[engine; 32])
        };
        let all = [key(0, "", 0), key(1, "", 0), key(0, "{}", 0), key(0, "", 1)];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one));
        }
    }
}
