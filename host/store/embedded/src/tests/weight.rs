//! What waits in memory is weighed by what it holds, and whoever brings more waits or is refused.
use super::*;
use hookwright_store::StoreError;

const BUDGET: usize = 4 << 20;

/// Holds the index as another process would that reads it with a tool.
fn hold(opened: &Opened) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

fn large(event: &Arc<Event>, bytes: usize) -> Routed {
    let mut sent = delivery(event, "ci");
    sent.payload = changed(&"x".repeat(bytes));
    outcome(event, EventState::Routed, vec![sent])
}

/// The index held for 25 s under a plugin that makes bodies of 1 MB: the host grew
/// by 50 MB a second, since each outcome weighed 256 bytes.
#[test]
fn regression_bodies_that_plugins_made_count_against_the_budget() {
    let opened = Opened::with(|options| options.queue_bytes = BUDGET);
    let events: Vec<_> = (0..40).map(|number| opened.accept(&number.to_string())).collect();
    opened.store.flush().unwrap();
    assert!(opened.store.room().is_none());
    let held = hold(&opened);
    let mut routed = 0;
    for event in &events {
        if opened.store.room().is_some() {
            break;
        }
        opened.store.routed(large(event, 512 << 10));
        routed += 1;
        // Once it has left the journal it is on the index's account.
        opened
            .store
            .ask_journal(|reply| crate::writer::queue::Job::Rotate { before_ms: 0, reply })
            .unwrap();
    }
    assert!((4..=9).contains(&routed), "{routed} of 512 KiB fit into {BUDGET} bytes");
    assert!(opened.store.fullness() >= 1.0);
    assert!(matches!(opened.append(event("more")), Err(AppendError::Busy)));
    let room = opened.store.room().expect("no room");
    held.execute_batch("ROLLBACK").unwrap();
    wait(room);
    for event in &events[routed..] {
        if let Some(room) = opened.store.room() {
            wait(room);
        }
        opened.store.routed(large(event, 512 << 10));
    }
    opened.store.flush().unwrap();
    let mut cursor = None;
    let mut found = 0;
    loop {
        let page = opened.due_page("ci", START, cursor, 10);
        found += page.deliveries.len();
        let Some(last) = page.deliveries.last() else { break };
        let row = last.event.id.row();
        cursor = Some(crate::cursor::DueCursor { due_ms: last.due_ms, row });
    }
    assert_eq!(found, 40);
    assert_eq!(opened.store.index.weight(), 0);
}

/// The same where the journal can't be written: what waits there is weighed too,
/// and so is what was tried and has to be tried again.
#[test]
fn regression_payloads_that_find_no_room_on_the_disk_count_against_the_budget() {
    let disk = super::faulty::FaultyDisk::new();
    let with = disk.clone();
    let opened = Opened::with(move |options| {
        options.queue_bytes = BUDGET;
        options.disk = with;
    });
    let events: Vec<_> = (0..12).map(|number| opened.accept(&number.to_string())).collect();
    disk.set(super::faulty::Fault::Full);
    for event in &events {
        opened.store.routed(large(event, 512 << 10));
    }
    let until = Instant::now() + Duration::from_secs(20);
    // Tried again every quarter of a second: it must hold over some tries.
    for _ in 0..50 {
        assert!(opened.store.fullness() >= 1.0 && Instant::now() < until);
        assert!(opened.append(event("more")).is_err());
    }
    disk.set(super::faulty::Fault::None);
    opened.handed.wait("deliveries", |handed| handed.ready.len() == 12);
    opened.store.flush().unwrap();
    assert!(opened.store.fullness() < 0.01, "{}", opened.store.fullness());
}

/// Whatever came, nothing of it is left on the account in the end.
#[test]
fn what_was_weighed_is_given_back_whatever_became_of_it() {
    let opened = Opened::new();
    let events: Vec<_> = (0..20).map(|number| opened.accept(&number.to_string())).collect();
    for (number, event) in events.iter().enumerate() {
        let mut routed = large(event, 1_000 * number);
        routed.deliveries.push(delivery(event, "log"));
        routed.deliveries.iter_mut().for_each(|own| own.order_key = Some("key".into()));
        routed.first = number % 2 == 0;
        routed.reason = Some("because".repeat(number));
        opened.store.routed(routed);
        opened.store.routed(Routed { first: true, ..large(&opened.accept("y"), 0) });
    }
    for event in &events {
        opened.settle(event.id, "ci", 1, Next::Retry { due_ms: START });
        opened.settle(event.id, "log", 1, dead("no, never"));
        opened.store.replay(event.id, Some("log")).unwrap();
    }
    opened.store.flush().unwrap();
    assert_eq!(opened.store.index.weight(), 0);
    assert_eq!(opened.store.fullness(), 0.0);
    assert!(opened.store.unrecorded.is_empty());
}

#[test]
fn nobody_waits_for_room_in_a_store_that_is_closed() {
    let opened = Opened::with(|options| options.queue_bytes = BUDGET);
    let event = opened.accept("x");
    let held = hold(&opened);
    for _ in 0..9 {
        opened.store.routed(Routed { first: true, ..large(&event, 1 << 20) });
    }
    let room = opened.store.room();
    let store = opened.store.clone();
    let closing = std::thread::spawn(move || store.close());
    room.map(wait);
    held.execute_batch("ROLLBACK").unwrap();
    closing.join().unwrap();
    assert!(matches!(opened.store.flush(), Err(StoreError::Closed)));
}
