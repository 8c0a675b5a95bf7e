//! The tree's own rules: modules import downward only, files stay short and say what they are for.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest file, in lines; what is longer usually holds two things.
const LINES: usize = 420;

/// Each module's layer and what it may import, beside itself and, from layer 2
/// on, `model`, `clock` and `metrics`.
const TABLE: &[(&str, u8, &[&str])] = &[
    ("model", 0, &[]),
    ("clock", 0, &[]),
    ("metrics", 0, &[]),
    ("streams", 0, &[]),
    ("signing", 1, &["model"]),
    ("retry", 1, &["model"]),
    ("config", 1, &["model", "retry", "signing"]),
    ("tasks", 1, &["metrics"]),
    ("telemetry", 1, &["model", "metrics", "streams"]),
    ("replies", 1, &["model"]),
    ("traces", 1, &["model", "metrics"]),
    ("store", 2, &["telemetry"]),
    ("plugins", 2, &["telemetry"]),
    ("egress", 2, &["signing", "telemetry"]),
    ("server", 2, &["tasks"]),
    ("alerts", 2, &["signing"]),
    ("ingress", 3, &["server", "store", "signing", "replies", "tasks"]),
    ("routing", 3, &["store", "plugins", "replies", "tasks", "traces"]),
    ("delivery", 3, &["store", "signing", "retry", "egress", "tasks", "traces", "streams"]),
    ("retention", 3, &["store", "tasks"]),
    ("admin", 3, &["server", "store", "signing", "tasks", "telemetry"]),
    (
        "app",
        4,
        &[
            "config",
            "retry",
            "signing",
            "tasks",
            "replies",
            "store",
            "plugins",
            "egress",
            "server",
            "ingress",
            "routing",
            "delivery",
            "retention",
            "admin",
            "alerts",
            "telemetry",
            "traces",
        ],
    ),
    ("cli", 5, &["app", "config", "signing", "plugins", "telemetry", "streams"]),
    ("main", 6, &["cli"]),
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

/// The modules that a text names by `crate::`, leaving its comments out.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|char| char.is_alphanumeric() || matches!(char, '_' | '$')) {
            continue;
        }
        let rest = code[at + "crate::".len()..].trim_start();
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name.trim_start();
            let end = name.find(|char: char| !char.is_alphanumeric() && char != '_');
            found.insert(name[..end.unwrap_or(name.len())].to_owned());
        }
    }
    found.remove("");
    found
}

#[test]
fn modules_import_downward_only() {
    let table: BTreeMap<_, _> =
        TABLE.iter().map(|(name, layer, to)| (*name, (*layer, *to))).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(rest) = path.strip_prefix("host/src/") else { continue };
        let module = rest.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let Some((layer, allowed)) = table.get(module) else {
            wrong.push(format!("{path}: `{module}` has no line in the table of the tidy test"));
            continue;
        };
        for target in imports(&text) {
            let base = *layer >= 2 && matches!(target.as_str(), "model" | "clock" | "metrics");
            let known = table.contains_key(target.as_str());
            if known && target != module && !base && !allowed.contains(&target.as_str()) {
                wrong.push(format!("{path}: `{module}` must not import `{target}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_itself_points_downward() {
    let layers: BTreeMap<_, _> = TABLE.iter().map(|(name, layer, _)| (*name, *layer)).collect();
    for (name, layer, allowed) in TABLE {
        for target in *allowed {
            let same = matches!((*name, *target), ("config", "retry" | "signing"));
            assert!(
                layers[target] < *layer || same,
                "{name} imports {target} of its own layer or above"
            );
        }
    }
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
        if lines > LINES {
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
    let junk = ["utils", "util", "common", "core", "misc", "helpers"];
    for (path, _) in sources() {
        for part in Path::new(&path).with_extension("").iter() {
            assert!(
                !junk.contains(&part.to_string_lossy().as_ref()),
                "{path}: `{part:?}` says nothing"
            );
        }
    }
}
