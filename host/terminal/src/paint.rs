//! Terminal output: colours for states, and aligned columns.
use std::borrow::Cow;
use std::io::IsTerminal as _;

use hookwright_model::{printable, steers};

/// Colours the output if it is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// Colours if standard output is a terminal and `NO_COLOR` is not set.
    pub fn stdout() -> Self {
        let asked_not = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(std::io::stdout().is_terminal() && !asked_not)
    }

    /// Colours, for tests.
    #[cfg(test)]
    pub fn always() -> Self {
        Self(true)
    }

    /// A state in the colour that says whether it is good.
    pub fn state(self, text: &str) -> String {
        let code = match text {
            "delivered" | "routed" | "running" | "pass" | "active" => 32,
            "dead" | "parked" | "fail" | "reject" | "disabled" | "failing" | "quarantined"
            | "breaker-open" | "not loaded" => 31,
            "waiting" | "accepted" | "unrouted" | "retry" | "slowed" | "probing" | "paused" => 33,
            _ => return printable(text),
        };
        self.code(code, text)
    }

    /// An answer's status: 2xx is good.
    pub fn status(self, status: u64) -> String {
        self.code(if (200..300).contains(&status) { 32 } else { 31 }, &status.to_string())
    }

    /// Green.
    pub fn good(self, text: &str) -> String {
        self.code(32, text)
    }

    /// Red.
    pub fn bad(self, text: &str) -> String {
        self.code(31, text)
    }

    /// Faint.
    pub fn dim(self, text: &str) -> String {
        self.code(2, text)
    }

    fn code(self, code: u8, text: &str) -> String {
        let text = printable(text);
        if self.0 && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }
}

/// A table with two spaces between the columns; the first row is the header.
/// A cell's width does not count its colours.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| seen(cell)).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - seen(cell) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What a command prints, last of all: line ends, tabs and colours stay, and whatever else would steer a terminal is
/// written out. Texts from outside are escaped before; this is a safety net.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let acts = |char: char| steers(char) && !matches!(char, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(acts) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        rest = match colour(tail) {
            Some(end) => {
                out.push_str(&tail[..end]);
                &tail[end..]
            }
            None => {
                let end = tail.chars().next().map_or(0, char::len_utf8);
                out.push_str(&printable(&tail[..end]));
                &tail[end..]
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of the sequence that colours what follows, where the text begins with one.
fn colour(text: &str) -> Option<usize> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|char: char| !char.is_ascii_digit() && char != ';')?;
    codes[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

/// Characters without those that colour.
fn seen(text: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for char in text.chars() {
        match char {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let paint = Paint::always();
        let rows = vec![
            vec!["NAME".to_owned(), "STATE".to_owned(), "URL".to_owned()],
            vec!["ci".to_owned(), paint.state("running"), "http://a".to_owned()],
            vec!["warehouse".to_owned(), "off".to_owned(), String::new()],
        ];
        let out = columns(&rows);
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], "NAME       STATE    URL");
        assert_eq!(lines[1], "ci         \u{1b}[32mrunning\u{1b}[0m  http://a");
        assert_eq!(lines[2], "warehouse  off");
    }

    #[test]
    fn what_came_from_outside_brings_no_colours_along() {
        assert_eq!(Paint(false).state("\u{1b}[31mx"), r"\u{1b}[31mx");
        assert_eq!(Paint(false).bad("x"), "x");
    }

    #[test]
    fn colours_are_printed_and_nothing_else_that_steers() {
        let text = "a\u{1b}[1;31mb\u{1b}[0m\tc\n";
        assert_eq!(harmless(text), text);
        assert_eq!(
            harmless("\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}m\u{1b}"),
            r"\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}m\u{1b}"
        );
        assert_eq!(harmless("é\u{202e}\u{1b}[mx"), "é\\u{202e}\u{1b}[mx");
    }
}
