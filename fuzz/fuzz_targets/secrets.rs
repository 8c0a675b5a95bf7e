//! A secret in the settings, whatever stands around it: no mistake, no warning and no `Debug` shows it.
#![no_main]
use std::path::Path;

use hookwright_config::{Config, Mistakes, Sources};
use libfuzzer_sys::fuzz_target;

const HIDDEN: &str = "HUNTER2HUNTER2";

fuzz_target!(|input: (&str, &str)| {
    let (before, after) = input;
    // A text that is no TOML by itself could make the secret a part of
    // something else, an address to listen on for example.
    if parse(before).is_err_and(|mistakes| is_syntax(&mistakes)) {
        return;
    }
    if before.contains(HIDDEN) || after.contains(HIDDEN) {
        return;
    }
    let table = "[sources.s]\nverify = { secrets = [\"dangerous_plain:";
    let shown = match parse(&format!("{before}\n{table}{HIDDEN}\"{after}")) {
        Ok(config) => format!("{config:?}{}", config.warnings),
        Err(mistakes) => {
            let json = serde_json::to_string(&mistakes).expect("mistakes are JSON");
            format!("{mistakes:?}{mistakes}{json}")
        }
    };
    assert!(!shown.contains(HIDDEN), "{shown}");
});

fn parse(text: &str) -> Result<Config, Mistakes> {
    Config::parse(Path::new("hookwright.toml"), text.as_bytes(), &Sources::none())
}

fn is_syntax(mistakes: &Mistakes) -> bool {
    mistakes.iter().any(|mistake| mistake.message.starts_with("syntax: "))
}
