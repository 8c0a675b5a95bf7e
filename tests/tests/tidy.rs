//! The tree's own rules: crates use those below them only, files stay short and say what they are for, the map is true.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest file, in lines; what is longer usually holds two things.
const LINES: usize = 420;
/// Files that a tool writes, of any length.
const GENERATED: &[&str] = &["plugin-sdk/src/guest/bindings.rs"];

/// Each crate of the host, from the ground up, and which of the others it may use. The compiler refuses circles; this
/// table refuses an arrow that nobody meant to draw.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("signing", &["model"]),
    ("settings", &["model", "signing"]),
    ("terminal", &["model"]),
    ("telemetry", &["model", "terminal"]),
    ("store", &["model"]),
    ("store-conformance", &["model", "store"]),
    ("store-embedded", &["model", "store"]),
    ("store-memory", &["model", "store"]),
    ("store-postgres", &["model", "store"]),
    ("egress", &["model", "settings", "signing"]),
    ("server", &["model", "settings"]),
    ("plugins", &["model"]),
    ("config", &["model", "settings", "signing"]),
    ("delivery", &["model", "settings", "signing", "store", "egress", "telemetry", "terminal"]),
    ("intake", &["model", "settings", "signing", "store", "server"]),
    ("routing", &["model", "store", "plugins", "telemetry"]),
    ("admin", &["model", "settings", "store", "server", "telemetry"]),
    ("author", &["model", "config", "plugins", "terminal"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    for part in ["host", "plugin-sdk", "plugins", "tests", "fuzz"] {
        if root.join(part).is_dir() {
            rust_files(&root.join(part), &mut files);
        }
    }
    assert!(files.len() > 50, "found only {} files: the walk is broken", files.len());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        (path.strip_prefix(&root).expect("below the root").display().to_string(), text)
    };
    files.into_iter().map(read).collect()
}

/// The packages of the workspace that a manifest's section names, without their `hookwright-`.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.strip_prefix("hookwright-"));
    let ends = |char: char| !char.is_alphanumeric() && char != '-';
    names.map(|name| name[..name.find(ends).unwrap_or(name.len())].to_owned()).collect()
}

/// Every manifest below `host/` but the binary's, by the crate's name.
fn manifests() -> BTreeMap<String, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() && !path.ends_with("src") {
                walk(&path, found);
            } else if path.ends_with("Cargo.toml") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                let name = text.lines().find_map(|line| line.strip_prefix("name = \"hookwright-"));
                if let Some(name) = name {
                    found.insert(name.trim_end_matches('"').to_owned(), text);
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join("host"), &mut found);
    found
}

#[test]
fn crates_use_what_the_table_says_and_the_table_points_downward() {
    let manifests = manifests();
    let mut wrong = Vec::new();
    for (at, (name, allowed)) in TABLE.iter().enumerate() {
        let below: BTreeSet<&str> = TABLE[..at].iter().map(|(name, _)| *name).collect();
        for target in allowed.iter().filter(|target| !below.contains(*target)) {
            wrong.push(format!("the table lets {name} use {target}, which comes later in it"));
        }
        let Some(manifest) = manifests.get(*name) else {
            wrong.push(format!("the table has {name}, and host/ has no such crate"));
            continue;
        };
        for used in dependencies(manifest, "[dependencies]") {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
        for unused in allowed.iter().filter(|to| !manifest.contains(&format!("hookwright-{to}."))) {
            wrong.push(format!("{name} may use {unused} and does not: take it out of the table"));
        }
    }
    for name in manifests.keys().filter(|name| !TABLE.iter().any(|(known, _)| known == name)) {
        wrong.push(format!("{name} has no line in the table of the tidy test"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") || first.len() < 12 {
            wrong.push(format!("{path}: the first line must say what the file is for (`//! …`)"));
        }
        let lines = text.lines().count();
        if lines > LINES && !GENERATED.contains(&path.as_str()) {
            wrong.push(format!("{path}: {lines} lines, more than {LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in parts, so that this file does not find itself.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore]"), concat!("X", "XX")];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_junk_drawers() {
    let junk = ["utils", "util", "common", "core", "misc", "helpers", "shared"];
    for (path, _) in sources() {
        for part in Path::new(&path).with_extension("").iter() {
            assert!(
                !junk.contains(&part.to_string_lossy().as_ref()),
                "{path}: `{part:?}` says nothing"
            );
        }
    }
}

/// What stands between backticks and begins with a folder of the workspace.
fn paths_named_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let folders = ["host/", "tests/", "plugin-sdk/", "plugins/", "wit/", "fuzz/", "docs/"];
    quoted.filter(|name| folders.iter().any(|folder| name.starts_with(folder))).collect()
}

#[test]
fn the_map_names_what_is_there() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a readable map");
    let named = paths_named_in(&map);
    assert!(named.len() > 40, "found only {} paths: the search is broken", named.len());
    let wrong: Vec<&str> = named.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(wrong.is_empty(), "ARCHITECTURE.md names what is not there: {wrong:?}");
}
