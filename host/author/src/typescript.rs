//! Plugins in TypeScript: declarations from the contract, and the project's own compiler.
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::declarations::declare;
use super::program::{clean, node_is_there, on_path};

/// The version that this Hookwright is tested with; a project may pin another.
pub(super) const TYPESCRIPT: &str = "7.0.2";
/// The plugin itself: beside package.json it makes the project one in TypeScript.
pub(super) const SOURCE: &str = "plugin.ts";
/// Where the compiler writes, in a project.
const EMITTED: &str = "build";
/// The declarations, in a project.
const BINDINGS: &str = "bindings/plugin.d.ts";

/// Writes the declarations for one of the contract's worlds into the project.
///
/// # Errors
/// Where `wit/` holds no such world, or the file can't be written.
pub(super) fn bindings(folder: &Path, world: &str) -> Result<()> {
    let text = declare(&folder.join("wit"), world)?;
    let file = folder.join(BINDINGS);
    // An editor that has it open is left in peace where nothing changed.
    if fs::read_to_string(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let parent = file.parent().unwrap_or(folder);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&file, text))
        .with_context(|| format!("can't write {}", file.display()))
}

/// Checks the types and writes JavaScript; answers the plugin's module, from the folder on.
///
/// # Errors
/// When the compiler is missing, with the command that installs it, or when it finds an error,
/// which it writes itself.
pub(super) fn compile(folder: &Path, world: &str) -> Result<String> {
    node_is_there()?;
    let own = folder.join("node_modules/.bin/tsc");
    let Some(tsc) = own.is_file().then_some(own).or_else(|| on_path("tsc")) else {
        bail!("tsc is missing: run `npm install` in {}", folder.display());
    };
    bindings(folder, world)?;
    let module = format!("{EMITTED}/plugin.js");
    let emitted = folder.join(&module);
    if emitted.is_file() {
        // What an earlier build left must not pass for this one's.
        fs::remove_file(&emitted).with_context(|| format!("can't remove {}", emitted.display()))?;
    }
    let mut command = clean(&tsc, folder);
    command.args(["--project", ".", "--rootDir", ".", "--outDir", EMITTED]);
    command.args(["--noEmit", "false", "--noEmitOnError", "true"]);
    // It writes its errors to the output, which is for what was built.
    let done = command.stdout(std::io::stderr()).status();
    let done = done.with_context(|| format!("can't run {}", tsc.display()))?;
    if !done.success() {
        bail!("{} does not compile; see above", folder.join(SOURCE).display());
    }
    if !emitted.is_file() {
        bail!("tsc wrote no {}: name {SOURCE} in tsconfig.json's `include`", emitted.display());
    }
    Ok(format!("./{module}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_follow_the_world_and_an_unchanged_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wit")).unwrap();
        fs::write(folder.path().join("wit/types.wit"), crate::contract::CONTRACT).unwrap();
        let file = folder.path().join(BINDINGS);
        bindings(folder.path(), "plugin").unwrap();
        let written = || fs::metadata(&file).unwrap().modified().unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        bindings(folder.path(), "plugin").unwrap();
        assert_eq!(written(), old);
        bindings(folder.path(), "plugin-kv").unwrap();
        assert!(fs::read_to_string(&file).unwrap().contains("ttlMs") && written() > old);
    }

    #[test]
    fn the_tested_version_is_the_one_of_templates_and_examples() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
        assert!(read(".ci/languages").contains(&format!("\nTYPESCRIPT={TYPESCRIPT}\n")));
        let example: serde_json::Value =
            serde_json::from_str(&read("plugins/examples-ts/large-orders/package.json")).unwrap();
        assert_eq!(example["devDependencies"]["typescript"], TYPESCRIPT);
    }

    #[test]
    fn a_missing_compiler_is_said_with_the_command_that_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        if on_path("tsc").is_some() {
            return;
        }
        let error = compile(folder.path(), "plugin").unwrap_err().to_string();
        assert!(
            error.contains("npm install") || error.contains("apt-get install nodejs"),
            "{error}"
        );
    }
}
