//! Durations out of any text: refused with a cure, or number times unit, exactly.
#![no_main]
use std::time::Duration;

use hookwright_config::parse_duration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match parse_duration(text) {
    Ok(value) => {
        let text = text.trim();
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0));
        let number: u128 = digits.parse().expect("only digits stand before the unit");
        assert_eq!(value.as_micros(), number * micros(unit.trim()));
        assert_eq!(parse_duration(&format!("{}us", value.as_micros())), Ok(value));
    }
    Err(message) => {
        assert!(message.contains("; write "), "no cure: {message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
});

fn micros(unit: &str) -> u128 {
    let seconds = |count| Duration::from_secs(count).as_micros();
    match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        other => panic!("`{other}` is no unit"),
    }
}
