//! The tools of other languages than Rust, as `.ci/languages` installs them.
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifact;

/// The workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// What `.ci/languages` installed.
fn tool(path: &str) -> PathBuf {
    let tool = root().join("target/tools").join(path);
    assert!(tool.exists(), "{} is missing: run `make languages`", tool.display());
    tool
}

/// The program in a folder; a project there finds its language's tools.
///
/// # Panics
/// Where they are not installed, with the command that installs them.
pub fn with_tools(language: &str, folder: &Path) -> Command {
    let modules = folder.join("node_modules");
    if matches!(language, "js" | "ts") && folder.join("package.json").exists() && !modules.exists()
    {
        std::os::unix::fs::symlink(tool("js/node_modules"), modules).expect("a link");
    }
    let mut command = Command::new(artifact("hookwright"));
    command.current_dir(folder);
    if language == "python" {
        command.env("HOOKWRIGHT_COMPONENTIZE_PY", tool("python/bin/componentize-py"));
    }
    command
}

/// Copies the example of a language into a folder; answers the project.
///
/// # Panics
/// Where it can't be copied.
pub fn example(language: &str, folder: &Path) -> PathBuf {
    let from = root().join(format!("plugins/examples-{language}/large-orders"));
    let project = folder.join("large-orders");
    let copied = Command::new("cp").arg("-r").arg(&from).arg(&project).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} is not copied", from.display());
    project
}
