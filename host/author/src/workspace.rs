//! Which packages of which cargo workspaces are plugins.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::program::{clean, output};

/// The plugins that one `cargo build` can make together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) plugins: Vec<Plugin>,
    pub(super) target: PathBuf,
    /// Whether the workspace has a profile `plugin` of its own.
    pub(super) has_profile: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plugin {
    /// The package's.
    pub(super) name: String,
    pub(super) manifest: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

impl Package {
    fn is_library(&self) -> bool {
        self.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
    }

    fn plugin(&self) -> Plugin {
        Plugin { name: self.name.clone(), manifest: self.manifest_path.clone() }
    }

    fn is_plugin(&self) -> bool {
        self.is_library() && self.dependencies.iter().any(|known| known.name == "hookwright-plugin")
    }
}

/// Groups the folders by workspace. A folder of a package stands for that
/// plugin, a workspace's own folder for all plugins in it.
///
/// # Errors
/// When a folder is not a cargo project, or has no plugin in it.
pub(super) fn group(cargo: &Path, folders: &[PathBuf]) -> Result<Vec<Workspace>> {
    let mut groups = BTreeMap::<PathBuf, Workspace>::new();
    for folder in folders {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest
            .canonicalize()
            .with_context(|| format!("{} is not a cargo project", folder.display()))?;
        let directory = manifest.parent().context("a file is in a folder")?;
        let metadata = read(cargo, directory)?;
        let has_profile = has_profile(&metadata.workspace_root)?;
        let plugins = choose(&metadata, &manifest, folder)?;
        let group = groups.entry(metadata.workspace_root.clone()).or_insert_with(|| Workspace {
            root: metadata.workspace_root,
            plugins: Vec::new(),
            target: metadata.target_directory.join("plugins"),
            has_profile,
        });
        group.plugins.extend(plugins);
    }
    Ok(groups.into_values().map(unique).collect())
}

fn unique(mut workspace: Workspace) -> Workspace {
    workspace.plugins.sort_unstable();
    workspace.plugins.dedup();
    workspace
}

fn read(cargo: &Path, directory: &Path) -> Result<Metadata> {
    let mut command = clean(cargo, directory);
    let text = output(command.args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo's answer to `metadata` is not as known")
}

fn choose(metadata: &Metadata, manifest: &Path, folder: &Path) -> Result<Vec<Plugin>> {
    let own = metadata.packages.iter().find(|package| package.manifest_path == manifest);
    let chosen: Vec<Plugin> = match own {
        Some(package) if package.is_library() => vec![package.plugin()],
        Some(package) => bail!(
            "{} is not a plugin: its Cargo.toml needs `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
            package.name
        ),
        None => {
            let plugins = metadata.packages.iter().filter(|package| package.is_plugin());
            plugins.map(Package::plugin).collect()
        }
    };
    if chosen.is_empty() {
        bail!(
            "no plugin in {}: none of its packages depends on hookwright-plugin",
            folder.display()
        );
    }
    Ok(chosen)
}

fn has_profile(root: &Path) -> Result<bool> {
    let path = root.join("Cargo.toml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let manifest: toml::Table =
        text.parse().with_context(|| format!("can't read {}", path.display()))?;
    Ok(manifest.get("profile").is_some_and(|profiles| profiles.get("plugin").is_some()))
}
