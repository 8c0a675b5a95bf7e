//! Times as providers write them.

/// Seconds since 1970 of an RFC 3339 time in UTC, `2026-11-24T21:00:00.5Z`; the
/// date alone is its first second. The fraction is left out.
pub fn seconds_of_date(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || day == 0 || day > last {
        return None;
    }
    // Counted from March on, so that the leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // From March of the year 0 to 1970.
    let midnight = (days - 719_468) * 86_400;
    match time {
        Some(time) => Some(midnight + seconds_of_time(time)?),
        None => Some(midnight),
    }
}

/// The same the other way round.
pub(super) fn date_of_seconds(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    // Cycles of 400 years, years and months that start in March.
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (cycle * 400 + year, month + 3),
        _ => (cycle * 400 + year + 1, month - 9),
    };
    let (hours, minutes, seconds) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

fn seconds_of_time(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let whole = match text.split_once('.') {
        Some((_, fraction)) if fraction.is_empty() || !all_digits(fraction) => return None,
        Some((whole, _)) => whole,
        None => text,
    };
    let [hours, minutes, seconds] = numbers(whole, ':', [2, 2, 2])?;
    // A leap second is the first of the next minute.
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// Three numbers of so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (slot, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && all_digits(part))?;
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0..253_402_300_800u64) {
            prop_assert_eq!(seconds_of_date(&date_of_seconds(seconds)), Some(seconds));
        }
    }

    #[test]
    fn dates_are_read_to_the_second() {
        // date -u -d … +%s
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2021-03-25T05:09:27Z", 1_616_648_967),
            ("2023-07-19T14:56:51.634234626Z", 1_689_778_611),
            ("2026-12-31T23:59:59+00:00", 1_798_761_599),
            ("2026-12-01", 1_796_083_200),
        ] {
            assert_eq!(seconds_of_date(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "T",
            "1969-12-31",
            "2021-02-29",
            "2021-13-01",
            "2021-00-01",
            "2021-01-32",
            "2021-1-1",
            "12021-01-01",
            "2021-01-01T00:00:00",
            "2021-01-01T24:00:00Z",
            "2021-01-01T00:60:00Z",
            "2021-01-01T00:00:00.Z",
            "2021-01-01T00:00:00+01:00",
            "2021-01-01 00:00:00Z",
            "2021-01-01T00:00:00ZZ",
            "+021-01-01",
        ] {
            assert_eq!(seconds_of_date(text), None, "{text}");
        }
    }
}
