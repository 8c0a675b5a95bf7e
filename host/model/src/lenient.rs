//! JSON as a tree, read from all texts that the grammar of RFC 8259 allows.
//!
//! `serde_json` refuses some of them: those that begin with a byte order mark, and those with
//! half a surrogate pair or a number beyond all bounds anywhere. Validation needs a tree, and
//! what no schema speaks of must not cost the event.
use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::pointer::without_mark;

/// The largest number that there is, as a text.
const LARGEST: &str = "1.7976931348623157e308";

/// Half a surrogate pair is read as U+FFFD, a number beyond all bounds as the largest there is.
/// Of members of the same name the last one counts.
///
/// # Errors
/// It is no JSON. The error names a place, and nothing of the text.
pub fn read_json(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = without_mark(text);
    serde_json::from_slice(text).or_else(|error| match mended(text) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// The text with something else in place of what can't be read. What is no JSON stays so.
fn mended(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    // Up to here it is written.
    let mut done = 0;
    let mut at = 0;
    let mut replace = |from: usize, to: usize, with: &[u8]| {
        out.extend_from_slice(&text[done..from]);
        out.extend_from_slice(with);
        done = to;
    };
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string(text, at + 1, &mut replace),
            b'-' | b'0'..=b'9' => {
                let number =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = at + text[at..].iter().take_while(number).count();
                // Raw values are held against the grammar, and not read.
                let number = serde_json::from_slice::<&RawValue>(&text[at..end]).ok();
                let value = number.and_then(|number| number.get().parse().ok());
                if value.is_some_and(f64::is_infinite) {
                    // The sign stays.
                    replace(at + usize::from(*byte == b'-'), end, LARGEST.as_bytes());
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[done..]);
    Cow::Owned(out)
}

/// Goes to the end of a string; halves of pairs in it are replaced.
fn string(text: &[u8], start: usize, replace: &mut impl FnMut(usize, usize, &[u8])) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => match unit(text, at) {
                Some(0xd800..=0xdbff) if matches!(unit(text, at + 6), Some(0xdc00..=0xdfff)) => {
                    at += 12;
                }
                Some(0xd800..=0xdfff) => {
                    replace(at, at + 6, b"\\ufffd");
                    at += 6;
                }
                _ => at += 2,
            },
            _ => at += 1,
        }
    }
    at
}

/// The code unit of an escape of four hexadecimal digits that begins there.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| hex)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn regression_what_the_grammar_allows_is_read() {
        for (text, value) in [
            ("\u{feff}{\"a\":1}", json!({ "a": 1 })),
            (r#"{"a":"\ud800","b":"x\udc00y"}"#, json!({ "a": "\u{fffd}", "b": "x\u{fffd}y" })),
            (r#"["\ud800\ud83d\ude00","\\ud800"]"#, json!(["\u{fffd}\u{1f600}", "\\ud800"])),
            (r#"{"\ud800":1}"#, json!({ "\u{fffd}": 1 })),
            ("[1e400,-1E+999,1e-400, 2]", json!([f64::MAX, -f64::MAX, 0.0, 2])),
            (r#"["1e400"]"#, json!(["1e400"])),
        ] {
            assert_eq!(read_json(text.as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_stays_so() {
        for text in [
            "",
            "{",
            "[1e400",
            "[1e400e1]",
            "[--1e400]",
            r#"["\ud8"]"#,
            r#"["\ud800]"#,
            "\u{feff}\u{feff}1",
            "[1e]",
            "[01e400]",
            "[1.e400]",
            "[-]",
            "[1e400 2]",
        ] {
            assert!(read_json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read_json(b"\"\xff\"").is_err());
        assert!(read_json(b"\xff\xfe{\x00}\x00").is_err(), "UTF-16");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r#"([\[\]{}:,"]|\\\\|\\u[dD][89a-f]00|\\ud|-|1e400|e|\.|7)*"#) {
            let own = read_json(text.as_bytes());
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(own.unwrap(), value);
            }
        }
    }
}
