//! Tests of the marks: a crash is a mark that is leaked, so that nothing erases it.
use super::*;
use hookwright_model::EventId;

fn event(number: i64) -> Event {
    Event {
        id: EventId::new(number, 7),
        received_ms: 0,
        source: "shop".parse().unwrap(),
        kind: "".into(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
    }
}

fn open(dir: &tempfile::TempDir) -> Arc<InFlightLedger> {
    Arc::new(InFlightLedger::open(dir.path(), i64::MAX).unwrap())
}

fn take(ledger: &Arc<InFlightLedger>, number: i64) -> Option<LedgerEntry> {
    take_for(ledger, number, CallMode::Decide)
}

fn take_for(ledger: &Arc<InFlightLedger>, number: i64, mode: CallMode) -> Option<LedgerEntry> {
    ledger.take(&event(number), &"p".parse().unwrap(), Digest::new([1; 32]), mode)
}

/// The fault: a client that repeated a preview could crash the host each time.
#[tokio::test]
async fn regression_a_preview_that_crashes_the_host_is_marked_from_the_first_on() {
    let dir = tempfile::tempdir().unwrap();
    for crashes in 0..2 {
        let ledger = open(&dir);
        assert_eq!(ledger.is_suspected(event(1).id), crashes > 0);
        let preview = take_for(&ledger, 1, CallMode::Preview);
        assert!(preview.is_some(), "after {crashes} crashes");
        std::mem::forget(preview);
    }
    let ledger = open(&dir);
    assert!(ledger.isolate(event(1).id).await.unwrap().poison().is_some());
    // With two events, one after the other, the plugin's version is the cause.
    let plugin = "p".parse().unwrap();
    assert!(ledger.crash_loop(&plugin, Digest::new([1; 32])).is_none());
    std::mem::forget(take_for(&ledger, 2, CallMode::Preview));
    assert!(open(&dir).crash_loop(&plugin, Digest::new([1; 32])).is_some());
}

/// The fault: the event's row has its outcome already, so no later start suspected it.
#[tokio::test]
async fn regression_a_shadow_of_a_new_event_is_marked_once_the_host_has_crashed() {
    let dir = tempfile::tempdir().unwrap();
    let of_now =
        |ledger: &Arc<InFlightLedger>, mode| take_for(ledger, i64::MAX >> 20, mode).is_some();
    let ledger = Arc::new(InFlightLedger::open(dir.path(), 1).unwrap());
    assert!(!of_now(&ledger, CallMode::Shadow), "no cost before a crash");
    drop(ledger);
    let ledger = Arc::new(InFlightLedger::open(dir.path(), 1).unwrap());
    assert!(of_now(&ledger, CallMode::Shadow) && !of_now(&ledger, CallMode::Decide));
}

#[tokio::test]
async fn an_event_in_flight_at_two_crashes_is_poison_until_it_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir);
    assert!(take(&ledger, 1).is_none(), "nothing is marked before a crash");
    let ledger = open(&dir);
    let (one, two) = (take(&ledger, 1).unwrap(), take(&ledger, 2).unwrap());
    drop(two);
    assert!(take(&ledger, 3).is_some_and(|three| three.place == 1), "the place is reused");
    std::mem::forget(one);
    let ledger = open(&dir);
    assert!(ledger.isolate(event(2).id).await.is_none());
    let suspect = ledger.isolate(event(1).id).await.unwrap();
    assert_eq!(suspect.poison(), None);
    std::mem::forget((take(&ledger, 1), suspect));
    let ledger = open(&dir);
    let suspect = ledger.isolate(event(1).id).await.unwrap();
    let why = suspect.poison().unwrap();
    assert!(why.ends_with("the plugin 010101010101 p had it in hand"), "{why}");
    suspect.clear();
    assert!(ledger.isolate(event(1).id).await.is_none(), "a replay");
    assert!(open(&dir).isolate(event(1).id).await.is_none());
}

#[tokio::test]
async fn regression_an_event_without_a_recorded_outcome_stays_suspected() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir);
    std::mem::forget(take(&open(&dir), 1));
    let ledger = open(&dir);
    drop(ledger.isolate(event(1).id).await);
    assert!(ledger.is_suspected(event(1).id), "it asked for another try, say");
    std::mem::forget(take(&ledger, 1));
    let ledger = open(&dir);
    drop(ledger.isolate(event(1).id).await);
    assert!(open(&dir).isolate(event(1).id).await.unwrap().poison().is_some());
}

#[tokio::test]
async fn an_event_that_is_routed_is_cleared_and_a_clean_shutdown_clears_all() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir);
    std::mem::forget([take(&open(&dir), 1), take(&open(&dir), 2)]);
    std::mem::forget(take(&open(&dir), 1));
    let ledger = open(&dir);
    ledger.isolate(event(1).id).await.unwrap().clear();
    assert!(ledger.isolate(event(1).id).await.is_none());
    std::mem::forget(take(&ledger, 2));
    let ledger = open(&dir);
    let late = ledger.isolate(event(2).id).await.unwrap();
    ledger.close();
    late.clear();
    assert!(!dir.path().join(COUNTS).exists() && !dir.path().join(MARKS).exists());
    let ledger = open(&dir);
    assert!(ledger.isolate(event(2).id).await.is_none());
    assert!(take(&ledger, 2).is_none());
}

#[test]
fn a_start_that_failed_is_not_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).undo();
    assert!(take(&open(&dir), 1).is_none());
    let ledger = open(&dir);
    std::mem::forget(take(&ledger, 1));
    ledger.undo();
    assert!(open(&dir).is_suspected(event(1).id), "but it does not undo a crash");
}

#[tokio::test]
async fn suspected_events_are_routed_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir);
    let ledger = open(&dir);
    std::mem::forget([take(&ledger, 1), take(&ledger, 2)]);
    let ledger = open(&dir);
    let first = ledger.isolate(event(1).id).await;
    let mut second = Box::pin(ledger.isolate(event(2).id));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert!(second.await.is_some());
}

#[test]
fn garbled_files_do_not_keep_the_host_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MARKS), [0xff; 300]).unwrap();
    fs::write(dir.path().join(COUNTS), "{").unwrap();
    open(&dir);
}

/// The file was emptied through a link, and readable by everybody.
#[test]
fn regression_the_files_follow_no_link_and_only_the_hosts_user_reads_them() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs");
    fs::write(&theirs, "kept").unwrap();
    for name in [MARKS, COUNTS] {
        open(&dir);
        let path = dir.path().join(name);
        let _ = fs::remove_file(&path);
        symlink(&theirs, &path).unwrap();
        let error = InFlightLedger::open(dir.path(), i64::MAX).err().unwrap();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "kept");
        fs::remove_file(&path).unwrap();
    }
    open(&dir);
    let data = fs::metadata(dir.path().join(MARKS)).unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
}
