//! What the settings are read from besides their text: variables, files and the date.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;

/// Larger files are neither settings nor secrets.
const MAX_FILE: u64 = 16 << 20;

/// Gives the bytes of a file.
pub type ReadFile = Box<dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync>;

/// The environment and the files, replaceable in tests.
pub struct Sources {
    /// Those whose names are UTF-8.
    pub env: BTreeMap<String, OsString>,
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

    /// No variables and no files, in 1970.
    pub fn none() -> Self {
        let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
        Self { env: BTreeMap::new(), read: Box::new(read), now_s: 0 }
    }
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
