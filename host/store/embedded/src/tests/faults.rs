//! Full and broken disks: nothing false is claimed, reads go on, and room brings it back.
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::HeaderMap;

use super::faulty::{Fault, FaultyDisk};
use super::*;
use hookwright_store::StoreError;

fn opened() -> (Opened, Arc<FaultyDisk>) {
    let disk = FaultyDisk::new();
    let with = disk.clone();
    (Opened::with(move |options| options.disk = with), disk)
}

/// All events that a crash now, with everything unsynced lost, would leave.
fn after_power_loss(opened: &Opened, disk: &FaultyDisk) -> Opened {
    let copy = snapshot(opened.dir.path());
    disk.lose_power(copy.path());
    Opened::at(copy, opened.clock.clone(), |_| {})
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let (opened, disk) = opened();
    let before = opened.accept("before");
    disk.set(Fault::Full);
    for _ in 0..3 {
        assert!(matches!(opened.append(event("no room")), Err(AppendError::Full)));
    }
    assert!(opened.store.healthy(), "a full disk passes by itself");
    assert!(opened.store.event(before.id).unwrap().is_some(), "reads go on");
    disk.set(Fault::None);
    let after = opened.accept("after");
    assert!(after.id > before.id);
    let files = journal_files(opened.dir.path()).len();
    assert_eq!(files, 1, "the same segment goes on");
    let crashed = after_power_loss(&opened, &disk);
    assert!(crashed.store.event(before.id).unwrap().is_some());
    assert!(crashed.store.event(after.id).unwrap().is_some());
    assert_eq!(crashed.store.usage().unwrap().events, 2);
}

#[test]
fn a_reserve_refuses_before_the_disk_is_full_and_all_else_goes_on() {
    let disk = FaultyDisk::new();
    let with = disk.clone();
    let opened = Opened::with(move |options| {
        options.disk = with;
        options.reserve_bytes = 1 << 20;
        options.look = Duration::from_millis(5);
    });
    let before = opened.accept("before");
    let until_it_is = |full: bool| {
        let until = Instant::now() + Duration::from_secs(20);
        while matches!(opened.append(event("next")), Err(AppendError::Full)) != full {
            assert!(Instant::now() < until, "the disk is looked at");
        }
    };
    disk.free.store((1 << 20) - 1, Ordering::SeqCst);
    until_it_is(true);
    opened.route(&before, &["ci"]);
    opened.store.flush().unwrap();
    assert_eq!(opened.due("ci", START), [before.id], "deliveries and reads go on");
    assert!(opened.store.healthy());
    disk.free.store(1 << 20, Ordering::SeqCst);
    until_it_is(false);
}

#[test]
fn how_full_the_queue_is_follows_what_waits() {
    let disk = FaultyDisk::new();
    let with = disk.clone();
    let opened = Opened::with(move |options| {
        options.disk = with;
        options.queue_bytes = 100_000;
    });
    opened.accept("first");
    disk.set(Fault::Stuck);
    let waiting = opened.store.append(event(&"x".repeat(60_000)));
    let filled = opened.store.fullness();
    assert!((0.6..0.8).contains(&filled), "{filled}");
    disk.set(Fault::None);
    new_id(wait(waiting));
    opened.store.flush().unwrap();
    assert!(opened.store.fullness() < 0.1);
}

#[test]
fn what_a_full_disk_left_is_no_damage_in_a_segment_that_ended() {
    let (opened, disk) = opened();
    let before = opened.accept("before");
    disk.set(Fault::Full);
    let large = "x".repeat(50_000);
    assert!(matches!(opened.append(event(&large)), Err(AppendError::Full)));
    disk.set(Fault::None);
    opened.clock.set(START + 3_600_001);
    opened.accept("in the next segment");
    opened.store.close();
    assert_eq!(journal_files(opened.dir.path()).len(), 2);
    std::fs::remove_file(opened.dir.path().join("index.db")).unwrap();
    let opened = opened.again();
    assert_eq!(opened.store.usage().unwrap().events, 2);
    assert!(opened.store.event(before.id).unwrap().is_some());
}

