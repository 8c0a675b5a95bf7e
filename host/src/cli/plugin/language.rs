//! Plugins in other languages than Rust: which a project is in, and which tool makes a component of it.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::toolchain::clean;

/// The versions that this Hookwright is tested with; a project may pin another.
pub(super) const COMPONENTIZE_PY: &str = "0.25.1";
pub(super) const COMPONENTIZE_JS: &str = "0.23.0";

/// The contract, as it is written into a project's `wit/`.
pub(super) const CONTRACT: &str = include_str!("../../../../wit/v0.1/types.wit");
/// Asks componentize-js for a component without WASI.
const BUILD_JS: &str = include_str!("../../../templates/js/build.mjs");

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    Rust,
    /// JavaScript, by componentize-js
    Js,
    /// Python, by componentize-py
    Python,
}

/// The one file that tells a project's language and holds its name.
const MARKS: [(&str, Language); 2] =
    [("package.json", Language::Js), ("pyproject.toml", Language::Python)];

/// A project that is not cargo's.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) name: String,
    folder: PathBuf,
    language: Language,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct PyProject {
    project: Named,
}

impl Project {
    /// None where the folder holds a cargo project, or none at all.
    ///
    /// # Errors
    /// Where the project's file does not tell its name.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        if folder.join("Cargo.toml").is_file() {
            return Ok(None);
        }
        let mark = MARKS.iter().find(|(file, _)| folder.join(file).is_file());
        let Some((file, language)) = mark else { return Ok(None) };
        let path = folder.join(file);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {shown}"))?;
        let named = match language {
            Language::Python => toml::from_str::<PyProject>(&text).map(|all| all.project)?,
            _ => serde_json::from_str::<Named>(&text)?,
        };
        let name: crate::model::Name =
            named.name.parse().with_context(|| format!("the name in {shown}"))?;
        let folder = folder.canonicalize()?;
        Ok(Some(Self { name: name.to_string(), folder, language: *language }))
    }

    /// Makes the component; answers which tool it was.
    ///
    /// # Errors
    /// When the tool is missing, with the command that installs it, or when it fails.
    pub(super) fn build(&self, out: &Path) -> Result<String> {
        let (mut command, tool) = match self.language {
            Language::Python => self.python(out)?,
            _ => self.javascript(out)?,
        };
        let done = command.status().with_context(|| format!("can't run {tool}"))?;
        if !done.success() {
            bail!("{tool} makes no component of {}; see above", self.name);
        }
        Ok(tool)
    }

    fn python(&self, out: &Path) -> Result<(Command, String)> {
        let own = self.folder.join(".venv/bin/componentize-py");
        let named = std::env::var_os("HOOKWRIGHT_COMPONENTIZE_PY").map(PathBuf::from);
        let tool =
            named.or_else(|| own.is_file().then_some(own)).or_else(|| on_path("componentize-py"));
        let Some(tool) = tool else {
            bail!(
                "componentize-py is missing: run `python3 -m venv .venv && .venv/bin/pip install \
                 componentize-py=={COMPONENTIZE_PY}` in {}, or name it in HOOKWRIGHT_COMPONENTIZE_PY",
                self.folder.display()
            );
        };
        let mut command = clean(&tool, &self.folder);
        command.args(["-d", "wit", "-w", "plugin", "componentize", "--stub-wasi", "plugin", "-o"]);
        command.arg(out);
        Ok((command, tool.display().to_string()))
    }

    fn javascript(&self, out: &Path) -> Result<(Command, String)> {
        if on_path("node").is_none() {
            bail!(
                "node is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm)"
            );
        }
        if !self.folder.join("node_modules/@bytecodealliance/componentize-js").is_dir() {
            bail!("componentize-js is missing: run `npm install` in {}", self.folder.display());
        }
        let mut command = clean(Path::new("node"), &self.folder);
        command.args(["--input-type=module", "-e", BUILD_JS, "./plugin.js", "wit"]).arg(out);
        Ok((command, "componentize-js".to_owned()))
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_file_and_cargos_is_left_to_cargo() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Project::find(folder.path()).unwrap().is_none());
        std::fs::write(folder.path().join("pyproject.toml"), "[project]\nname = \"a-b\"\n")
            .unwrap();
        let found = Project::find(folder.path()).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.language), ("a-b", Language::Python));
        std::fs::write(folder.path().join("package.json"), "{\"name\": \"../x\"}").unwrap();
        let error = format!("{:#}", Project::find(folder.path()).unwrap_err());
        assert!(error.contains("package.json"), "{error}");
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert!(Project::find(folder.path()).unwrap().is_none());
    }

    #[test]
    fn what_is_missing_is_said_with_the_command_that_installs_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), "{\"name\": \"a\"}").unwrap();
        let project = Project::find(folder.path()).unwrap().unwrap();
        let error = project.build(&folder.path().join("a.wasm")).unwrap_err().to_string();
        assert!(
            error.contains("npm install") || error.contains("apt-get install nodejs"),
            "{error}"
        );
    }
}
