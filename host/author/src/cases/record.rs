//! Writes what a plugin decided into its case, below what a person wrote there.
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use toml::Table;

use super::case::Case;
use super::difference::difference;
use super::outcome::{Bodies, Outcome};

/// Replaces the case's `[expect]`, which ends the file, and leaves all above it.
///
/// # Errors
/// When something stands below it, or the file can't be written.
pub(super) fn write(file: &Path, got: &Outcome, exact: bool) -> Result<()> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("can't read {shown}"))?;
    let new = replaced(&text, got, exact).with_context(|| shown.to_string())?;
    // What is written must be read back as what was got.
    let read = Case::expectation(file, &new).with_context(|| shown.to_string())?;
    let same = read.is_some_and(|read| difference(&read.outcome, got, exact, ["", ""]).is_none());
    ensure!(same, "{shown}: the expectation can't be written so that it is read back");
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut fresh = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    std::io::Write::write_all(&mut fresh, new.as_bytes())?;
    if let Ok(data) = std::fs::metadata(file) {
        fresh.as_file().set_permissions(data.permissions())?;
    }
    fresh.persist(file).with_context(|| format!("can't write {shown}"))?;
    Ok(())
}

fn replaced(text: &str, got: &Outcome, exact: bool) -> Result<String> {
    let table: Table = text.parse()?;
    let (mut above, mut below) = (text.trim_end(), "");
    if table.contains_key("expect") {
        let begin = text.match_indices("[expect]").map(|(at, _)| at).find(|at| {
            // The heading itself, not a body that speaks of it.
            text[..*at].ends_with('\n') && text[..*at].parse::<Table>().is_ok() || *at == 0
        });
        let Some(begin) = begin else { bail!("its expectation has no heading `[expect]`") };
        (above, below) = (text[..begin].trim_end(), &text[begin..]);
    }
    let headings = below.lines().filter(|line| line.starts_with('['));
    if let Some(other) = headings.into_iter().find(|line| !line.contains("expect")) {
        bail!("`{other}` stands below [expect]: move it above, so that --record loses nothing");
    }
    let bodies = if exact { Bodies::Exact } else { Bodies::Read };
    let space = if above.is_empty() { "" } else { "\n\n" };
    Ok(format!("{above}{space}{}", got.write(bodies)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use hookwright_plugins::{Amendment, Verdict};

    fn amended(body: &[u8]) -> Outcome {
        let mut amendment = Amendment::default();
        amendment.payload.body = Some(body.to_vec().into());
        amendment.attributes = vec![("team \"blue\"".into(), "a\\b".into())];
        Outcome::of(&Ok(Verdict::Amend(Box::new(amendment))))
    }

    #[test]
    fn what_a_person_wrote_stays_and_the_rest_is_replaced() {
        let text = "# Why.\n[event]\nbody = '''\n[expect]\n'''\n\n[expect]\nverdict = \"pass\"\n";
        let new = replaced(text, &Outcome::of(&Ok(Verdict::Drop("no".into()))), false).unwrap();
        assert_eq!(
            new,
            "# Why.\n[event]\nbody = '''\n[expect]\n'''\n\n[expect]\nverdict = \"drop\"\nreason = \"no\"\n"
        );
        let open = replaced("[event]\n", &Outcome::of(&Ok(Verdict::Pass)), false).unwrap();
        assert_eq!(open, "[event]\n\n[expect]\nverdict = \"pass\"\n");
        let below = "[expect]\nverdict = \"pass\"\n[settings]\na = 1\n";
        assert!(replaced(below, &Outcome::of(&Ok(Verdict::Pass)), false).is_err());
    }

    #[test]
    fn a_body_is_written_as_a_person_would() {
        let new = replaced("", &amended(br#"{"b":1.50,"a":"a long text that does not fit one line any more, so it is laid out"}"#), false);
        let new = new.unwrap();
        assert!(new.contains("body = '''\n{\n  \"b\": 1.50,\n  \"a\": \"a long"), "{new}");
    }

    proptest! {
        #[test]
        fn any_body_is_read_back(body in prop::collection::vec(any::<u8>(), 0..20), exact: bool) {
            read_back(&body, exact);
        }

        #[test]
        fn any_text_is_read_back(body in "([a\n\r\t'\"\\\\{}é\u{1}]|''')*", exact: bool) {
            read_back(body.as_bytes(), exact);
        }
    }

    fn read_back(body: &[u8], exact: bool) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("case.toml");
        std::fs::write(&file, "[event]\n").unwrap();
        write(&file, &amended(body), exact).unwrap();
        let case = Case::read(&file, &Table::new()).unwrap();
        let read = case.expected.unwrap().outcome;
        assert_eq!(difference(&read, &amended(body), exact, ["", ""]), None);
        if exact {
            assert_eq!(read.changes.body.as_deref(), Some(body));
        }
    }
}
