//! What stops an opening says so, names the place, and gives the cure.
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::OpenError;
use crate::index::schema::FORMAT;
use crate::journal::segment::HEADER;
use hookwright_store::Condition;

fn try_open(dir: &Path) -> Result<Embedded, OpenError> {
    open_embedded(Options::new(dir, Clock::manual(START)), Arc::new(Recorder::default()))
}

fn refused(dir: &Path) -> OpenError {
    match try_open(dir) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// A closed store with a few events, in a journal of one segment.
fn closed() -> Arc<TempDir> {
    let opened = Opened::new();
    for body in ["one", "two", "three"] {
        opened.accept(body);
    }
    opened.store.close();
    opened.dir.clone()
}

fn change(file: &Path, offset: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::File::options().write(true).open(file).unwrap().write_all_at(bytes, offset).unwrap();
}

#[test]
fn a_second_process_is_refused_and_told_the_first_ones_pid() {
    let opened = Opened::new();
    let error = refused(opened.dir.path());
    let own = std::process::id();
    assert!(matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == own), "{error}");
    assert!(error.to_string().contains("data_dir"), "{error}");
    opened.store.close();
    try_open(opened.dir.path()).unwrap();
}

#[test]
fn a_newer_format_is_refused_with_both_versions() {
    let dir = closed();
    let file = journal_files(dir.path()).remove(0);
    change(&file, 8, &9u32.to_le_bytes());
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::Newer { found: 9, known: 2, .. }), "{error}");

    let dir = closed();
    let conn = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(conn);
    let error = refused(dir.path());
    assert!(matches!(error, OpenError::Newer { found: 999, known: FORMAT, .. }), "{error}");
}

#[test]
fn an_index_of_the_first_format_is_brought_up_to_date() {
    let dir = closed();
    let conn = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    conn.execute_batch(
        "DROP TABLE aside; DROP TABLE replay; DROP INDEX delivery_head; DROP INDEX delivery_behind;
         ALTER TABLE standing DROP COLUMN held_segment; ALTER TABLE standing DROP COLUMN held_offset;
         ALTER TABLE destination DROP COLUMN paused; ALTER TABLE destination DROP COLUMN failing;
         DROP INDEX event_received; ALTER TABLE event DROP COLUMN received;
         ALTER TABLE delivery DROP COLUMN replayed;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(conn);
    let store = try_open(dir.path()).unwrap();
    assert_eq!(store.usage().unwrap().events, 3);
    let paused = Condition { paused_until_ms: Some(START), ..Condition::default() };
    store.set_condition("ci", &paused).unwrap();
    assert_eq!(store.conditions().unwrap(), [("ci".to_owned(), paused)]);
}

#[test]
fn a_damaged_header_is_named_by_file_and_offset() {
    let dir = closed();
    let files = journal_files(dir.path());
    change(&files[0], 20, b"!!");
    let error = refused(dir.path());
    let named = matches!(&error, OpenError::Damaged { file, offset: 0, .. } if *file == files[0]);
    assert!(named, "{error}");
}

/// One bit of a segment's header kept the whole host from starting.
#[test]
fn regression_one_flipped_bit_of_a_header_is_set_right() {
    let dir = closed();
    let file = journal_files(dir.path()).remove(0);
    let before = fs::read(&file).unwrap();
    for place in 0..HEADER as usize {
        let mut bytes = before.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&file, bytes).unwrap();
        let store = try_open(dir.path()).unwrap();
        assert_eq!(store.usage().unwrap().events, 3, "byte {place}");
        assert_eq!(store.faults().len(), 1, "byte {place}");
        store.close();
        assert_eq!(fs::read(&file).unwrap(), before, "byte {place}");
    }
}

#[test]
fn damage_in_the_index_says_that_the_journal_can_rebuild_it() {
    let dir = closed();
    fs::write(dir.path().join("index.db"), vec![b'x'; 9_000]).unwrap();
    let error = refused(dir.path());
    assert!(matches!(&error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("index.db* away"), "{error}");
}

#[test]
fn an_index_ahead_of_its_journal_is_refused() {
    let dir = closed();
    let file = journal_files(dir.path()).remove(0);
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
    let error = refused(dir.path());
    assert!(
        matches!(&error, OpenError::Damaged { offset, .. } if *offset == length - 1),
        "{error}"
    );
    fs::remove_file(&file).unwrap();
    assert!(matches!(refused(dir.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_journal_of_another_store_is_refused() {
    let (one, other) = (closed(), closed());
    for file in journal_files(one.path()) {
        fs::remove_file(file).unwrap();
    }
    for file in journal_files(other.path()) {
        let to = one.path().join("journal").join(file.file_name().unwrap());
        fs::copy(&file, to).unwrap();
    }
    let error = refused(one.path());
    assert!(error.to_string().contains("another store"), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, "").unwrap();
    assert!(matches!(refused(&path), OpenError::NotDirectory { .. }));
    assert!(matches!(refused(&path.join("below")), OpenError::NotDirectory { .. }));
}

#[test]
fn a_directory_without_permission_is_refused() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = OpenError::io(Path::new("/data"))(error);
    assert!(matches!(error, OpenError::Permission { .. }));
    // Root may do everything, so only others see it for real.
    let dir = closed();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::File::create(dir.path().join("probe")).is_err() {
        fs::set_permissions(dir.path().join("LOCK"), fs::Permissions::from_mode(0o000)).unwrap();
        assert!(matches!(refused(dir.path()), OpenError::Permission { .. }));
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_full_disk_is_named() {
    let error = OpenError::io(Path::new("/data"))(std::io::ErrorKind::StorageFull.into());
    assert!(matches!(&error, OpenError::Full { .. }));
    assert!(error.to_string().contains("/data"), "{error}");
}

#[test]
fn files_are_the_owners_alone() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("deep").join("data");
    let store = try_open(&dir).unwrap();
    new_id(wait(store.append(event("x"))));
    store.flush().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("journal"))), (0o700, 0o700));
    let mut files = journal_files(&dir);
    files.extend(["LOCK", "index.db", "index.db-wal"].map(|file| dir.join(file)));
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
