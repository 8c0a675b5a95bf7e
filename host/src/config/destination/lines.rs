//! `file` and `stdout` of a destination: a line of JSON for each delivery.
use std::path::PathBuf;
use std::time::Duration;

use super::super::kind::{DURATION, File, SIZE, whole};
use super::super::reader::Section;

/// A file that lines are appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    pub path: PathBuf,
    /// Bytes; none never begins a new one.
    pub max_size: Option<u64>,
    pub max_age: Option<Duration>,
    /// Full files; none keeps all.
    pub keep: Option<usize>,
}

pub(super) fn read(s: &Section<'_, '_>) -> Option<FileConfig> {
    let doc = "Where lines are appended to. Its folder is made where it is missing.";
    let path = s.key("path", File { checked: false }, doc).required();
    let doc = "A new file is begun where this one would become larger; the full one gets the time into its name.";
    let max_size = s.key("max_size", SIZE, doc).range("1KiB", "1024GiB").optional("no limit");
    let doc = "A new file is begun, with the next delivery, when this one is so old.";
    let max_age = s.key("max_age", DURATION, doc).range("1m", "365d").optional("no limit");
    let doc = "How many full files are kept.";
    let keep = s.key("keep", whole(), doc).range("0", "100000").optional("all");
    Some(FileConfig { path: path?, max_size, max_age, keep })
}
