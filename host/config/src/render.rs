//! Mistakes as people read them: the place, the line with a caret, the cure.
use std::fmt::{self, Write};

use super::mistake::{Mistake, Mistakes, Place};

impl Mistakes {
    /// Each as `file:line:column: key: message`, then the line with a caret and
    /// the help. With `colour`, by ANSI escapes.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for (index, mistake) in self.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            // Writing to a string can't fail.
            let _ = render(&mut out, mistake, &Paint(colour));
        }
        out
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

struct Paint(bool);

impl Paint {
    fn on(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn render(out: &mut String, mistake: &Mistake, paint: &Paint) -> fmt::Result {
    let Mistake { place, key, message, help } = mistake;
    write!(out, "{}: ", paint.on("1", &place.to_string()))?;
    if !key.is_empty() {
        write!(out, "{key}: ")?;
    }
    writeln!(out, "{}", paint.on("31", message))?;
    let mut margin = 2;
    if let Place::Line { line, excerpt: Some(excerpt), .. } = place {
        let number = line.to_string();
        margin = number.len() + 1;
        // Tabs stay tabs, so that the caret stands below its place.
        let blank = |char| if char == '\t' { '\t' } else { ' ' };
        let before: String = excerpt.line.chars().take(excerpt.start).map(blank).collect();
        let caret = paint.on("31", &"^".repeat(excerpt.width));
        writeln!(out, "{} {}", paint.on("2", &format!(" {number} |")), excerpt.line)?;
        writeln!(out, " {:margin$}{} {before}{caret}", "", paint.on("2", "|"))?;
    }
    if !help.is_empty() {
        writeln!(out, " {:margin$}{} {help}", "", paint.on("36", "help:"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::mistake::Excerpt;
    use super::*;

    fn mistake() -> Mistake {
        let line = "\ttimeout = 10".to_owned();
        let excerpt = Some(Excerpt { line, start: 11, width: 2 });
        Mistake {
            place: Place::Line { file: "hookwright.toml".into(), line: 12, column: 12, excerpt },
            key: "destinations.ci.timeout".into(),
            message: "`timeout = 10` has no unit".into(),
            help: "write `timeout = \"10s\"`".into(),
        }
    }

    #[test]
    fn the_caret_stands_below_the_mistake() {
        let expected = concat!(
            "hookwright.toml:12:12: destinations.ci.timeout: `timeout = 10` has no unit\n",
            " 12 | \ttimeout = 10\n",
            "    | \t          ^^\n",
            "    help: write `timeout = \"10s\"`\n",
        );
        assert_eq!(Mistakes::from(mistake()).render(false), expected);
        assert_eq!(Mistakes::from(mistake()).to_string(), expected.trim_end());
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let mut coloured = Mistakes::from(mistake()).render(true);
        assert!(coloured.contains("\u{1b}[31m"));
        for code in ["0", "1", "2", "31", "36"] {
            coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(coloured, Mistakes::from(mistake()).render(false));
    }

    #[test]
    fn as_json_it_is_a_flat_list() {
        let variable =
            Mistake { place: Place::Variable { variable: "HOOKWRIGHT__X".into() }, ..mistake() };
        let json = serde_json::to_value(Mistakes::new(vec![variable, mistake()])).expect("JSON");
        assert_eq!(json[0]["file"], "hookwright.toml");
        assert_eq!(json[0]["line"], 12);
        assert_eq!(json[0]["help"], "write `timeout = \"10s\"`");
        assert!(json[0].get("excerpt").is_none());
        assert_eq!(json[1]["variable"], "HOOKWRIGHT__X");
    }
}
