//! Tests of the settings as a whole, and what they share: settings read from texts.
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Mistake, Mistakes, Place, Sources};

mod checks;
mod documents;
mod mistakes;
mod secrets;
mod source;
mod values;

/// 32 bytes.
const STANDARD: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// Variables and files that exist only for the test, on 2026-12-01. Relative paths start from `/etc/hw`.
fn sources(env: &[(&str, &str)], files: &[(&str, &str)]) -> Sources {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let files: Vec<(PathBuf, Vec<u8>)> =
        files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect();
    let read = move |path: &Path| {
        let found = files.iter().find(|(name, _)| name == path);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    Sources { env, read: Box::new(read), now_s: 1_796_083_200 }
}

fn parse_with(text: &str, sources: &Sources) -> Result<Config, Mistakes> {
    Config::parse(Path::new("/etc/hw/hookwright.toml"), text.as_bytes(), sources)
}

fn parse(text: &str) -> Result<Config, Mistakes> {
    parse_with(text, &Sources::none())
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn bad(text: &str) -> Mistakes {
    parse(text).expect_err(text)
}

/// The only mistake.
fn one(text: &str) -> Mistake {
    let mistakes = bad(text);
    assert_eq!(mistakes.len(), 1, "{mistakes}");
    mistakes[0].clone()
}

fn line_and_column(mistake: &Mistake) -> (usize, usize) {
    match &mistake.place {
        Place::Line { line, column, .. } => (*line, *column),
        other => panic!("{other}: {}", mistake.message),
    }
}
