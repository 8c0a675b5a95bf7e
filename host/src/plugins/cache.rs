//! Native code kept from one start to the next, in a directory that nobody else can write to.
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::report::Report;
use crate::model::Digest;

const MAGIC: &[u8; 8] = b"HWcache2";
const SUFFIX: &str = "native";
const ENTRY_BYTES: u64 = 1 << 30;
/// Entries that were not read for so long are deleted.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3_600);

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("the cache directory {dir} cannot be made or read: {source}")]
    Io { dir: PathBuf, source: io::Error },
    #[error(
        "the cache directory {dir} {what}: native code is loaded from there, so only the user that runs Hookwright may own it and write to it; run `chmod 700 {dir}`, or name another directory"
    )]
    Unsafe { dir: PathBuf, what: String },
}

/// What native code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(component: &Digest, config_json: &str, engine: &[u8; 32]) -> Self {
        let mut sha = Sha256::new();
        sha.update(component.as_bytes());
        sha.update(Sha256::digest(config_json));
        sha.update(engine);
        Self(sha.finalize().into())
    }
}

/// The directory.
#[derive(Debug)]
pub(super) struct Cache(PathBuf);

#[derive(Serialize, Deserialize)]
struct Head {
    report: Report,
    size: u64,
}

impl Cache {
    /// Makes the directory where there is none.
    pub(super) fn open(dir: &Path) -> Result<Self, CacheError> {
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

    /// What is kept; none where there is nothing or what is there is damaged.
    pub(super) fn load(&self, key: &Key) -> Option<(Report, Vec<u8>)> {
        let path = self.path(key);
        // What is a link, or may have been written by others, is not ours.
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(&path).ok()?;
        let meta = file.metadata().ok()?;
        let ours = meta.is_file() && meta.uid() == user() && meta.mode() & 0o022 == 0;
        let mut bytes = Vec::new();
        if ours {
            (&file).take(ENTRY_BYTES).read_to_end(&mut bytes).ok()?;
        }
        let Some(entry) = parse(bytes, key) else {
            tracing::warn!(path = %path.display(), "a damaged cache entry; compiling again");
            return None;
        };
        // Only how long it was unused depends on this.
        let _ = file.set_modified(SystemTime::now());
        Some(entry)
    }

    /// Replaces what is kept, whole or not at all.
    pub(super) fn store(&self, key: &Key, report: &Report, native: &[u8]) -> io::Result<()> {
        let head = serde_json::to_vec(&Head { report: report.clone(), size: native.len() as u64 })?;
        let size = u32::try_from(head.len()).map_err(io::Error::other)?;
        let sum = sum(key, &head, native);
        let path = self.path(key);
        let draft = path.with_extension(format!("{:016x}.tmp", crate::clock::random_u64()));
        let written = (|| {
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(MAGIC)?;
            file.write_all(&sum)?;
            file.write_all(&size.to_le_bytes())?;
            file.write_all(&head)?;
            file.write_all(native)?;
            fs::rename(&draft, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written
    }

    /// Deletes what was not used for 90 days, and what a crash left half written.
    pub(super) fn prune(&self) {
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
fn sum(key: &Key, head: &[u8], native: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(key.0);
    sha.update(head);
    sha.update(native);
    sha.finalize().into()
}

fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

fn parse(mut bytes: Vec<u8>, key: &Key) -> Option<(Report, Vec<u8>)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (wanted, rest) = rest.split_first_chunk::<32>()?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let (head, native) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
    if sum(key, head, native) != *wanted {
        return None;
    }
    let head: Head = serde_json::from_slice(head).ok()?;
    if head.size != native.len() as u64 {
        return None;
    }
    let start = bytes.len() - native.len();
    bytes.drain(..start);
    Some((head.report, bytes))
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
