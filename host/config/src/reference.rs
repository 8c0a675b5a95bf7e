//! The reference page, made by the same calls that read the settings.
use std::fmt::Write;

use super::overrides::PREFIX;
use super::tree::{Node, Value};

/// What a describing reader was told, in the order of the calls.
#[derive(Default)]
pub(super) struct Page {
    sections: Vec<SectionPage>,
}

struct SectionPage {
    path: String,
    doc: &'static str,
    rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) kind: String,
    /// What holds where the key is not set.
    pub(super) unset: String,
    pub(super) doc: &'static str,
}

impl Page {
    pub(super) fn section(&mut self, path: &str, doc: &'static str) {
        self.sections.push(SectionPage { path: path.to_owned(), doc, rows: Vec::new() });
    }

    pub(super) fn row(&mut self, path: &str, row: Row) {
        match self.sections.iter_mut().find(|section| section.path == path) {
            Some(section) => section.rows.push(row),
            None => {
                let path = path.to_owned();
                self.sections.push(SectionPage { path, doc: "", rows: vec![row] });
            }
        }
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = String::from(INTRO);
        for section in &self.sections {
            // Writing to a string can't fail.
            let _ = section.write(&mut out);
        }
        out
    }
}

impl SectionPage {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let title = match self.path.as_str() {
            "" => "Top level".to_owned(),
            path => format!("`[{path}]`"),
        };
        writeln!(out, "\n## {title}")?;
        if !self.doc.is_empty() {
            writeln!(out, "\n{}", self.doc)?;
        }
        let Some(first) = self.rows.first() else { return Ok(()) };
        let prefix = match self.path.as_str() {
            "" => PREFIX.to_owned(),
            path => format!("{PREFIX}{}__", path.replace('.', "__").to_uppercase()),
        };
        writeln!(out, "\nIn the environment: `{prefix}{}` and so on.", first.key.to_uppercase())?;
        writeln!(out, "\n| key | value | default | meaning |\n|---|---|---|---|")?;
        for Row { key, kind, unset, doc } in &self.rows {
            writeln!(out, "| `{key}` | {} | {} | {} |", cell(kind), cell(unset), cell(doc))?;
        }
        Ok(())
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

impl Node {
    /// A default as it would stand in the file.
    pub(super) fn literal(&self) -> String {
        match (&self.value, &self.raw) {
            (Value::Text(text), _) => format!("`\"{text}\"`"),
            (_, Some(raw)) => format!("`{raw}`"),
            (Value::List(_), None) => "`[]`".to_owned(),
            _ => "`{}`".to_owned(),
        }
    }
}

const INTRO: &str = "\
# Settings: `hookwright.toml`

This page is made from the code that reads the settings, by `UPDATE_DOCS=1 cargo test -p hookwright docs_settings`.

`hookwright check` reads the file, and every file that it names, as `hookwright serve` does, and reports all mistakes at once, each with its place and its cure. Nothing starts, and nothing running changes, while there is one. Unknown keys are mistakes.

**Values with a unit.** A duration is a whole number and `us`, `ms`, `s`, `m`, `h` or `d`: `\"10s\"`. A size is a whole number and `B`, `KiB`, `MiB`, `GiB`, or decimal `kB`, `MB`, `GB`: `\"1MiB\"`. A rate is a whole number and `/s`, `/m`, `/h` or `/d`: `\"50/s\"`.

**Secrets** are written as `env:NAME`, an environment variable, or `file:PATH`, a file; a newline at the end is left out. A secret in clear text is refused unless `dangerous_plain:` stands before it. No secret is ever printed, logged or shown in a mistake.

**Paths** that are relative start from the directory of the settings file.

**Environment.** Every key has a variable that stands in for it: `HOOKWRIGHT__INGRESS__LISTEN` is `listen` in `[ingress]`. Two underscores separate keys, and capitals count as small letters. A dash is written as an underscore: `HOOKWRIGHT__PLUGINS__ONLY_PUSHES__FILE` is `file` in `[plugins.only-pushes]` where the settings file has that table, else in `[plugins.only_pushes]`. The value is read as a TOML value where it is one, else as text: `8`, `true`, `[\"a\", \"b\"]`, `10s`. A list or a table is replaced as a whole.

**Names** of sources, destinations and plugins are 1 to 64 of `a-z`, `0-9`, `-` and `_`, first a letter or a digit.
";
