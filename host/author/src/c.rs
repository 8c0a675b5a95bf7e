//! Plugins in C: bindings from the contract, and clang with Debian's or another libc for Wasm.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use wit_bindgen_core::{Files, wit_parser};

use super::program::{clean, on_path, output};

/// The compiler that is taken.
const CLANG: &str = "HOOKWRIGHT_CLANG";
/// The folder with the C library for Wasm, such as that of the WASI SDK.
const SYSROOT: &str = "HOOKWRIGHT_WASI_SYSROOT";
/// What installs all on Debian; the last package has the compiler's version in its name.
pub(super) const INSTALL: &str =
    "apt-get install --no-install-recommends clang lld wasi-libc libclang-rt-14-dev-wasm32";
/// What Debian's `wasi-libc` installs below `/usr`, and the WASI SDK below its own folder.
const LIBC: &str = "lib/wasm32-wasi/libc.a";

/// The folder of the generated files, in a project.
const BINDINGS: &str = "bindings";
/// Memory that an instance begins with, 1 MiB: the C library's allocator uses
/// that up first, and an instance seldom grows. The pool keeps as much resident.
const LINK: [&str; 3] =
    ["-Wl,--initial-memory=1048576", "-Wl,-z,stack-size=131072", "-Wl,--strip-debug"];

/// Writes the bindings for one of the contract's worlds into the project.
///
/// # Errors
/// Where `wit/` holds no such world, or a file can't be written.
pub(super) fn bindings(folder: &Path, world: &str) -> Result<()> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(folder.join("wit"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let options = wit_bindgen_c::Opts {
        // The same names in each world.
        rename_world: Some("plugin".to_owned()),
        // The body's handle ends with the call, as in the other languages.
        autodrop_borrows: wit_bindgen_c::Enabled::Yes,
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let into = folder.join(BINDINGS);
    fs::create_dir_all(&into).with_context(|| format!("can't make {}", into.display()))?;
    for (name, bytes) in files.iter() {
        let file = into.join(name);
        // What did not change keeps its time, for those who build with make.
        if fs::read(&file).is_ok_and(|old| old == bytes) {
            continue;
        }
        fs::write(&file, bytes).with_context(|| format!("can't write {}", file.display()))?;
    }
    Ok(())
}

/// The command that makes a module of all C files of the project, after it
/// wrote the bindings; and the compiler's name.
///
/// # Errors
/// When something is missing, with the command that installs it.
pub(super) fn compiler(folder: &Path, world: &str, out: &Path) -> Result<(Command, String)> {
    let clang = clang()?;
    let sysroot = sysroot(&clang)?;
    bindings(folder, world)?;
    let mut command = clean(&clang, folder);
    command.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-Wall"]);
    command.arg(format!("--sysroot={}", sysroot.display())).args(["-I", BINDINGS]).args(LINK);
    command.args(sources(folder)?);
    command
        .args(["plugin.c", "plugin_component_type.o"].map(|file| Path::new(BINDINGS).join(file)));
    command.arg("-o").arg(out);
    Ok((command, clang.display().to_string()))
}

/// The project's own C files, in its folder and in `src/`.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for part in ["", "src"] {
        for file in fs::read_dir(folder.join(part)).into_iter().flatten().flatten() {
            let name = PathBuf::from(file.file_name());
            if name.extension().is_some_and(|end| end == "c") {
                found.push(Path::new(part).join(name));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("no file that ends in `.c` in {}, nor in its `src`", folder.display());
    }
    Ok(found)
}

fn clang() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(CLANG) {
        return Ok(named.into());
    }
    let newest = (14..=40).rev().map(|version| format!("clang-{version}"));
    let found = ["clang".to_owned()].into_iter().chain(newest).find_map(|name| on_path(&name));
    found.with_context(|| format!("clang is missing: {}", advice("14")))
}

fn sysroot(clang: &Path) -> Result<PathBuf> {
    let version = output(Command::new(clang).arg("-dumpversion")).unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default().trim().to_owned();
    if on_path("wasm-ld").is_none() && on_path(&format!("wasm-ld-{major}")).is_none() {
        bail!("clang's linker for Wasm (wasm-ld) is missing: {}", advice(&major));
    }
    let named = std::env::var_os(SYSROOT).map(PathBuf::from);
    let known = named.into_iter().chain([PathBuf::from("/usr")]);
    let found = known.into_iter().find(|folder| folder.join(LIBC).is_file());
    found.with_context(|| format!("the C library for Wasm is missing: {}", advice(&major)))
}

fn advice(major: &str) -> String {
    let install = INSTALL.replace("14", major);
    format!(
        "on Debian run `{install}`; elsewhere install the WASI SDK and name its parts in \
         {CLANG} and {SYSROOT} (its folder `share/wasi-sysroot`)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::CONTRACT;

    #[test]
    fn bindings_have_the_same_names_in_each_world() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wit")).unwrap();
        fs::write(folder.path().join("wit/types.wit"), CONTRACT).unwrap();
        let header = |world: &str| {
            bindings(folder.path(), world).unwrap();
            fs::read_to_string(folder.path().join("bindings/plugin.h")).unwrap()
        };
        let plain = header("plugin");
        assert!(plain.contains("plugin_string_t") && !plain.contains("kv_increment"), "{plain}");
        let kv = header("plugin-kv");
        assert!(kv.contains("plugin_string_t") && kv.contains("kv_increment"), "{kv}");
        assert!(bindings(folder.path(), "none").is_err());
    }

    #[test]
    fn c_files_are_found_and_a_project_without_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = sources(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`.c`"), "{error}");
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/b.c"), "").unwrap();
        fs::write(folder.path().join("plugin.c"), "").unwrap();
        fs::write(folder.path().join("plugin.h"), "").unwrap();
        assert_eq!(sources(folder.path()).unwrap(), [Path::new("plugin.c"), Path::new("src/b.c")]);
    }
}
