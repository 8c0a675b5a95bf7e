//! `hookwright plugin new`: a project that builds and passes its test at once.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::contract::{CONTRACT, WORLD};
use super::language::{COMPONENTIZE_JS, COMPONENTIZE_PY, Language};
use super::{c, sdk, typescript};
use hookwright_model::Name;

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../templates/", $path, ".template"))
    };
}

const RUST: [(&str, &str); 4] = [
    ("Cargo.toml", template!("rust/Cargo.toml")),
    ("src/lib.rs", template!("rust/lib.rs")),
    ("README.md", template!("rust/README.md")),
    (".gitignore", template!("rust/gitignore")),
];
const JS: [(&str, &str); 5] = [
    ("package.json", template!("js/package.json")),
    ("plugin.js", template!("js/plugin.js")),
    ("README.md", template!("js/README.md")),
    (".gitignore", template!("js/gitignore")),
    ("cases/defaults.toml", template!("cases/slow.toml")),
];
const TS: [(&str, &str); 6] = [
    ("package.json", template!("ts/package.json")),
    ("tsconfig.json", template!("ts/tsconfig.json")),
    ("plugin.ts", template!("ts/plugin.ts")),
    ("README.md", template!("ts/README.md")),
    (".gitignore", template!("ts/gitignore")),
    ("cases/defaults.toml", template!("cases/slow.toml")),
];
const PYTHON: [(&str, &str); 5] = [
    ("pyproject.toml", template!("python/pyproject.toml")),
    ("plugin.py", template!("python/plugin.py")),
    ("README.md", template!("python/README.md")),
    (".gitignore", template!("python/gitignore")),
    ("cases/defaults.toml", template!("cases/slow.toml")),
];
const C: [(&str, &str); 4] = [
    ("plugin.toml", template!("c/plugin.toml")),
    ("plugin.c", template!("c/plugin.c")),
    ("README.md", template!("c/README.md")),
    (".gitignore", template!("c/gitignore")),
];
/// The same in every language: what the plugin is to do.
const CASES: [(&str, &str); 2] = [
    ("cases/push.toml", template!("cases/push.toml")),
    ("cases/star.toml", template!("cases/star.toml")),
];

/// Begins a plugin: a project that builds and passes its cases at once. In Rust it has the SDK in it.
#[derive(Debug, Clone, clap::Args)]
pub struct NewArgs {
    /// The plugin's name: a-z, 0-9, `-` and `_`, first a letter
    pub name: String,

    /// The project's folder, new or empty; the plugin's name in this folder otherwise
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// What it is written in
    #[arg(long, value_enum, default_value = "rust")]
    pub lang: Language,
}

/// Writes the project and says what to do next.
///
/// # Errors
/// When the name can't be a plugin's, the folder is not empty, or a file can't be written.
pub(super) fn run(args: &NewArgs) -> Result<()> {
    let name: Name = args.name.parse()?;
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        bail!("`{name}` can't be a package: begin with a letter");
    }
    if name.as_str() == sdk::NAME {
        bail!("`{name}` is the SDK's own name: take another");
    }
    let folder = args.dir.clone().unwrap_or_else(|| name.as_str().into());
    if fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
        bail!("{} is not empty: name another folder with --dir", folder.display());
    }
    let (files, componentize, first): (&[(&str, &str)], _, _) = match args.lang {
        Language::Rust => (&RUST, "", "cargo test".to_owned()),
        Language::Js => (&JS, COMPONENTIZE_JS, "npm install".to_owned()),
        Language::Ts => (&TS, COMPONENTIZE_JS, "npm install".to_owned()),
        Language::Python => {
            let pip = format!(".venv/bin/pip install componentize-py=={COMPONENTIZE_PY}");
            (&PYTHON, COMPONENTIZE_PY, format!("python3 -m venv .venv && {pip}"))
        }
        Language::C => (&C, "", c::INSTALL.to_owned()),
    };
    for (path, text) in files.iter().chain(&CASES) {
        let text = text.replace("{{name}}", &name).replace("{{crate}}", &name.replace('-', "_"));
        let text = text.replace("{{componentize}}", componentize);
        write(&folder.join(path), &text.replace("{{typescript}}", typescript::TYPESCRIPT))?;
    }
    if args.lang == Language::Rust {
        for (path, text) in sdk::files()? {
            write(&folder.join("vendor").join(sdk::NAME).join(path), &text)?;
        }
    } else {
        write(&folder.join("wit/types.wit"), CONTRACT)?;
    }
    // So that an editor knows the names before the first build.
    match args.lang {
        Language::C => c::bindings(&folder, WORLD)?,
        Language::Ts => typescript::bindings(&folder, WORLD)?,
        Language::Rust | Language::Js | Language::Python => {}
    }
    let folder = folder.display();
    hookwright_terminal::print(&format!(
        "{folder} is ready. Next:\n  cd {folder}\n  {first}\n  hookwright plugin build\n  hookwright plugin test\n"
    ));
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
        NewArgs { name: name.into(), dir: Some(dir.to_owned()), lang: Language::Rust }
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
    fn other_languages_get_the_contract_and_the_same_cases() {
        let home = tempfile::tempdir().unwrap();
        let all = [
            (Language::Js, "package.json"),
            (Language::Ts, "bindings/plugin.d.ts"),
            (Language::Python, "plugin.py"),
            (Language::C, "bindings/plugin.h"),
        ];
        for (lang, file) in all {
            let folder = home.path().join(file);
            run(&NewArgs { lang, ..args("only-pushes", &folder) }).unwrap();
            for file in [file, "README.md", "wit/types.wit", "cases/push.toml", ".gitignore"] {
                let text = fs::read_to_string(folder.join(file)).unwrap();
                assert!(!text.contains("{{"), "{file}: {text}");
            }
            let project = crate::language::Project::find(&folder).unwrap().unwrap();
            assert_eq!(project.name, "only-pushes");
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
