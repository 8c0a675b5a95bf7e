//! Deduplication is exact: under concurrency, across restarts and crashes, and to the end of its window.
use super::*;

fn first(opened: &Opened, key: u8, window_ms: u64) -> EventId {
    new_id(opened.append(keyed(key, window_ms)))
}

fn duplicate_of(opened: &Opened, key: u8) -> Option<EventId> {
    match opened.append(keyed(key, 1_000)).unwrap() {
        Appended::Duplicate(id) => Some(id),
        Appended::New(_) => None,
    }
}

#[test]
fn a_key_is_known_before_and_after_the_index_has_it() {
    let opened = Opened::new();
    let id = first(&opened, 1, 1_000);
    assert_eq!(duplicate_of(&opened, 1), Some(id), "from memory");
    opened.store.flush().unwrap();
    assert_eq!(duplicate_of(&opened, 1), Some(id), "from the index");
    let opened = opened.again();
    assert_eq!(duplicate_of(&opened, 1), Some(id), "after a restart");
    assert_eq!(duplicate_of(&opened, 2), None);
}

#[test]
fn a_key_survives_a_crash_before_the_index_has_it() {
    let opened = Opened::new();
    let id = first(&opened, 1, 1_000);
    let copy = snapshot(opened.dir.path());
    let after = Opened::at(copy, opened.clock.clone(), |_| {});
    assert_eq!(duplicate_of(&after, 1), Some(id));
}

#[test]
fn the_window_counts_from_the_first_event() {
    let opened = Opened::new();
    let id = first(&opened, 1, 1_000);
    opened.clock.set(START + 600);
    assert_eq!(duplicate_of(&opened, 1), Some(id));
    opened.clock.set(START + 999);
    assert_eq!(duplicate_of(&opened, 1), Some(id));
    opened.clock.set(START + 1_000);
    let second = first(&opened, 1, 1_000);
    assert_eq!(duplicate_of(&opened, 1), Some(second));
    // The same once the index has it, and for a key that expired there.
    opened.store.flush().unwrap();
    assert_eq!(duplicate_of(&opened, 1), Some(second));
    opened.clock.set(START + 2_000);
    let third = first(&opened, 1, 1_000);
    opened.store.flush().unwrap();
    assert_eq!(duplicate_of(&opened, 1), Some(third));
}

#[test]
fn expired_keys_leave_the_index() {
    let opened = Opened::new();
    for key in 0..50 {
        first(&opened, key, 10);
    }
    opened.store.flush().unwrap();
    opened.clock.set(START + 20_000);
    first(&opened, 99, 10);
    opened.store.flush().unwrap();
    let conn = crate::index::schema::open_reader(opened.dir.path()).unwrap();
    let left: i64 = conn.query_row("SELECT count(*) FROM dedupe", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
}

/// Keys were looked up in the database by the thread that writes the journal: a
/// slow look-up held up every event, those without a key too.
#[test]
fn regression_a_slow_look_up_of_a_key_holds_no_event_without_one_up() {
    let opened = Opened::new();
    opened.store.queue.set_stuck(true);
    let first = opened.store.append(keyed(1, 1_000));
    let second = opened.store.append(keyed(1, 1_000));
    for number in 0..20 {
        opened.accept(&number.to_string());
    }
    opened.store.queue.set_stuck(false);
    let id = new_id(wait(first));
    assert_eq!(wait(second).unwrap(), Appended::Duplicate(id));
}

/// Those that are looked up when the store is closed are written and answered.
#[test]
fn events_whose_keys_are_looked_up_at_the_close_are_written() {
    let opened = Opened::new();
    let waiting: Vec<_> = (0..50).map(|key| opened.store.append(keyed(key, 9_999))).collect();
    opened.store.close();
    let ids: Vec<_> = waiting.into_iter().map(|one| new_id(wait(one))).collect();
    let opened = opened.again();
    for (key, id) in ids.iter().enumerate() {
        assert_eq!(duplicate_of(&opened, key as u8), Some(*id));
    }
}
