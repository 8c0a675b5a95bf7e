//! Times as people write them: `250ms`, `30s`, `5m`, `1h`, `2d`.
use std::time::Duration;

use hookwright_plugin::ConfigError;

pub(crate) fn parse(text: &str) -> Result<Duration, ConfigError> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let millis: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    match number.zip(millis).and_then(|(number, millis)| number.checked_mul(millis)) {
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(ConfigError::at(
            "",
            format!("`{text}` is no time: write `250ms`, `30s`, `5m`, `1h`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(parse("5m").unwrap(), Duration::from_secs(300));
        for text in
            ["", "5", "m", "-1s", "1.5h", "5 m", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
