//! Takes personal data out of bodies, by path and by pattern. Bytes outside what is redacted stay as they came.
mod mark;
mod pattern;

use hookwright_plugin::json::{Document, Editor, Kind, Node, Pointer};
use hookwright_plugin::prelude::*;

use mark::{How, Marker};
use pattern::{Known, Pattern};

/// What is redacted, and how.
#[config]
#[derive(Default)]
#[serde(default)]
pub struct Config {
    /// Values by their place.
    paths: Vec<PathRule>,
    /// Texts by what they look like: in the strings of a JSON body, names of
    /// members not among them, and in all of another text body.
    patterns: Vec<PatternRule>,
    /// What stands where something is masked.
    #[serde(default = "stars")]
    mask: String,
    /// Hashed along, so that hashes of another installation don't match.
    salt: String,
}

/// One place.
#[config]
struct PathRule {
    /// A JSON pointer; a `*` between slashes stands for any member or element.
    path: String,
    /// What becomes of the value.
    #[serde(default)]
    how: How,
}

/// One look: a known one, or a regular expression.
#[config]
struct PatternRule {
    known: Option<Known>,
    regex: Option<String>,
    /// What becomes of each match.
    #[serde(default)]
    how: How,
}

fn stars() -> String {
    "***".into()
}

/// The rules, compiled.
pub struct Redactor {
    paths: Vec<(Pointer, How)>,
    patterns: Vec<(Pattern, How)>,
    marker: Marker,
}

impl Prepare for Redactor {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        let (mut paths, mut patterns, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, rule) in config.paths.iter().enumerate() {
            match rule.path.parse() {
                Ok(pointer) => paths.push((pointer, rule.how)),
                Err(error) => {
                    errors.push(ConfigError::at("/path", error).inside(index).inside("paths"));
                }
            }
        }
        for (index, rule) in config.patterns.iter().enumerate() {
            match Pattern::new(rule.known, rule.regex.as_deref()) {
                Ok(pattern) => patterns.push((pattern, rule.how)),
                Err(error) => errors.push(error.inside(index).inside("patterns")),
            }
        }
        let hashes = config.paths.iter().map(|rule| rule.how);
        let mut hashes = hashes.chain(config.patterns.iter().map(|rule| rule.how));
        if config.salt.is_empty() && hashes.any(|how| how == How::Hash) {
            errors.push(ConfigError::at("/salt", "to hash, name a salt: any long random text"));
        }
        if config.paths.is_empty() && config.patterns.is_empty() {
            errors.push(ConfigError::at("", "nothing to redact: name `paths` or `patterns`"));
        }
        let marker = Marker { mask: config.mask, salt: config.salt };
        if errors.is_empty() { Ok(Self { paths, patterns, marker }) } else { Err(errors) }
    }
}

/// Amends what has something to redact and passes all else: other bodies, and
/// those that are no text.
#[plugin]
pub fn handle(event: Event, redactor: &Redactor) -> Result<Verdict> {
    let Some(text) = event.text() else { return Ok(Verdict::pass()) };
    let redacted = match Document::parse(text) {
        Ok(document) => redactor.json(&document)?,
        // With paths to redact, what can't be read must not slip through.
        Err(error) if !redactor.paths.is_empty() && says_json(&event) => {
            return Err(Error::reject(format!("can't be redacted: the body is {error}")));
        }
        Err(_) => redactor.text(text),
    };
    Ok(match redacted {
        Some(body) => Amendment::new().body(body).into(),
        None => Verdict::pass(),
    })
}

fn says_json(event: &Event) -> bool {
    event.content_type().to_ascii_lowercase().contains("json")
}

impl Redactor {
    /// The JSON text, redacted; none where nothing changes.
    fn json(&self, document: &Document<'_>) -> Result<Option<String>> {
        let mut edit = document.edit();
        if !self.patterns.is_empty() {
            let mut strings = Vec::new();
            document.root().walk(&mut |node| strings.extend(Some(node).filter(is_string)));
            for node in strings {
                self.string(node, &mut edit)?;
            }
        }
        for (path, how) in &self.paths {
            for node in document.all(path) {
                match self.marker.mark(*how, &node.text().unwrap_or(node.raw().into())) {
                    Some(mark) => edit.replace(node, &mark)?,
                    None => edit.remove(node),
                }
            }
        }
        Ok(edit.finish())
    }

    fn string<'d>(&self, node: Node<'d>, edit: &mut Editor<'d>) -> Result<()> {
        match node.text() {
            Some(text) => match self.text(&text) {
                Some(redacted) => edit.replace(node, &redacted),
                None => Ok(()),
            },
            // Half a surrogate pair: no text that could be searched, so all of it is hidden.
            None => edit.replace(node, &self.marker.mask),
        }
    }

    /// The text with its matches redacted; none where there are none.
    fn text(&self, text: &str) -> Option<String> {
        let mut redacted: Option<String> = None;
        for (pattern, how) in &self.patterns {
            let now = redacted.as_deref().unwrap_or(text);
            if let Some(next) = pattern.replace(now, |found| self.marker.mark(*how, found)) {
                redacted = Some(next);
            }
        }
        redacted
    }
}

fn is_string(node: &Node<'_>) -> bool {
    node.kind() == Kind::String
}

#[cfg(test)]
mod tests;
