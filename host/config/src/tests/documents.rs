//! The pages made from the settings are what the code says, and the sample is right.
use std::path::Path;

use super::super::{reference, sample};
use super::{STANDARD, good, parse_with, sources};

/// `UPDATE_DOCS=1` writes the page anew.
#[test]
fn docs_settings_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let made = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs")).expect("writable");
        std::fs::write(&path, &made).expect("writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/settings.md is old: run `UPDATE_DOCS=1 cargo test -p hookwright docs_settings`"
    );
}

#[test]
fn the_reference_knows_every_kind_of_section() {
    let page = reference();
    for part in [
        "| `shutdown` | duration, `0s` to `10m` | `\"20s\"` |",
        "## `[ingress.tls]`",
        "## `[sources.NAME.verify]`",
        "`HOOKWRIGHT__DESTINATIONS__NAME__RETRY__BASE` and so on",
        "| `url` | URL | required |",
        "| `plugins` | list of plugin name | `[]` |",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn the_sample_is_right_as_it_stands() {
    let config = good(sample());
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!(config.sources.len(), 1);
}

#[test]
fn the_sample_is_right_with_all_of_it_switched_on() {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = sample().lines().map(on).collect();
    let env =
        [("HOOKWRIGHT_ADMIN_TOKEN", "t"), ("GITHUB_SECRET", "s"), ("CI_AUTHORIZATION", "Bearer x")];
    let files =
        [("/etc/hw/cert.pem", "c"), ("/etc/hw/key.pem", "k"), ("/etc/hw/ci.secret", STANDARD)];
    let config = parse_with(&text, &sources(&env, &files)).unwrap_or_else(|all| panic!("{all}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    assert_eq!((config.sources.len(), config.plugins.len()), (2, 1));
}
