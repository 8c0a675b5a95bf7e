//! Text from outside made fit to be shown: on a terminal, in a line of a log, in JSON.
use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether the character acts on whatever shows it, instead of being shown: control characters (C0, DEL, C1), ends
/// of lines and paragraphs, what turns the direction of text, and tags that no font draws.
pub fn steers(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text in one line, with `\n`, `\r`, `\t` and `\u{1b}` in the place of what steers. For everything that a
/// command prints for a person.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    write_printable(&mut out, text).expect("a String takes all");
    out
}

/// As [`printable`], into a writer.
///
/// # Errors
/// As the writer fails.
pub fn write_printable(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(steers) {
        let (plain, tail) = rest.split_at(at);
        out.write_str(plain)?;
        let mut chars = tail.chars();
        match chars.next() {
            Some('\n') => out.write_str("\\n")?,
            Some('\r') => out.write_str("\\r")?,
            Some('\t') => out.write_str("\\t")?,
            Some(char) => write!(out, "\\u{{{:x}}}", u32::from(char))?,
            None => {}
        }
        rest = chars.as_str();
    }
    out.write_str(rest)
}

/// A JSON document with `\u009b` and the like in the place of what steers and JSON leaves as it is. The document means
/// the same: such characters stand in its texts only. Newlines between its parts stay.
pub fn printable_json(document: &str) -> Cow<'_, str> {
    let acts = |char: char| steers(char) && char != '\n';
    if !document.contains(acts) {
        return Cow::Borrowed(document);
    }
    let mut out = String::with_capacity(document.len() + 16);
    for char in document.chars() {
        if acts(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String takes all");
            }
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let hostile = "a\u{1b}[1m\u{202e}b\u{2066}c\u{9b}31m\u{2028}é\r\n\t\u{e0041}";
        let shown = r"a\u{1b}[1m\u{202e}b\u{2066}c\u{9b}31m\u{2028}é\r\n\t\u{e0041}";
        assert_eq!(printable(hostile), shown);
        assert_eq!(printable("plain: ü 漢 \u{1f600}"), "plain: ü 漢 \u{1f600}");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_left(text: String) {
            prop_assert!(!printable(&text).contains(steers));
        }

        #[test]
        fn json_means_the_same_and_steers_nothing(text in ".*[\u{7f}-\u{9f}\u{202e}\u{e0041}\n]?.*") {
            let document = serde_json::to_string_pretty(&[&text]).unwrap();
            let shown = printable_json(&document);
            prop_assert!(!shown.contains(|char| steers(char) && char != '\n'));
            let read: Vec<String> = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(&read[0], &text);
        }
    }
}
