//! What the doctor found, and how it is told.
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Fine,
    Warning,
    Bad,
}

/// The result of one check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    level: Level,
    /// `settings`, `clock`, `files`, `disk` and so on.
    about: &'static str,
    what: String,
    /// None if nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Finding {
    pub(super) fn fine(about: &'static str, what: String) -> Self {
        Self { level: Level::Fine, about, what, cure: None }
    }

    /// It works, but not as it should.
    pub(super) fn warning(about: &'static str, what: String, cure: String) -> Self {
        Self { level: Level::Warning, about, what, cure: Some(cure) }
    }

    /// Something does not work.
    pub(super) fn bad(about: &'static str, what: String, cure: String) -> Self {
        Self { level: Level::Bad, about, what, cure: Some(cure) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn any_bad(&self) -> bool {
        self.count(Level::Bad) > 0
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "findings": self.0 })
    }

    pub(super) fn text(&self, colour: bool) -> String {
        let mut out = String::new();
        for finding in &self.0 {
            let (word, code) = match finding.level {
                Level::Fine => ("ok     ", "32"),
                Level::Warning => ("warning", "33"),
                Level::Bad => ("bad    ", "31"),
            };
            let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
            out.push_str(&format!("{word}  {:<12} {}\n", finding.about, finding.what));
            if let Some(cure) = &finding.cure {
                out.push_str(&format!("{:22} → {cure}\n", ""));
            }
        }
        let (bad, warnings) = (self.count(Level::Bad), self.count(Level::Warning));
        out.push_str(&match (bad, warnings) {
            (0, 0) => "nothing is wrong\n".to_owned(),
            _ => format!("{bad} bad, {}\n", plural(warnings, "warning")),
        });
        out
    }
}

/// `1 warning`, `2 warnings`.
fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_stands_with_its_cure_and_the_sum_comes_last() {
        let mut found = Findings::default();
        found.push(Finding::fine("clock", "is in step".into()));
        found.push(Finding::warning("disk", "is slow".into(), "take another".into()));
        assert!(!found.any_bad());
        let text = found.text(false);
        assert!(text.starts_with("ok       clock        is in step\nwarning  disk "), "{text}");
        assert!(text.ends_with("→ take another\n0 bad, 1 warning\n"), "{text}");
        found.push(Finding::bad("settings", "a mistake".into(), "mend it".into()));
        assert!(found.any_bad());
        assert_eq!(found.json()["findings"][2]["level"], "bad");
    }
}
