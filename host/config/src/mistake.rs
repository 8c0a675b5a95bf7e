//! What is wrong with the settings: where, what, and the cure.
use std::fmt;
use std::ops::Deref;

use serde::Serialize;

/// One mistake, or one warning. Never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Where it was made.
    #[serde(flatten)]
    pub place: Place,
    /// The setting, `destinations.ci.timeout`; empty where it is the file as a whole.
    pub key: String,
    /// What is wrong, one line.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Where a mistake was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// A place in the settings file.
    Line {
        /// The file's path, as it was named.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// For people; none where the line is too long to show.
        #[serde(skip)]
        excerpt: Option<Excerpt>,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        variable: String,
    },
    /// The file as a whole.
    File {
        /// Its path, as it was named.
        file: String,
    },
}

/// A line of the file with its secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text of the line.
    pub line: String,
    /// Where the mistake starts in `line`, in characters from 0.
    pub start: usize,
    /// At least 1.
    pub width: usize,
}

/// All mistakes of one reading, in the order of the file. `Display` renders
/// them for people, see [`Mistakes::render`]; as JSON they are a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.place.rank().cmp(&b.place.rank()).then(a.key.cmp(&b.key)));
        mistakes.dedup();
        Self(mistakes)
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl FromIterator<Mistake> for Mistakes {
    fn from_iter<I: IntoIterator<Item = Mistake>>(mistakes: I) -> Self {
        Self::new(mistakes.into_iter().collect())
    }
}

impl Deref for Mistakes {
    type Target = [Mistake];

    fn deref(&self) -> &[Mistake] {
        &self.0
    }
}

impl std::error::Error for Mistakes {}

impl Place {
    /// The file first, from its top; then the variables by name.
    fn rank(&self) -> (u8, usize, usize, &str) {
        match self {
            Self::File { .. } => (0, 0, 0, ""),
            Self::Line { line, column, .. } => (1, *line, *column, ""),
            Self::Variable { variable } => (2, 0, 0, variable),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column, .. } => write!(f, "{file}:{line}:{column}"),
            Self::Variable { variable } => write!(f, "environment variable {variable}"),
            Self::File { file } => f.write_str(file),
        }
    }
}
