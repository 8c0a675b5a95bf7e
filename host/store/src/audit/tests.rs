//! What is in the audit log, whatever the disk did.
use super::*;

fn change(who: &str) -> Change {
    Change {
        who: who.into(),
        from: None,
        action: "POST /destinations/{name}/disable".into(),
        path: "/destinations/ci/disable".into(),
        body: Value::Null,
    }
}

/// Begun and ended.
fn whole(log: &AuditLog, at_ms: u64, who: &str) {
    let number = log.begin(at_ms, change(who)).unwrap();
    log.end(number, at_ms, 200).unwrap();
}

fn all() -> AuditQuery {
    AuditQuery { limit: 100, ..AuditQuery::default() }
}

fn numbers(log: &AuditLog, query: &AuditQuery) -> (Vec<u64>, Option<u64>) {
    let page = log.list(query).unwrap();
    (page.entries.iter().map(|entry| entry.number).collect(), page.next)
}

fn ends(log: &AuditLog) -> Vec<(u64, Option<u16>)> {
    let page = log.list(&all()).unwrap();
    page.entries.iter().map(|entry| (entry.number, entry.status)).collect()
}

#[test]
fn entries_outlive_the_process_and_come_newest_first_by_pages() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(dir.path()).unwrap();
    for at_ms in 0..3 {
        whole(&log, at_ms, "a");
    }
    drop(log);
    let log = AuditLog::open(dir.path()).unwrap();
    whole(&log, 3, "b");
    let two = AuditQuery { limit: 2, ..AuditQuery::default() };
    assert_eq!(numbers(&log, &two), (vec![4, 3], Some(3)));
    let rest = AuditQuery { before: Some(3), ..two.clone() };
    assert_eq!(numbers(&log, &rest), (vec![2, 1], None));
    assert_eq!(numbers(&log, &AuditQuery { who: Some("b".into()), ..two.clone() }).0, [4]);
    let narrow = AuditQuery { since_ms: Some(1), until_ms: Some(2), ..two.clone() };
    assert_eq!(numbers(&log, &narrow).0, [2]);
    assert!(numbers(&log, &AuditQuery { action: Some("replay".into()), ..two }).0.is_empty());
}

#[test]
fn an_entry_says_how_it_ended_and_what_did_not_end_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(dir.path()).unwrap();
    let (one, two) = (log.begin(0, change("a")).unwrap(), log.begin(1, change("b")).unwrap());
    log.end(two, 2, 409).unwrap();
    log.note(3, change("c"), 403).unwrap();
    assert_eq!(ends(&log), [(3, Some(403)), (2, Some(409)), (1, None)]);
    log.end(one, 4, 200).unwrap();
    assert_eq!(ends(&AuditLog::open(dir.path()).unwrap())[2], (1, Some(200)));
}

/// As versions before wrote it: one line, when it was over.
#[test]
fn lines_of_before_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let old = r#"{"number":7,"at_ms":1,"who":"a","from":null,"action":"reload","path":"x","body":null,"status":422}"#;
    std::fs::write(dir.path().join("audit.jsonl"), format!("{old}\n")).unwrap();
    let log = AuditLog::open(dir.path()).unwrap();
    whole(&log, 2, "b");
    assert_eq!(ends(&log), [(8, Some(200)), (7, Some(422))]);
}

/// The first good line after a cut one was glued to it, and both were lost.
#[test]
fn regression_a_line_that_was_cut_off_takes_no_other_along_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let cut = |bytes: &[u8]| append(&path).unwrap().write_all(bytes).unwrap();
    whole(&AuditLog::open(dir.path()).unwrap(), 0, "a");
    cut(b"{\"number\":2,\"at");
    let log = AuditLog::open(dir.path()).unwrap();
    whole(&log, 1, "b");
    cut(b"{\"of\":2");
    whole(&log, 2, "c");
    assert_eq!(ends(&log), [(3, Some(200)), (2, Some(200)), (1, Some(200))]);
    assert_eq!(log.list(&all()).unwrap().broken, 2);
}

/// On a full disk changes were made without a line.
#[test]
fn regression_what_a_full_disk_does_not_take_is_refused_or_owed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, kept) = (dir.path().join("audit.jsonl"), dir.path().join("kept"));
    let log = AuditLog::open(dir.path()).unwrap();
    let number = log.begin(0, change("a")).unwrap();
    // Every write to this one finds no space left on the device.
    std::fs::rename(&path, &kept).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    assert!(log.begin(1, change("b")).is_err(), "it must not be done");
    assert!(log.end(number, 2, 200).is_err());
    assert!(log.note(3, change("settings"), 422).is_err());
    std::fs::rename(&kept, &path).unwrap();
    assert_eq!(ends(&log), [(2, Some(422)), (1, Some(200))], "they are in memory");
    assert_eq!(ends(&AuditLog::open(dir.path()).unwrap()), [(1, None)], "and not on the disk");
    whole(&log, 4, "c");
    let log = AuditLog::open(dir.path()).unwrap();
    assert_eq!(ends(&log), [(3, Some(200)), (2, Some(422)), (1, Some(200))]);
    assert_eq!(log.list(&all()).unwrap().broken, 0);
}

#[test]
fn what_is_owed_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("audit.jsonl")).unwrap();
    let log = AuditLog::open(dir.path()).unwrap();
    let long = Change { body: "x".repeat(10_000).into(), ..change("a") };
    for _ in 0..2_000 {
        assert!(log.note(0, long.clone(), 200).is_err());
    }
    let bytes: usize = log.open.lock().owed.iter().map(Vec::len).sum();
    assert!(bytes <= OWED_BYTES && ends(&log)[0].0 == 2_000, "{bytes}");
}

#[test]
fn a_full_file_becomes_the_older_one_and_one_that_was_moved_away_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let log = AuditLog::open(dir.path()).unwrap();
    let number = log.begin(0, change("a")).unwrap();
    append(&path).unwrap().write_all(&vec![b'\n'; MOST as usize]).unwrap();
    log.end(number, 1, 200).unwrap();
    assert!(dir.path().join("audit.older.jsonl").exists());
    assert_eq!(ends(&log), [(1, Some(200))], "the end stands in the newer file");
    drop(log);
    // Right after the turn only the older one may have entries.
    std::fs::write(&path, "").unwrap();
    let log = AuditLog::open(dir.path()).unwrap();
    assert_eq!(log.open.lock().last, 1);
    std::fs::remove_file(&path).unwrap();
    whole(&log, 2, "b");
    assert_eq!(ends(&log)[0], (2, Some(200)), "nothing goes into a file that nobody finds");
}

#[test]
fn regression_in_a_folder_of_others_the_log_follows_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs");
    std::fs::write(&theirs, "").unwrap();
    std::os::unix::fs::symlink(&theirs, dir.path().join("audit.jsonl")).unwrap();
    let open = |mode| {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        AuditLog::open(dir.path())
    };
    assert!(open(0o700).is_ok(), "a person laid it elsewhere");
    assert!(open(0o777).is_err());
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "");
}
