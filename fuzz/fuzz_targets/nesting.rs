//! Settings that nest in every way that TOML has, one inside the other: read or refused, without the stack running out.
#![no_main]
use std::path::Path;

use hookwright_config::{Config, Sources};
use libfuzzer_sys::fuzz_target;

/// Bytes of one text: far below the largest settings file.
const LONGEST: usize = 64 * 1024;

fuzz_target!(|input: (u8, Vec<(bool, u8)>)| {
    let (header, levels) = input;
    let mut text = format!("[{}]\na = ", dotted("plugins.p.config", header));
    let mut closing = Vec::new();
    for (list, keys) in levels {
        if text.len() + closing.len() * 2 > LONGEST {
            break;
        }
        if list {
            text.push('[');
            closing.push("]");
        } else {
            text.push_str(&format!("{{ {} = ", dotted("a", keys)));
            closing.push(" }");
        }
    }
    text.push('1');
    text.extend(closing.into_iter().rev());
    let read = Config::parse(Path::new("hookwright.toml"), text.as_bytes(), &Sources::none());
    if let Err(mistakes) = read {
        assert!(!mistakes.is_empty() && !mistakes.to_string().is_empty());
    }
});

/// The key with so many more below it.
fn dotted(key: &str, more: u8) -> String {
    format!("{key}{}", ".a".repeat(usize::from(more)))
}
