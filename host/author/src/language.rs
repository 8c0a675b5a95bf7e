//! Plugins in other languages than Rust: which a project is in, and what makes a component of it.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::contract::WORLD;
use super::program::{clean, node_is_there, on_path};
use super::{c, typescript};

/// The versions that this Hookwright is tested with; a project may pin another.
pub(super) const COMPONENTIZE_PY: &str = "0.25.1";
pub(super) const COMPONENTIZE_JS: &str = "0.23.0";

/// Asks componentize-js for a component without WASI.
const BUILD_JS: &str = include_str!("../templates/js/build.mjs");

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    /// JavaScript, by componentize-js
    Js,
    /// TypeScript, by tsc and componentize-js
    Ts,
    /// Python, by componentize-py
    Python,
    /// C, by clang
    C,
}

/// What makes a component of a project that is not cargo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    ComponentizeJs,
    /// The TypeScript compiler, then componentize-js.
    Tsc,
    ComponentizePy,
    Clang,
}

/// The one file that tells a project's tool and holds its name; beside package.json a plugin.ts
/// tells JavaScript and TypeScript apart.
const MARKS: [(&str, Tool); 3] = [
    ("package.json", Tool::ComponentizeJs),
    ("pyproject.toml", Tool::ComponentizePy),
    ("plugin.toml", Tool::Clang),
];

/// A project that is not cargo's.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) name: String,
    folder: PathBuf,
    tool: Tool,
    /// One of the contract's worlds: what the plugin may import.
    world: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct OfHookwright {
    world: Option<String>,
}

#[derive(Deserialize)]
struct PackageJson {
    name: String,
    hookwright: Option<OfHookwright>,
}

#[derive(Deserialize)]
struct PyProject {
    project: Named,
    tool: Option<PyTools>,
}

#[derive(Deserialize)]
struct PyTools {
    hookwright: Option<OfHookwright>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginToml {
    name: String,
    world: Option<String>,
}

/// Name and world, as the project's file tells them.
fn read(tool: Tool, text: &str) -> Result<(String, Option<String>)> {
    let world = |of: Option<OfHookwright>| of.and_then(|of| of.world);
    Ok(match tool {
        Tool::ComponentizePy => {
            let all: PyProject = toml::from_str(text)?;
            (all.project.name, world(all.tool.and_then(|tool| tool.hookwright)))
        }
        Tool::Clang => {
            let all: PluginToml = toml::from_str(text)?;
            (all.name, all.world)
        }
        Tool::ComponentizeJs | Tool::Tsc => {
            let all: PackageJson = serde_json::from_str(text)?;
            (all.name, world(all.hookwright))
        }
    })
}

impl Project {
    /// The project in the folder; none where the folder holds a cargo project, or no project.
    ///
    /// # Errors
    /// Where the project's file has no name, or one that a plugin can't have.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        if folder.join("Cargo.toml").is_file() {
            return Ok(None);
        }
        let mark = MARKS.iter().find(|(file, _)| folder.join(file).is_file());
        let Some((file, tool)) = mark else { return Ok(None) };
        let typed = *tool == Tool::ComponentizeJs && folder.join(typescript::SOURCE).is_file();
        let tool = if typed { Tool::Tsc } else { *tool };
        let path = folder.join(file);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {shown}"))?;
        let (name, world) = read(tool, &text).with_context(|| shown.to_string())?;
        let name: hookwright_model::Name =
            name.parse().with_context(|| format!("the name in {shown}"))?;
        Ok(Some(Self {
            name: name.to_string(),
            folder: folder.canonicalize()?,
            tool,
            world: world.unwrap_or_else(|| WORLD.to_owned()),
        }))
    }

    /// Makes the component, or a module of which one can be made; answers which tool it was.
    ///
    /// # Errors
    /// When the tool is missing, with the command that installs it, or when it fails.
    pub(super) fn build(&self, out: &Path) -> Result<String> {
        let (mut command, tool) = match self.tool {
            Tool::ComponentizeJs => self.javascript("./plugin.js", out)?,
            Tool::Tsc => {
                let module = typescript::compile(&self.folder, &self.world)?;
                self.javascript(&module, out)?
            }
            Tool::ComponentizePy => self.python(out)?,
            Tool::Clang => c::compiler(&self.folder, &self.world, out)?,
        };
        let done = command.status().with_context(|| format!("can't run {tool}"))?;
        if !done.success() {
            bail!("{tool} makes no component of {}; see above", self.name);
        }
        Ok(if self.tool == Tool::Tsc { format!("tsc and {tool}") } else { tool })
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
        command.args(["-d", "wit", "-w", &self.world]);
        command.args(["componentize", "--stub-wasi", "plugin", "-o"]).arg(out);
        Ok((command, tool.display().to_string()))
    }

    fn javascript(&self, module: &str, out: &Path) -> Result<(Command, String)> {
        node_is_there()?;
        if !self.folder.join("node_modules/@bytecodealliance/componentize-js").is_dir() {
            bail!("componentize-js is missing: run `npm install` in {}", self.folder.display());
        }
        let mut command = clean(Path::new("node"), &self.folder);
        let arguments = ["--input-type=module", "-e", BUILD_JS, module, "wit", &self.world];
        command.args(arguments).arg(out);
        Ok((command, "componentize-js".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_file_and_cargos_is_left_to_cargo() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        let found = || Project::find(folder.path());
        assert!(found().unwrap().is_none());
        write("plugin.toml", "name = \"in-c\"\nworld = \"plugin-kv\"\n");
        let project = found().unwrap().unwrap();
        assert_eq!((project.name.as_str(), project.tool), ("in-c", Tool::Clang));
        assert_eq!(project.world, "plugin-kv");
        write("pyproject.toml", "[project]\nname = \"a-b\"\n[tool.hookwright]\nworld = \"w\"\n");
        let project = found().unwrap().unwrap();
        assert_eq!((project.name.as_str(), project.tool), ("a-b", Tool::ComponentizePy));
        assert_eq!(project.world, "w");
        write("package.json", "{\"name\": \"a\"}");
        assert_eq!(found().unwrap().unwrap().world, WORLD);
        assert_eq!(found().unwrap().unwrap().tool, Tool::ComponentizeJs);
        write("plugin.ts", "");
        assert_eq!(found().unwrap().unwrap().tool, Tool::Tsc);
        write("package.json", "{\"name\": \"../x\"}");
        let error = format!("{:#}", found().unwrap_err());
        assert!(error.contains("package.json"), "{error}");
        write("Cargo.toml", "");
        assert!(found().unwrap().is_none());
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
