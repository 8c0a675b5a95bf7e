//! What the settings are read from besides their text: variables, files and the date.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::values::print;

/// Larger files are neither settings nor secrets.
const MAX_FILE: u64 = 16 << 20;

/// Gives the bytes of a file.
pub type ReadFile = Box<dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync>;

/// The environment and the files, replaceable in tests.
pub struct Sources {
    /// Those whose names are UTF-8.
    pub env: BTreeMap<String, OsString>,
    /// How a file is read: the settings, a secret, a certificate, a schema.
    pub read: ReadFile,
    /// Seconds since 1970, against which a secret's `until` is held.
    pub now_s: u64,
}

impl Sources {
    /// The environment as it is now, and the file system.
    pub fn process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            env: std::env::vars_os().filter_map(named).collect(),
            read: Box::new(read),
            now_s: since.map_or(0, |since| since.as_secs()),
        }
    }

    /// The same, and what each file held when it was read.
    pub fn watched() -> (Self, Seen) {
        let (sources, seen) = (Self::process(), Seen::default());
        let noted = seen.clone();
        let reads = move |path: &Path| {
            let bytes = (sources.read)(path);
            noted.0.lock().insert(path.to_owned(), bytes.as_deref().ok().map(print));
            bytes
        };
        (Self { env: sources.env, read: Box::new(reads), now_s: sources.now_s }, seen)
    }

    /// No variables and no files, in 1970.
    pub fn none() -> Self {
        let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
        Self { env: BTreeMap::new(), read: Box::new(read), now_s: 0 }
    }
}

/// Digests of files, by their paths; none where one can't be read.
pub type Prints = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Every file that the settings were read from: their own, secrets, certificates, schemas.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Prints>>);

impl Seen {
    /// What each file held when it was read last, so far.
    pub fn prints(&self) -> Prints {
        self.0.lock().clone()
    }
}

/// What the file holds now, as [`Seen`] has it.
pub fn print_of(path: &Path) -> Option<[u8; 32]> {
    read(path).ok().as_deref().map(print)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    let length = file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if length as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 16 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        std::fs::File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert!(read(dir.path()).is_err());
    }
}
