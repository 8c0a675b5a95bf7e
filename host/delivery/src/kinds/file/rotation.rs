//! Where a full file goes, and which of the full ones are deleted.
use std::io;
use std::path::{Path, PathBuf};

use super::open::sync_folder_of;
use hookwright_model::date::moment;

/// Moves the file aside, as `NAME-20261125T101500000Z.EXT`, and deletes the oldest
/// of those that are more than `keep`.
///
/// # Errors
/// It could not be moved. What can't be deleted is left.
pub(super) fn rotate(path: &Path, at_ms: u64, keep: Option<usize>) -> io::Result<()> {
    std::fs::rename(path, free_name(path, at_ms)?)?;
    // The name is as durable as the lines.
    sync_folder_of(path)?;
    if let Some(keep) = keep {
        let full = full(path)?;
        for old in &full[..full.len().saturating_sub(keep)] {
            if let Err(error) = std::fs::remove_file(old) {
                tracing::warn!(file = %old.display(), %error, "an old file can't be deleted");
            }
        }
    }
    Ok(())
}

/// What stands before the date, and behind it.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let ending = match text(path.extension()) {
        ending if ending.is_empty() => ending,
        ending => format!(".{ending}"),
    };
    (format!("{}-", text(path.file_stem())), ending)
}

fn free_name(path: &Path, at_ms: u64) -> io::Result<PathBuf> {
    let (before, behind) = parts(path);
    let date: String =
        moment(at_ms).chars().filter(|char| !matches!(char, '-' | ':' | '.')).collect();
    // Several at once: numbers keep them apart and in order.
    let mut names = (0..10_000).map(|number| match number {
        0 => path.with_file_name(format!("{before}{date}{behind}")),
        number => path.with_file_name(format!("{before}{date}.{number:04}{behind}")),
    });
    let free = names.find(|name| !name.exists());
    free.ok_or_else(|| io::Error::other("ten thousand files were filled at once"))
}

/// Oldest first: the names are in the order of their dates.
fn full(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (before, behind) = parts(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let middle = name.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&behind));
        if middle.is_some_and(is_date) {
            found.push(entry.path());
        }
    }
    // A number comes behind the name without one: `.` is less than a letter, so it is compared.
    found.sort_by_key(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_default().trim_end_matches(&behind).to_owned()
    });
    Ok(found)
}

/// `20261125T101500000Z`, perhaps with `.0001`.
fn is_date(text: &str) -> bool {
    let (date, number) = text.split_at_checked(19).unwrap_or_default();
    let shape = date.bytes().enumerate().all(|(place, byte)| match place {
        8 => byte == b'T',
        18 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    let counted = number.strip_prefix('.').is_some_and(|digits| {
        digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    date.len() == 19 && shape && (number.is_empty() || counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_go_by_their_dates_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for other in ["events-mine.jsonl", "events-20261125T101500000Z.txt", "events.jsonl.bak"] {
            std::fs::write(folder.path().join(other), "x").unwrap();
        }
        // 2026-11-25T10:15:00Z, twice, and a second later.
        for (line, at_ms) in
            [("1", 1_795_601_700_000), ("2", 1_795_601_700_000), ("3", 1_795_601_701_000)]
        {
            std::fs::write(&path, line).unwrap();
            rotate(&path, at_ms, Some(2)).unwrap();
        }
        let left = full(&path).unwrap();
        let read: Vec<String> =
            left.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(read, ["2", "3"]);
        assert!(left[0].ends_with("events-20261125T101500000Z.0001.jsonl"), "{left:?}");
        assert!(left[1].ends_with("events-20261125T101501000Z.jsonl"), "{left:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
        assert!(!path.exists());
    }
}
