//! `hookwright plugin new`: a project that builds and passes its test at once.
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::sdk;
use crate::model::Name;

const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../../../templates/rust/lib.rs.template")),
    ("README.md", include_str!("../../../templates/rust/README.md.template")),
    ("cases/push.toml", include_str!("../../../templates/rust/push.toml.template")),
    ("cases/star.toml", include_str!("../../../templates/rust/star.toml.template")),
    (".gitignore", include_str!("../../../templates/rust/gitignore.template")),
];

/// Begins a plugin in Rust: a project with the SDK in it, that builds and passes its test at once.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NewArgs {
    /// The plugin's name: a-z, 0-9, `-` and `_`, first a letter
    pub name: String,

    /// The project's folder, new or empty; the plugin's name in this folder otherwise
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Writes the project and says what to do next.
///
/// # Errors
/// When the name can't be a plugin's, the folder is not empty, or a file can't be written.
pub(super) fn run(args: &NewArgs) -> Result<()> {
    let name: Name = args.name.parse()?;
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        bail!("`{name}` can't be a Rust package: begin with a letter");
    }
    if name.as_str() == sdk::NAME {
        bail!("`{name}` is the SDK's own name: take another");
    }
    let folder = args.dir.clone().unwrap_or_else(|| name.as_str().into());
    if fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
        bail!("{} is not empty: name another folder with --dir", folder.display());
    }
    for (path, text) in FILES {
        let text = text.replace("{{name}}", &name).replace("{{crate}}", &name.replace('-', "_"));
        write(&folder.join(path), &text)?;
    }
    for (path, text) in sdk::files()? {
        write(&folder.join("vendor").join(sdk::NAME).join(path), &text)?;
    }
    let folder = folder.display();
    writeln!(
        std::io::stdout(),
        "{folder} is ready. Next:\n  cd {folder}\n  cargo test\n  hookwright plugin build\n  hookwright plugin test"
    )?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, dir: &Path) -> NewArgs {
        NewArgs { name: name.into(), dir: Some(dir.to_owned()) }
    }

    #[test]
    fn the_project_is_whole_and_named() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a");
        run(&args("only-pushes", &folder)).unwrap();
        let manifest: toml::Table =
            fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("only-pushes"));
        for file in ["src/lib.rs", "README.md", ".gitignore", "vendor/hookwright-plugin/Cargo.toml"]
        {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(!text.contains("{{name}}") && !text.contains("{{crate}}"), "{file}");
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("mine"), "x").unwrap();
        let error = run(&args("a", home.path())).unwrap_err().to_string();
        assert!(error.contains("--dir"), "{error}");
        assert!(run(&args("../a", &home.path().join("b"))).is_err());
        assert!(run(&args("1a", &home.path().join("b"))).is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