#[test]
fn a_full_disk_at_the_first_event_recovers_too() {
    let (opened, disk) = opened();
    disk.set(Fault::Full);
    assert!(matches!(opened.append(event("x")), Err(AppendError::Full)));
    disk.set(Fault::None);
    opened.accept("y");
}

#[test]
fn after_a_failed_sync_nothing_is_claimed_and_the_segment_is_left() {
    let (opened, disk) = opened();
    let before = opened.accept("before");
    disk.set(Fault::Sync);
    assert!(matches!(opened.append(event("lost")), Err(AppendError::Failed(_))));
    let after = opened.accept("after");
    assert!(opened.store.healthy(), "a new segment could be made");
    assert_eq!(journal_files(opened.dir.path()).len(), 2);
    for crashed in [after_power_loss(&opened, &disk), opened.again()] {
        assert_eq!(crashed.store.usage().unwrap().events, 2);
        assert!(crashed.store.event(before.id).unwrap().is_some());
        assert!(crashed.store.event(after.id).unwrap().is_some());
    }
}

#[test]
fn a_broken_disk_makes_the_store_unhealthy_until_it_writes_again() {
    let (opened, disk) = opened();
    let before = opened.accept("before");
    disk.set(Fault::Write);
    assert!(matches!(opened.append(event("x")), Err(AppendError::Failed(_))));
    assert!(matches!(opened.append(event("x")), Err(AppendError::Failed(_))));
    assert!(!opened.store.healthy());
    assert!(opened.store.event(before.id).unwrap().is_some());
    disk.set(Fault::None);
    let after = opened.accept("after");
    assert!(opened.store.healthy());
    let opened = opened.again();
    assert_eq!(opened.store.usage().unwrap().events, 2);
    assert_eq!(&opened.store.event(after.id).unwrap().unwrap().event.body[..], b"after");
}

#[test]
fn a_payload_that_found_no_room_is_written_later() {
    let (opened, disk) = opened();
    let event = opened.accept("x");
    disk.set(Fault::Full);
    let mut sent = delivery(&event, "ci");
    sent.payload = changed("y");
    opened.store.routed(outcome(&event, EventState::Routed, vec![sent]));
    assert!(matches!(opened.append(super::event("x")), Err(AppendError::Full)));
    assert!(opened.handed.take_ready().is_empty());
    disk.set(Fault::None);
    opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
    let page = opened.due_page("ci", START, None, 10);
    assert_eq!(&page.deliveries[0].body()[..], b"y");
}

#[test]
fn a_failed_write_gives_the_key_free() {
    let (opened, disk) = opened();
    opened.accept("x");
    disk.set(Fault::Full);
    assert!(opened.append(keyed(1, 1_000)).is_err());
    disk.set(Fault::None);
    new_id(opened.append(keyed(1, 1_000)));
}

#[test]
fn a_row_never_names_a_payload_that_is_not_synced() {
    let (opened, disk) = opened();
    let event = opened.accept("x");
    opened.store.flush().unwrap();
    disk.set(Fault::Stuck);
    let mut sent = delivery(&event, "ci");
    sent.payload = changed("y");
    opened.store.routed(outcome(&event, EventState::Routed, vec![sent]));
    let crashed = after_power_loss(&opened, &disk);
    let waiting = crashed.unrouted(START).events;
    assert_eq!(waiting.len(), 1, "routed once more");
    disk.set(Fault::None);
    opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
    let crashed = after_power_loss(&opened, &disk);
    let page = crashed.due_page("ci", START, None, 10);
    assert_eq!(&page.deliveries[0].body()[..], b"y");
}

#[test]
fn an_acknowledged_event_is_synced() {
    let (opened, disk) = opened();
    for number in 0..20 {
        let id = opened.accept(&number.to_string()).id;
        let crashed = after_power_loss(&opened, &disk);
        assert!(crashed.store.event(id).unwrap().is_some(), "event {number}");
    }
    assert!(disk.syncs.load(Ordering::SeqCst) >= 20);
}

