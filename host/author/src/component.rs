//! From what the linker made to a component, and what the component says of itself.
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

/// The contract's name, before its version.
const HANDLER: &str = "hookwright:plugin/handler@";

/// Where in a project's folder its components go, and are looked for.
pub(super) const BUILT: &str = "plugins-built";

/// The component that a command is given: a file, or the folder of a project
/// that was built.
///
/// # Errors
/// Where the folder has no component, or several.
pub fn find(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let folder = in_project(path);
    let files = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm"))
        .collect();
    files.sort();
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => bail!(
            "no component in {}: run `hookwright plugin build {}`, or name a component",
            folder.display(),
            path.display()
        ),
        [first, ..] => {
            bail!(
                "{} holds several components: name one, {} for example",
                folder.display(),
                first.display()
            )
        }
    }
}

/// The folder of a project's components.
pub(super) fn in_project(project: &Path) -> PathBuf {
    if project == Path::new(".") { PathBuf::from(BUILT) } else { project.join(BUILT) }
}

/// One component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    /// The package's name, and the file's.
    pub name: String,
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// The interfaces that it asks of the host.
    pub imports: Vec<String>,
    /// The version of the contract that it was built for.
    pub contract: String,
}

impl Component {
    /// Makes a component of the module, unless it is one, checks that it is a
    /// plugin, and puts it in place in one step, so that a host that watches
    /// the folder never sees half a file.
    pub(super) fn write(name: &str, linked: &Path, out: &Path) -> Result<Self> {
        let bytes = fs::read(linked).with_context(|| format!("can't read {}", linked.display()))?;
        let bytes = componentize(bytes).with_context(|| format!("{name} makes no component"))?;
        let (imports, contract) =
            inspect(&bytes).with_context(|| format!("{name} is not a plugin"))?;
        let file = out.join(format!("{name}.wasm"));
        replace(&file, &bytes).with_context(|| format!("can't write {}", file.display()))?;
        Ok(Self { name: name.into(), file, size: bytes.len() as u64, imports, contract })
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size.div_ceil(1024);
        writeln!(f, "{}  {size} KiB, contract {}", self.file.display(), self.contract)?;
        write!(f, "  imports {}", self.imports.join(", "))
    }
}

fn componentize(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if Parser::is_component(&bytes) {
        return Ok(bytes);
    }
    let module = ComponentEncoder::default().validate(true).module(&bytes);
    module.and_then(|mut module| module.encode()).map_err(|error| {
        if !format!("{error:#}").contains("wasi_snapshot_preview1") {
            return error;
        }
        let why = "it uses the C library's files, streams, clocks or environment (`printf` and the like), and a plugin has none: write to the host's log, and build texts by hand";
        error.context(why)
    })
}

/// The imports and the contract's version.
fn inspect(bytes: &[u8]) -> Result<(Vec<String>, String)> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                ensure!(depth > 1 || encoding == Encoding::Component, "a module, not a component");
            }
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    match exports.iter().find_map(|name| name.strip_prefix(HANDLER)) {
        Some(version) => Ok((imports, version.to_owned())),
        None => bail!("it exports no `{HANDLER}…`: is there a function with `#[plugin]`?"),
    }
}

fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut fresh = tempfile::Builder::new().suffix(".wasm.tmp").tempfile_in(folder)?;
    std::io::Write::write_all(&mut fresh, bytes)?;
    fresh.as_file().sync_all()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fresh.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    fresh.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_without_the_handler_is_no_plugin() {
        let empty = b"\0asm\x0d\0\x01\0";
        let error = inspect(empty).unwrap_err().to_string();
        assert!(error.contains("#[plugin]"), "{error}");
        assert!(inspect(b"\0asm\x01\0\0\0").is_err());
        assert!(inspect(b"junk").is_err());
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/a.wasm");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
