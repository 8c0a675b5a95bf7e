//! Programs of other projects that the author's tools run: where they are, and in what environment they start.
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The command without the variables by which cargo and rustup speak to their children.
pub(super) fn clean(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in env::vars_os().filter(|(name, _)| leaks(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    if env::var_os("CARGO_MANIFEST_DIR").is_some() {
        // Cargo put the outer compiler's libraries there.
        command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_FALLBACK_LIBRARY_PATH");
    }
    command
}

fn leaks(name: &str) -> bool {
    let kept = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
        "CARGO_SOURCE_",
    ];
    let ours = ["RUSTUP_HOME", "RUSTUP_DIST_SERVER", "RUSTUP_UPDATE_ROOT", "RUSTUP_AUTO_INSTALL"];
    let cargo =
        name == "CARGO" || name.starts_with("CARGO_") || name == "OUT_DIR" || name == "TARGET";
    let rust = name.starts_with("RUSTUP_")
        || name.starts_with("RUSTC")
        || name.starts_with("RUSTFLAGS")
        || name.starts_with("RUSTDOC")
        || name == "RUST_RECURSION_COUNT";
    (cargo && !kept.iter().any(|prefix| name.starts_with(prefix)))
        || (rust && !ours.contains(&name))
}

/// Runs a command for its output.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("can't run `{program}`"))?;
    if !output.status.success() {
        bail!("`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{program}` wrote no text"))
}

/// Checks that Node.js is there, on which the tools of JavaScript and TypeScript run.
///
/// # Errors
/// Where it is missing, with the command that installs it.
pub(super) fn node_is_there() -> Result<()> {
    if on_path("node").is_none() {
        bail!("node is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm)");
    }
    Ok(())
}

/// The program of that name on the path.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_cargo_does_not_leak_in() {
        let gone = [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_MANIFEST_DIR",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "CARGO_BUILD_TARGET",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTUP_TOOLCHAIN",
            "OUT_DIR",
        ];
        assert_eq!(gone.iter().filter(|name| !leaks(name)).count(), 0);
        let kept = ["CARGO_HOME", "RUSTUP_HOME", "PATH", "CARGO_NET_OFFLINE", "RUST_LOG", "HOME"];
        assert_eq!(kept.iter().filter(|name| leaks(name)).count(), 0);
    }
}
