//! Values with a unit: durations, sizes and rates, parsed and printed.
use std::num::NonZeroU32;
use std::time::Duration;

use hookwright_model::{RATE_UNITS, Rate, Share};

/// Why a text is no such value, and what to write instead. Neither shows more
/// than the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Largest first; microseconds.
const DURATIONS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Bytes, largest first.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A duration with its unit, `24h` for example, for the commands' own arguments.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|fault| format!("{}; {}", fault.message, fault.help))
}

/// A size with its unit, `1MiB` for example, for the commands' own files.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    size(text).map_err(|fault| format!("{}; {}", fault.message, fault.help))
}

/// `250ms`, `10s`, `5m`, `24h`, `30d`, down to `us`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let micros = scaled(text, "10s", &DURATIONS)?;
    Ok(Duration::from_micros(micros))
}

/// Bytes: `16KiB`, `1MiB`, `1GiB`, or decimal `kB`, `MB`, `GB`, or `B`.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    scaled(text, "1MiB", &SIZES)
}

/// Bytes of what is held in memory: sizes of the settings are far below what a machine can address.
pub(super) fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// `0%` to `100%`, whole.
pub(super) fn percent(text: &str) -> Result<u32, Fault> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    number.filter(|number| *number <= 100).ok_or_else(|| {
        Fault::new(format!("{} is no percentage", quote(text)), "write a whole one, as in `50%`")
    })
}

/// Decimals of a percentage that is a [`Share`].
const DECIMALS: usize = 6;

/// `0%` to `100%`, with up to six decimals, or the same as a part of one: `0.001` is `0.1%`.
pub(super) fn share(text: &str) -> Result<Share, Fault> {
    let millionths = match text.strip_suffix('%') {
        Some(number) => decimal(number.trim(), DECIMALS),
        // `1` may mean either.
        None if text.contains('.') => decimal(text.trim(), DECIMALS + 2),
        None => {
            let message = format!("{} has no unit", quote(text));
            return Err(Fault::new(message, "write it with `%`, as in `5%` or `0.1%`"));
        }
    };
    millionths.and_then(Share::new).ok_or_else(|| {
        let help = "write a percentage with at most six decimals, as in `5%` or `0.1%`, or a number from 0.0 to 1.0";
        Fault::new(format!("{} is no share", quote(text)), help)
    })
}

/// The number times ten to the power of `places`; none where it has more decimals.
fn decimal(text: &str, places: usize) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fine = fraction.trim_end_matches('0');
    if !digits(whole) || !digits(fraction) || fine.len() > places {
        return None;
    }
    format!("{whole}{fine:0<places$}").parse().ok()
}

/// `50/s`, `3000/m`, `10/h`, `500/d`.
pub(super) fn rate(text: &str) -> Result<Rate, Fault> {
    let help = "write a rate as `50/s`, `3000/m`, `10/h` or `500/d`";
    let wrong = |what: &str| Fault::new(format!("{} {what}", quote(text)), help);
    let (count, per) = text.split_once('/').ok_or_else(|| wrong("has no `/s`"))?;
    let count: u32 = count.trim().parse().map_err(|_| wrong("is no rate"))?;
    let unit = RATE_UNITS.iter().find(|(name, _)| *name == per.trim());
    let (_, seconds) = unit.ok_or_else(|| wrong("has an unknown unit of time"))?;
    let count = NonZeroU32::new(count).ok_or_else(|| wrong("lets nothing through"))?;
    Ok(Rate { count, per: Duration::from_secs(*seconds) })
}

/// The shortest text that [`duration`] reads back, to the microsecond.
pub fn print_duration(value: Duration) -> String {
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 { "0s".to_owned() } else { print(micros, &DURATIONS) }
}

/// The shortest text that [`size`] reads back.
pub(super) fn print_size(bytes: u64) -> String {
    print(bytes, &SIZES)
}

fn print(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: u64| value >= scale && value.is_multiple_of(scale);
    match units.iter().find(|(_, scale)| fits(*scale)) {
        Some((name, scale)) => format!("{}{name}", value / scale),
        None => format!("{value}{}", units.last().map_or("", |(name, _)| name)),
    }
}

fn scaled(text: &str, example: &str, units: &[(&str, u64)]) -> Result<u64, Fault> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..split], trimmed[split..].trim());
    let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
    let known = format!("a whole number and one of {}, as in `{example}`", names.join(", "));
    if number.is_empty() {
        return Err(Fault::new(format!("{} has no number", quote(text)), format!("write {known}")));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        if unit.is_empty() {
            let default = &example[example.find(|c: char| !c.is_ascii_digit()).unwrap_or(0)..];
            let message = format!("{} has no unit", quote(text));
            return Err(Fault::new(message, format!("write `\"{number}{default}\"`, or {known}")));
        }
        let help = match units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((name, _)) => format!("write `\"{number}{name}\"`"),
            None => format!("write {known}"),
        };
        return Err(Fault::new(format!("{} has an unknown unit", quote(text)), help));
    };
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
    value.ok_or_else(|| {
        Fault::new(format!("{} is too large", quote(text)), format!("write {known}"))
    })
}

