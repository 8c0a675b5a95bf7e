//! The SDK as it travels in this binary, made to stand alone in a new project.
use anyhow::{Context as _, Result};
use toml::{Table, Value};

/// The SDK's package.
pub(super) const NAME: &str = "hookwright-plugin";

const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Files of the SDK that are written as they are.
macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../plugin-sdk/", $path)))),*]
    };
}

const MANIFESTS: [(&str, &str); 2] = embed!["Cargo.toml", "macros/Cargo.toml"];

const SOURCES: [(&str, &str); 28] = embed![
    "README.md",
    "macros/src/lib.rs",
    "src/arena.rs",
    "src/conditions/mod.rs",
    "src/conditions/test.rs",
    "src/conditions/value.rs",
    "src/error.rs",
    "src/event.rs",
    "src/fields.rs",
    "src/guest.rs",
    "src/guest/bindings.rs",
    "src/http/double.rs",
    "src/http/mod.rs",
    "src/json/document.rs",
    "src/json/editor.rs",
    "src/json/mod.rs",
    "src/json/pointer.rs",
    "src/json/scan.rs",
    "src/kv/double.rs",
    "src/kv/mod.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/plugin.rs",
    "src/responder.rs",
    "src/settings.rs",
    "src/testing.rs",
    "src/verdict.rs",
    "wit/v0.1/types.wit",
];

/// Each file's path inside the SDK's folder, and its text.
///
/// # Errors
/// When a manifest is not as known: a fault of the build that a test finds.
pub(super) fn files() -> Result<Vec<(&'static str, String)>> {
    let mut files: Vec<_> =
        SOURCES.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    for (path, text) in MANIFESTS {
        files.push((path, alone(text).with_context(|| format!("the SDK's {path}"))?));
    }
    Ok(files)
}

/// A manifest with all that it takes from the workspace written out.
fn alone(manifest: &str) -> Result<String> {
    let workspace: Table = WORKSPACE.parse()?;
    let workspace = workspace.get("workspace").and_then(Value::as_table).context("no workspace")?;
    let section = |name| workspace.get(name).and_then(Value::as_table).context("no such section");
    let mut manifest: Table = manifest.parse()?;
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    for (name, value) in &mut manifest {
        match name.as_str() {
            "package" => inherit(value, section("package")?)?,
            "dependencies" => inherit(value, section("dependencies")?)?,
            "target" => {
                for (_, target) in value.as_table_mut().context("no table")? {
                    let known = target.get_mut("dependencies").context("no dependencies")?;
                    inherit(known, section("dependencies")?)?;
                }
            }
            _ => {}
        }
    }
    let note = "# Written by `hookwright plugin new`, from the SDK inside the binary.\n";
    Ok(format!("{note}{}", toml::to_string(&manifest)?))
}

fn inherit(table: &mut Value, known: &Table) -> Result<()> {
    for (name, value) in table.as_table_mut().context("no table")? {
        if value.get("workspace").is_some() {
            *value = known.get(name).with_context(|| format!("no `{name}`"))?.clone();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn the_embedded_sdk_is_complete() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk");
        let mut there = Vec::new();
        walk(&root, &root, &mut there);
        there.retain(|path| !path.starts_with("tests/"));
        there.sort_unstable();
        let mut embedded: Vec<_> = files().unwrap().into_iter().map(|(path, _)| path).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, there);
    }

    #[test]
    fn a_manifest_stands_alone() {
        let files = files().unwrap();
        let (_, text) = files.iter().find(|(path, _)| *path == "Cargo.toml").unwrap();
        let manifest: Table = text.parse().unwrap();
        assert!(!text.contains("workspace = true"), "{text}");
        assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
        let bindgen =
            &manifest["target"]["cfg(target_arch = \"wasm32\")"]["dependencies"]["wit-bindgen"];
        assert!(bindgen["version"].is_str());
    }
}
