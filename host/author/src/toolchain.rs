//! Finds a Rust that makes WebAssembly: rustup's with a target, or any with the standard library's source.
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::program::clean;

/// `wasip2`, `unknown` or `source` settles which way is taken.
const WAY: &str = "HOOKWRIGHT_BUILD_WITH";
/// The compiler, and beside it the cargo, that are taken.
const RUSTC: &str = "HOOKWRIGHT_RUSTC";
const CARGO: &str = "HOOKWRIGHT_CARGO";
/// The linker for the two ways that need one: `rust-lld` or `wasm-ld`.
const LINKER: &str = "HOOKWRIGHT_LINKER";

/// How a plugin is compiled here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toolchain {
    pub(super) cargo: PathBuf,
    rustc: PathBuf,
    way: Way,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The target is installed; the compiler's own linker yields a component.
    Wasip2,
    /// The target is installed; what is linked is made a component afterwards.
    Unknown,
    /// The standard library is compiled along from its source.
    Source { linker: PathBuf },
}

impl Toolchain {
    /// Looks for one, in this order: the active toolchain with the target
    /// `wasm32-wasip2`, with `wasm32-unknown-unknown`, with the source
    /// (`rust-src`), then Debian's.
    ///
    /// # Errors
    /// With what is missing, and the commands that install it.
    pub(super) fn find(project: &Path) -> Result<Self> {
        let wanted = env::var(WAY).ok();
        if let Some(way) = wanted.as_deref()
            && !["wasip2", "unknown", "source"].contains(&way)
        {
            bail!("{WAY} is `{way}`: use `wasip2`, `unknown` or `source`");
        }
        let mut missing = Vec::new();
        let is_wanted = |way: &str| wanted.as_deref().is_none_or(|wanted| wanted == way);
        for (cargo, rustc) in compilers() {
            let Some(sysroot) = sysroot(&rustc, project) else {
                missing.push(format!("{} does not run", rustc.display()));
                continue;
            };
            let has = |target: &str| has_std(&sysroot, target);
            let found = |way| Ok(Self { cargo: cargo.clone(), rustc: rustc.clone(), way });
            if is_wanted("wasip2") && has("wasm32-wasip2") {
                return found(Way::Wasip2);
            }
            if is_wanted("unknown") && has("wasm32-unknown-unknown") {
                return found(Way::Unknown);
            }
            let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
            let lacks = if !is_wanted("source") {
                "has not the target"
            } else if !source.is_file() {
                "has neither a target for Wasm nor the source"
            } else if let Some(linker) = linker(&sysroot, project) {
                return found(Way::Source { linker });
            } else {
                "finds no linker for Wasm"
            };
            missing.push(format!("{} {lacks}", rustc.display()));
        }
        bail!("{}", advice(&missing));
    }

    /// One line for people.
    pub(super) fn describe(&self) -> String {
        match &self.way {
            Way::Source { .. } => {
                format!("{} and the standard library's source", self.rustc.display())
            }
            _ => format!("{} for {}", self.rustc.display(), self.target()),
        }
    }

    pub(super) fn target(&self) -> &'static str {
        if self.way == Way::Wasip2 { "wasm32-wasip2" } else { "wasm32-unknown-unknown" }
    }

    /// `cargo` for this toolchain, free of what an outer `cargo run` or
    /// `cargo test` put into the environment.
    pub(super) fn cargo(&self, project: &Path) -> Command {
        let mut command = clean(&self.cargo, project);
        if let Way::Source { linker } = &self.way {
            command
                .env("RUSTC", &self.rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// What `cargo build` needs beside the packages.
    pub(super) fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--target", self.target()];
        if matches!(self.way, Way::Source { .. }) {
            // Without what prints backtraces, which a plugin has no place for: a fifth of the work.
            arguments.extend(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        }
        arguments
    }
}

/// Pairs of cargo and rustc to try.
fn compilers() -> Vec<(PathBuf, PathBuf)> {
    let chosen =
        |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(rustc) = chosen(RUSTC) {
        let beside = rustc.with_file_name("cargo");
        let cargo = chosen(CARGO).unwrap_or(if beside.is_file() { beside } else { "cargo".into() });
        return vec![(cargo, rustc)];
    }
    let active = (chosen(CARGO).unwrap_or_else(|| "cargo".into()), "rustc".into());
    let debian = ("/usr/bin/cargo".into(), "/usr/bin/rustc".into());
    vec![active, debian]
}

fn sysroot(rustc: &Path, project: &Path) -> Option<PathBuf> {
    let output = clean(rustc, project).args(["--print", "sysroot"]).output().ok()?;
    let path = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(PathBuf::from(path.trim()))
}

fn has_std(sysroot: &Path, target: &str) -> bool {
    let library = sysroot.join("lib/rustlib").join(target).join("lib");
    let Ok(files) = fs::read_dir(library) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

/// A linker for Wasm: the toolchain's own, that of the active toolchain, or one on the path.
fn linker(sysroot: &Path, project: &Path) -> Option<PathBuf> {
    if let Some(chosen) = env::var_os(LINKER) {
        return Some(chosen.into());
    }
    let active = self::sysroot(Path::new("rustc"), project);
    let shipped = [Some(sysroot.to_owned()), active].into_iter().flatten().flat_map(|sysroot| {
        let hosts = fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
        hosts.map(|host| host.path().join("bin/rust-lld")).collect::<Vec<_>>()
    });
    let mut on_path = Vec::new();
    for directory in
        env::split_paths(&env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin")))
    {
        let newest = (14..=40).rev().map(|version| format!("wasm-ld-{version}"));
        let names = ["rust-lld".to_owned(), "wasm-ld".to_owned()].into_iter().chain(newest);
        on_path.extend(names.map(|name| directory.join(name)));
    }
    // `is_file` follows links: Debian's `rust-lld` points to a package that may be absent.
    shipped.chain(on_path).find(|path| path.is_file())
}

fn advice(missing: &[String]) -> String {
    // Debian's `/usr/bin/rust-lld` names the package that it wants.
    let lld = fs::read_link("/usr/bin/rust-lld").ok();
    let lld = lld.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| "lld".into());
    format!(
        "no Rust toolchain that makes WebAssembly: {}.\n\
         With rustup:   rustup target add wasm32-wasip2\n\
         On Debian:     apt-get install --no-install-recommends rustc-web cargo-web rust-web-src \
         rust-web-llvm {lld}\n\
         Or name one:   {RUSTC}, {CARGO} and {LINKER}",
        missing.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_the_commands() {
        let text = advice(&["rustc has no target for Wasm and no source".into()]);
        assert!(text.contains("rustup target add wasm32-wasip2"), "{text}");
        assert!(text.contains("rust-web-src rust-web-llvm lld"), "{text}");
    }
}
