//! From bytes in the file to line, column and an excerpt that shows no secret.
use std::ops::Range;

use super::mistake::{Excerpt, Place};
use super::tree::Origin;

/// Longer lines are not shown.
const MAX_LINE: usize = 160;

/// What stands for a masked value.
const MASK: &str = "\"…\"";

/// The file that mistakes are placed in.
pub(super) struct Pages<'t> {
    pub(super) file: String,
    pub(super) text: &'t str,
    /// Values not to be shown, in the order of the file, apart from each other.
    pub(super) masked: Vec<Range<usize>>,
}

impl Pages<'_> {
    pub(super) fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::Variable(name) => Place::Variable { variable: name.to_string() },
            Origin::Nowhere => Place::File { file: self.file.clone() },
            Origin::File(span) => {
                let at = floor(self.text, span.start);
                let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                Place::Line {
                    file: self.file.clone(),
                    line: self.text[..at].matches('\n').count() + 1,
                    column: self.text[start..at].chars().count() + 1,
                    excerpt: self.excerpt(start, at..span.end.max(at)),
                }
            }
        }
    }

    fn excerpt(&self, line_start: usize, span: Range<usize>) -> Option<Excerpt> {
        let line = self.text[line_start..].split(['\n', '\r']).next().unwrap_or_default();
        let mut out = String::new();
        let (mut shown, mut start, mut end) = (0, None, None);
        for (offset, char) in line.char_indices() {
            let at = line_start + offset;
            let after = self.masked.partition_point(|mask| mask.end <= at);
            let mask = self.masked.get(after).filter(|mask| mask.start <= at);
            if mask.is_none_or(|mask| at == mask.start.max(line_start)) {
                if start.is_none() && at >= span.start {
                    start = Some(shown);
                }
                if end.is_none() && at >= span.end {
                    end = Some(shown);
                }
                let before = out.len();
                match mask {
                    Some(_) => out.push_str(MASK),
                    None if char.is_control() && char != '\t' => out.push('\u{fffd}'),
                    None => out.push(char),
                }
                shown += out[before..].chars().count();
            }
        }
        let start = start.unwrap_or(shown);
        let width = end.unwrap_or(shown).saturating_sub(start).max(1);
        (shown <= MAX_LINE).then_some(Excerpt { line: out, start, width })
    }
}

/// What can't be read may hold a secret anywhere: masks all values on the line,
/// known by their place after the first `=`, and leaves the signs between them.
pub(super) fn mask_unread(excerpt: &mut Excerpt) {
    let header = excerpt.line.trim_start().starts_with('[') && !excerpt.line.contains('=');
    if header {
        return;
    }
    let mut value = !excerpt.line.contains('=');
    let mask = |char: char| {
        let hidden = value && !char.is_whitespace() && !"=[]{},\"'".contains(char);
        value |= char == '=';
        if hidden { '·' } else { char }
    };
    excerpt.line = excerpt.line.chars().map(mask).collect();
}

/// The nearest boundary between characters at or before the offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(text: &str, span: Range<usize>, mask: Range<usize>) -> Place {
        Pages { file: "f".into(), text, masked: Vec::from([mask]) }.place(&Origin::File(span))
    }

    fn parts(place: Place) -> (usize, usize, Excerpt) {
        match place {
            Place::Line { line, column, excerpt, .. } => (line, column, excerpt.expect("short")),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a = 1\r\n'ü' = 10\n";
        let at = text.find("10").expect("there");
        let (line, column, excerpt) = parts(place(text, at..at + 2, 0..0));
        assert_eq!((line, column), (2, 7));
        assert_eq!(excerpt, Excerpt { line: "'ü' = 10".into(), start: 6, width: 2 });
    }

    #[test]
    fn a_masked_value_is_not_shown_and_the_caret_still_fits() {
        let text = "v = { s = [\"long secret\"], bad = 1 }";
        let secret = text.find("\"long").expect("there");
        let bad = text.find("bad").expect("there");
        let mask = secret..secret + 13;
        let (_, column, excerpt) = parts(place(text, bad..bad + 3, mask.clone()));
        assert_eq!(column, bad + 1);
        assert_eq!(excerpt.line, "v = { s = [\"…\"], bad = 1 }");
        assert_eq!(excerpt.start, excerpt.line.chars().position(|c| c == 'b').expect("there"));
        let (_, _, excerpt) = parts(place(text, secret..secret + 13, mask));
        assert_eq!((excerpt.start, excerpt.width), (11, 3));
    }

    #[test]
    fn a_secret_over_several_lines_is_masked_on_each() {
        let text = "a = \"\"\"one\ntwo\"\"\" x";
        let (line, _, excerpt) = parts(place(text, text.len() - 1..text.len(), 4..17));
        assert_eq!((line, excerpt.line.as_str(), excerpt.start), (2, "\"…\" x", 4));
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_has_a_place(text in "(?s).{0,40}", from in 0usize..60, len in 0usize..60, mask in 0usize..60) {
            place(&text, from..from + len, mask..mask + 3);
        }
    }
}
