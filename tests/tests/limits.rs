//! The page on limits: each default is the code's, each setting exists, each status is one that the host answers.
use std::collections::BTreeMap;
use std::path::Path;

use hookwright_plugins::limits;

fn page(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").map(str::trim).collect())
}

/// The default of each setting by its whole path, from the reference that the code makes.
fn defaults() -> BTreeMap<String, String> {
    let reference = hookwright_config::reference();
    let (mut section, mut found) = (String::new(), BTreeMap::new());
    for line in reference.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches(['`', '[', ']']).to_owned();
        } else if let Some([key, _, default, ..]) = cells(line).as_deref()
            && let Some(key) = key.strip_prefix('`')
        {
            let path = format!("{section}.{}", key.trim_end_matches('`'));
            found.insert(path, (*default).to_owned());
        }
    }
    assert!(found.len() > 80, "only {} settings were found", found.len());
    found
}

/// A number with its unit as either page writes it: `30 s` and `"30s"`, `10,000` and `10000`.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '`' | '"' | ',' | ' ')).collect()
}

/// What stands before the first comma that parts two values.
fn first(text: &str) -> &str {
    text.split(", ").next().unwrap_or_default()
}

fn rows() -> Vec<(String, String, String, String)> {
    let text = page("docs/limits.md");
    let rows = text.lines().filter_map(cells).filter_map(|cells| match cells.as_slice() {
        [what, default, setting, beyond] if *what != "limit" && !what.starts_with("---") => {
            Some([*what, *default, *setting, *beyond].map(str::to_owned).into())
        }
        _ => None,
    });
    rows.collect()
}

/// Settings of the page are written in backticks, by their last keys.
fn named(setting: &str) -> Vec<&str> {
    setting.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_setting_exists_and_has_the_default_that_the_page_says() {
    let defaults = defaults();
    let find = |name: &str| {
        let behind = format!(".{name}");
        let mut all = defaults.iter().filter(|(path, _)| *path == name || path.ends_with(&behind));
        all.next().map(|(_, default)| default.clone())
    };
    // Of a list's query, and whole sections.
    let others = ["limit", "quarantine", "timeouts"];
    let mut compared = 0;
    for (what, default, setting, _) in rows() {
        for (place, name) in named(&setting).into_iter().enumerate() {
            let Some(own) = find(name) else {
                assert!(others.contains(&name), "{what}: there is no setting `{name}`");
                continue;
            };
            let told = plain(first(&default));
            if place == 0 && told.starts_with(|c: char| c.is_ascii_digit()) {
                let own = plain(&own);
                if own.starts_with(|c: char| c.is_ascii_digit()) {
                    assert_eq!(told, own, "{what}: the default of `{name}`");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 15, "only {compared} defaults could be compared");
}

#[test]
fn each_status_is_one_that_the_host_answers() {
    let errors = hookwright_server::reference();
    let mut seen = 0;
    for (what, _, _, beyond) in rows() {
        for word in beyond.split([' ', ',', ';']) {
            let status = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
            // hyper answers a 431 by itself, before there is a request.
            if status && word != "431" {
                assert!(
                    errors.contains(&format!("Status {word};")),
                    "{what}: no error is a {word}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "only {seen} statuses were seen");
}

#[test]
fn what_no_setting_changes_is_as_the_code_has_it() {
    let rows = rows();
    let default = |what: &str| {
        let row = rows.iter().find(|row| row.0.starts_with(what));
        row.unwrap_or_else(|| panic!("the page has no limit `{what}`")).1.clone()
    };
    let grouped = |number: u64| match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    };
    for (what, number) in [
        ("JSON pointers in one lookup", limits::POINTERS as u64),
        ("deliveries of a verdict", limits::DELIVERIES as u64),
        ("keys that a call writes to", limits::STATE_WRITES as u64),
        ("trace spans that wait", hookwright_telemetry::traces::WAITING as u64),
        ("bytes of `tracestate`", hookwright_model::trace::TRACESTATE_BYTES as u64),
    ] {
        assert_eq!(default(what), grouped(number), "{what}");
    }
    let calls = format!("{} each", grouped(u64::from(limits::HOST_CALLS)));
    assert_eq!(default("calls into the host; prints by WASI"), calls);
    let answer = hookwright_telemetry::traces::ANSWER_BYTES >> 10;
    assert_eq!(default("bytes of a collector's response"), format!("{answer} KiB"));
    assert_eq!(default("`init`"), format!("{} s", limits::INIT_TIME.as_secs()));
    assert_eq!(default("size of a component"), format!("{} MiB", limits::COMPONENT_BYTES >> 20));
    let keys = grouped(limits::STATE_KEYS as u64);
    let state = format!("{keys}; {} MiB", limits::STATE_BYTES >> 20);
    assert_eq!(default("keys, bytes of a plugin's state"), state);
    let (key, value) = (limits::STATE_KEY, limits::STATE_VALUE >> 10);
    assert_eq!(default("a key, a value of the state"), format!("{key} B; {value} KiB"));
    let log = default("log of a call");
    assert!(log.ends_with(&format!("{} lines", limits::LOG_LINES)), "{log}");
    let clock = default("wall-clock time of a call");
    assert_eq!(clock, format!("{} times that", limits::WALL_FACTOR));
}
