//! Any environment over settings that are right: applied, or a mistake that names a variable that is set.
#![no_main]
use std::ffi::OsString;
use std::path::Path;

use hookwright_config::{Config, Place, Sources, sample};
use libfuzzer_sys::fuzz_target;

const PREFIX: &str = "HOOKWRIGHT__";

fuzz_target!(|input: Vec<(bool, String, String)>| {
    let named = |(ours, name, value): (bool, String, String)| {
        (if ours { format!("{PREFIX}{name}") } else { name }, OsString::from(value))
    };
    let sources = Sources { env: input.into_iter().map(named).collect(), ..Sources::none() };
    let ours = sources.env.keys().any(|name| name.starts_with(PREFIX));
    match Config::parse(Path::new("hookwright.toml"), sample().as_bytes(), &sources) {
        Ok(_) => {}
        Err(mistakes) => {
            assert!(ours && !mistakes.is_empty(), "the sample is right by itself: {mistakes}");
            for mistake in mistakes.iter() {
                let Place::Variable { variable } = &mistake.place else { continue };
                assert!(variable.starts_with(PREFIX) && sources.env.contains_key(variable));
            }
        }
    }
});