/// A text from outside between backticks: control characters escaped, long ones cut.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("`");
    for (count, char) in text.chars().enumerate() {
        if count == 60 {
            out.push('…');
            break;
        }
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_unit() {
        let cases = [
            ("250us", 250),
            ("250ms", 250_000),
            ("10s", 10_000_000),
            ("5m", 300_000_000),
            ("24h", 86_400_000_000),
            ("30d", 2_592_000_000_000),
            ("0s", 0),
        ];
        for (text, micros) in cases {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        let cases = [
            ("7B", 7),
            ("16KiB", 16_384),
            ("1MiB", 1_048_576),
            ("2GiB", 2_147_483_648),
            ("3kB", 3_000),
            ("4MB", 4_000_000),
            ("5GB", 5_000_000_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let of = |count: u32, per| Rate { count: count.try_into().unwrap(), per };
        for (text, count, seconds) in
            [("50/s", 50, 1), ("3000/m", 3000, 60), ("10/h", 10, 3600), ("1/d", 1, 86_400)]
        {
            let per = Duration::from_secs(seconds);
            assert_eq!(rate(text), Ok(of(count, per)), "{text}");
        }
        assert!((of(90, Duration::from_secs(60)).per_second() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn says_what_to_write_instead() {
        let fault = duration("10").expect_err("no unit");
        assert_eq!(fault.message, "`10` has no unit");
        assert!(fault.help.starts_with("write `\"10s\"`"), "{}", fault.help);
        assert_eq!(size("16kib").expect_err("case").help, "write `\"16KiB\"`");
        assert_eq!(size("16KB").expect_err("case").help, "write `\"16kB\"`");
        assert!(duration("1.5s").is_err());
        assert!(duration("-1s").is_err());
        assert!(duration("s").expect_err("no number").message.contains("no number"));
        assert!(duration("99999999999999999d").expect_err("large").message.contains("too large"));
        for bad in ["50", "0/s", "/s", "50/", "50/w", "-1/s", "99999999999/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_read_to_the_last_decimal() {
        let parts = |text| share(text).map_err(|fault| fault.help);
        for (text, millionths) in [
            ("0%", 0),
            ("0.1%", 100_000),
            ("0.001", 100_000),
            ("0.000001%", 1),
            ("0.00000001", 1),
            ("12.345678%", 12_345_678),
            ("0.50%", 500_000),
            ("007.0000000000%", 7_000_000),
            ("100%", 100_000_000),
            ("1.0", 100_000_000),
        ] {
            assert_eq!(parts(text).ok(), Share::new(millionths), "{text}");
        }
        let too_fine = ["0.0000001%", "0.000000001"];
        let no_number =
            ["", "%", ".", ".5%", "5.%", "-1%", "+1%", "1e-3%", "1_0%", "0.1.1%", "NaN.0"];
        let too_much = ["100.000001%", "1.00000001", "99999999999%"];
        for bad in too_fine.iter().chain(&no_number).chain(&too_much) {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert_eq!(share("1").expect_err("either").help, "write it with `%`, as in `5%` or `0.1%`");
    }

    #[test]
    fn a_quoted_text_cannot_reach_the_terminal() {
        assert_eq!(quote("a\u{1b}[31m"), "`a\\u{1b}[31m`");
        assert_eq!(quote(&"x".repeat(99)).chars().count(), 63);
    }

    proptest! {
        #[test]
        fn durations_print_and_parse(micros in prop_oneof![any::<u64>(), (0u64..10_000).prop_map(|n| n * 60_000_000)]) {
            let value = Duration::from_micros(micros);
            prop_assert_eq!(duration(&print_duration(value)), Ok(value));
        }

        #[test]
        fn sizes_print_and_parse(bytes in prop_oneof![any::<u64>(), (0u64..10_000).prop_map(|n| n << 10)]) {
            prop_assert_eq!(size(&print_size(bytes)), Ok(bytes));
        }

        #[test]
        fn rates_print_and_parse(count in any::<NonZeroU32>(), unit in 0usize..4) {
            let value = Rate { count, per: Duration::from_secs(RATE_UNITS[unit].1) };
            prop_assert_eq!(rate(&value.to_string()), Ok(value));
        }

        #[test]
        fn any_text_is_a_value_or_a_fault(text in "\\PC{0,12}") {
            let _ = (duration(&text), size(&text), rate(&text), share(&text));
        }
    }
}
