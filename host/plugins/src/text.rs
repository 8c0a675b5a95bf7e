//! Text of a guest, made harmless: cut to a length, and unable to steer a terminal or forge a line.
use std::fmt::Write as _;

use hookwright_model::steers;

/// Text that cannot steer a terminal or forge a line, at most `max` bytes of the original.
pub(crate) fn escape(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = String::with_capacity(end);
    for char in text[..end].trim_end().chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\t' => out.push(' '),
            c if steers(c) => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a String takes all");
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_whole_characters() {
        assert_eq!(escape("äää", 3), "ä");
    }
}
