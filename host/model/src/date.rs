//! Dates in text: RFC 3339 in UTC, as events, logs of commands and providers' headers write them, and HTTP's own form.
//!
//! The calendar is the `time` crate's, HTTP's form is `httpdate`'s. The rules of what is read stand here: a header is signed
//! as its bytes, so one moment must not be written in more ways than providers use.
use std::time::SystemTime;

use time::{Date, Month, OffsetDateTime};

/// The last second that four digits of a year can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// RFC 3339 in UTC, to the millisecond, of milliseconds since 1970: `2026-11-24T21:00:00.500Z`. Later times than the end of
/// the year 9999 are written as its last second.
pub fn moment(ms: u64) -> String {
    let mut text = moment_s(ms / 1_000);
    text.pop();
    format!("{text}.{:03}Z", ms % 1_000)
}

/// RFC 3339 in UTC of seconds since 1970: `2026-11-24T21:00:00Z`. Later times are written as by [`moment`].
pub fn moment_s(seconds: u64) -> String {
    let seconds = i64::try_from(seconds.min(LAST_SECOND)).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    let (hours, minutes, seconds) = at.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// Seconds since 1970 of an RFC 3339 time in UTC, `2026-11-24T21:00:00.5Z`; the date alone is its first second. The
/// fraction is left out. None of a time before 1970 or in another zone, and of every other spelling.
pub fn parse_moment(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let midnight = u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?;
    match time {
        Some(time) => Some(midnight + seconds_of_day(time)?),
        None => Some(midnight),
    }
}

/// As HTTP writes it (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(at: SystemTime) -> String {
    httpdate::fmt_http_date(at)
}

/// Reads a date of HTTP, in its older forms too.
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

fn seconds_of_day(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let whole = match text.split_once('.') {
        Some((_, fraction)) if fraction.is_empty() || !all_digits(fraction) => return None,
        Some((whole, _)) => whole,
        None => text,
    };
    let [hours, minutes, seconds] = numbers(whole, ':', [2, 2, 2])?.map(u64::from);
    // A leap second is the first of the next minute.
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// Three numbers of so many digits, at most four each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && all_digits(part))?;
        *number = part.parse().ok()?;
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
        fn what_is_printed_is_read_back(ms in 0..=LAST_SECOND * 1_000) {
            prop_assert_eq!(parse_moment(&moment_s(ms / 1_000)), Some(ms / 1_000));
            prop_assert_eq!(parse_moment(&moment(ms)), Some(ms / 1_000));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[0-9TZ:.+-]{0,30}") {
            parse_moment(&text);
        }
    }

    #[test]
    fn moments_are_written_to_the_millisecond() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_614_265_330_000, "2021-02-25T15:02:10.000Z"),
            (LAST_SECOND * 1_000 + 999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.615Z"),
        ] {
            assert_eq!(moment(ms), expected);
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
            assert_eq!(parse_moment(text), Some(seconds), "{text}");
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
            assert_eq!(parse_moment(text), None, "{text}");
        }
    }
}
