//! The host's own key: from the settings, or made once and kept with the data.
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};

use hookwright_config::Config;
use hookwright_signing::Secret;

const NAME: &str = "host.key";
const BYTES: usize = 32;

/// Reads it, or makes it; `data_dir` exists.
pub(super) fn load(config: &Config) -> anyhow::Result<Secret> {
    if let Some(key) = &config.host_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join(NAME);
    let key = match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(&config.data_dir, &path),
        read => read,
    };
    let key = key.with_context(|| format!("the host's key, {}", path.display()))?;
    if key.len() != BYTES {
        bail!(
            "the host's key, {}, has {} bytes instead of {BYTES}; delete it, and a new one is made",
            path.display(),
            key.len()
        );
    }
    Ok(Secret::new(key))
}

/// Whether the one that is kept can be used; makes none.
pub(super) fn look(config: &Config) -> anyhow::Result<()> {
    let path = config.data_dir.join(NAME);
    match config.host_key.is_none() && path.exists() {
        true => load(config).map(drop),
        false => Ok(()),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut key = Vec::with_capacity(BYTES);
    File::open(path)?.take(BYTES as u64 + 1).read_to_end(&mut key)?;
    Ok(key)
}

/// Written beside its place and moved there, so that a crash leaves all of it or nothing.
fn make(folder: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let mut key = vec![0; BYTES];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    // Whoever may lay a link there must not choose where the key goes.
    let mut file = options.custom_flags(libc::O_NOFOLLOW).open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use hookwright_config::Sources;

    #[test]
    fn a_key_is_made_once_and_for_nobody_else_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hookwright.toml");
        let config = Config::parse(&file, b"data_dir = \".\"", &Sources::none()).unwrap();
        let key = load(&config).unwrap();
        assert!(key.expose().len() == BYTES && load(&config).unwrap() == key);
        let path = folder.path().join(NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        let error = format!("{:#}", load(&config).unwrap_err());
        assert!(error.contains("host.key") && error.contains("has 5 bytes"), "{error}");
        let own = b"data_dir = \".\"\nhost_key = \"dangerous_plain:0123456789abcdef\"";
        let config = Config::parse(&file, own, &Sources::none()).unwrap();
        assert_eq!(load(&config).unwrap(), Secret::new("0123456789abcdef"));
    }
}
