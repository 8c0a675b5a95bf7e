//! The settings out of any bytes: sound, and fit for each other; or mistakes with place and cure, fit for a terminal.
#![no_main]

use std::path::Path;

use hookwright_config::{Config, Excerpt, Mistake, Place, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let mistakes = match Config::parse(Path::new("hookwright.toml"), bytes, &Sources::none()) {
        Ok(config) => {
            check(&config);
            config.warnings
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            mistakes
        }
    };
    mistakes.iter().for_each(|mistake| placed(mistake, lines));
    assert!(mistakes.render(true).lines().count() >= mistakes.len());
    assert!(serde_json::to_value(&mistakes).is_ok_and(|json| json.is_array()));
});

/// What other parts take for granted.
fn check(config: &Config) {
    for source in config.sources.values() {
        assert!(source.plugins.iter().all(|name| config.plugins.contains_key(name)));
        assert!(source.destinations.iter().all(|name| config.destinations.contains_key(name)));
        let rates = [source.endpoint.rate_per_address, source.endpoint.source.rate];
        assert!(rates.into_iter().flatten().all(|rate| rate.per_second() > 0.0));
    }
    for destination in config.destinations.values() {
        assert!(destination.in_flight > 0);
        assert!(destination.to.post().is_none_or(|post| !post.timeout.is_zero()));
        let policy = &destination.policy;
        assert!(policy.attempts > 0 && policy.base <= policy.cap);
    }
    for plugin in config.plugins.values() {
        type Object = serde_json::Map<String, serde_json::Value>;
        assert!(
            serde_json::from_str::<Object>(&plugin.spec.config_json).is_ok(),
            "{:?}",
            plugin.spec
        );
        let path = plugin.spec.file.as_path();
        assert_eq!(path.file_name(), Some(path.as_os_str()), "a plain name");
    }
    assert!(config.admin.token.is_some() || config.admin.listen.ip().is_loopback());
}

fn placed(mistake: &Mistake, lines: usize) {
    let Mistake { place, key, message, help } = mistake;
    assert!(!message.is_empty() && !help.is_empty());
    assert!(!key.contains(char::is_control) && !message.contains(char::is_control), "{mistake:?}");
    match place {
        Place::Line { line, column, excerpt, .. } => {
            assert!((1..=lines).contains(line) && *column > 0, "{mistake:?}");
            excerpt.iter().for_each(shown);
        }
        Place::File { .. } => {}
        Place::Variable { .. } => panic!("there are no variables: {mistake:?}"),
    }
}

fn shown(excerpt: &Excerpt) {
    let Excerpt { line, start, width } = excerpt;
    assert!(!line.contains(|char: char| char.is_control() && char != '\t'), "{line:?}");
    // One past the end is where something is missing.
    assert!(*width > 0 && start + width <= line.chars().count() + 1, "{excerpt:?}");
}
