//! Reads a `retry-after` header, whatever a destination may have put there.
use std::time::SystemTime;

use hookwright_model::date::parse_http_date;
use http::HeaderValue;

/// The seconds it asks for: a number of seconds or an HTTP date (RFC 9110,
/// section 10.2.3). A number too great is as great as can be; a date in the
/// past is 0; anything else counts as no header.
pub(super) fn parse(value: &HeaderValue, now: SystemTime) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits: the only failure left is an overflow.
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let date = parse_http_date(text)?;
    let wait = date.duration_since(now).unwrap_or_default();
    // Rounded up, so as not to come a second early.
    Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn read(text: &str) -> Option<u64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        parse(&HeaderValue::from_bytes(text.as_bytes()).expect("a header value"), now)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun Nov  6 08:50:37 1994"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn hostile_values_saturate_or_are_ignored() {
        assert_eq!(read("1000000000000000000000000"), Some(u64::MAX));
        assert_eq!(read(&"9".repeat(10_000)), Some(u64::MAX));
        for text in ["inf", "NaN", "1e18", "-1", "+5", "1.5", "", " ", "0x10", "tomorrow", "١٢"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"x".repeat(10_000)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                parse(&value, SystemTime::now());
            }
        }
    }
}