#[test]
fn a_full_index_keeps_what_it_was_told_until_there_is_room() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.route(&event, &["ci"]);
    opened.store.flush().unwrap();
    opened.handed.take_ready();
    opened.store.index.full.store(true, Ordering::SeqCst);
    let later = opened.accept("later");
    let mut routed = outcome(&later, EventState::Routed, vec![delivery(&later, "new-one")]);
    routed.reason = Some("needs pages ".repeat(9_000));
    opened.store.routed(routed);
    let until = Instant::now() + Duration::from_secs(20);
    while opened.store.index.write_health() == crate::index::queue::WriteHealth::Healthy {
        assert!(Instant::now() < until, "the index noticed nothing");
        std::thread::yield_now();
    }
    // It needs no page, so before that it might have found room by itself.
    opened.settle(event.id, "ci", 1, Next::Delivered);
    assert!(matches!(opened.store.due("ci", START, None, 9), Err(StoreError::Full)));
    assert!(matches!(opened.store.replay(event.id, None), Err(StoreError::Full)));
    let read = opened.store.event(event.id).unwrap().unwrap();
    assert_eq!(read.row.deliveries[0].state, hookwright_model::DeliveryState::Waiting);
    assert!(opened.handed.take_ready().is_empty());
    opened.accept("the journal has room");
    opened.store.index.full.store(false, Ordering::SeqCst);
    opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
    assert_eq!(opened.due("new-one", START), [later.id]);
    assert!(opened.due("ci", START).is_empty());
    let names: Vec<_> =
        opened.store.backlog().unwrap().into_iter().map(|b| b.destination).collect();
    assert_eq!(names, ["ci", "new-one"]);
}

struct Panics;

impl Handoff for Panics {
    fn durable(&self, _: Vec<Arc<Event>>) {
        panic!("as the test wants");
    }

    fn ready(&self, _: Vec<hookwright_model::Delivery>) {
        panic!("as the test wants");
    }
}

#[test]
fn a_thread_that_panics_leaves_nobody_waiting() {
    let dir = TempDir::new().unwrap();
    let options = Options::new(dir.path(), Clock::manual(START));
    let store = open_embedded(options, Arc::new(Panics)).unwrap();
    let id = new_id(wait(store.append(event("x"))));
    let refused = wait(store.append(event("y")));
    assert!(matches!(refused, Err(AppendError::Closed | AppendError::Failed(_))), "{refused:?}");
    assert!(!store.healthy());
    assert_eq!(wait(store.died()), "the store's thread `store-journal` panicked");
    let lone = Event {
        id,
        received_ms: id.millis(),
        source: name("a"),
        kind: "".into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let lone = Arc::new(lone);
    store.routed(outcome(&lone, EventState::Routed, vec![delivery(&lone, "ci")]));
    assert!(matches!(store.set_condition("ci", &Default::default()), Err(StoreError::Closed)));
    store.close();
}

struct PanicsWhenReady;

impl Handoff for PanicsWhenReady {
    fn durable(&self, _: Vec<Arc<Event>>) {}

    fn ready(&self, _: Vec<hookwright_model::Delivery>) {
        panic!("as the test wants");
    }
}

/// After a panic of the index's thread events were still written to the journal
/// and answered with 202, and nothing was done with any of them.
#[test]
fn regression_after_a_panic_of_the_index_thread_no_event_is_acknowledged() {
    let dir = TempDir::new().unwrap();
    let options = Options::new(dir.path(), Clock::manual(START));
    let store = open_embedded(options, Arc::new(PanicsWhenReady)).unwrap();
    let id = new_id(wait(store.append(event("x"))));
    let first = store.event(id).unwrap().unwrap().event;
    store.routed(outcome(&first, EventState::Routed, vec![delivery(&first, "ci")]));
    assert_eq!(wait(store.died()), "the store's thread `store-index` panicked");
    let refused = wait(store.append(event("y")));
    assert!(
        matches!(&refused, Err(AppendError::Failed(why)) if why.contains("store-index")),
        "{refused:?}"
    );
    assert!(!store.healthy());
    store.close();
    // What was acknowledged before is there after the restart.
    let again = Opened::at(Arc::new(dir), Clock::manual(START), |_| {});
    assert_eq!(again.due("ci", START), [id]);
}
