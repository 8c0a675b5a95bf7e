//! After a crash: no acknowledged event is lost, whatever the index still knows.
use std::fs;
use std::path::Path;

use super::*;

/// Bodies of all events, oldest first.
fn bodies(opened: &Opened) -> Vec<String> {
    let query = hookwright_store::EventQuery { limit: 1_000, ..Default::default() };
    let rows = opened.store.events(&query).unwrap();
    let body = |id| opened.store.event(id).unwrap().unwrap().event.body.clone();
    rows.iter().rev().map(|row| String::from_utf8(body(row.id).to_vec()).unwrap()).collect()
}

fn reopened(dir: Arc<TempDir>) -> Opened {
    Opened::at(dir, Clock::manual(START), |_| {})
}

/// Up to where a segment was written; spare room behind it is zeros.
fn written(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

#[test]
fn a_journal_cut_anywhere_in_its_last_record_loses_only_that() {
    let opened = Opened::with(|options| options.segment_bytes = 4_096);
    opened.accept("one");
    opened.accept("two");
    opened.store.flush().unwrap();
    let before = snapshot(opened.dir.path());
    let file = journal_files(opened.dir.path()).remove(0);
    let start = written(&file);
    opened.accept("three");
    let end = written(&file);
    assert_eq!(fs::metadata(&file).unwrap().len(), 4_096, "room is reserved");
    for (length, spare) in (start..=end).flat_map(|length| [(length, 0), (length, 500)]) {
        let copy = snapshot(before.path());
        let to = copy.path().join("journal").join(file.file_name().unwrap());
        fs::copy(&file, &to).unwrap();
        let cut = fs::File::options().write(true).open(&to).unwrap();
        cut.set_len(length).unwrap();
        cut.set_len(length + spare).unwrap();
        let after = reopened(copy);
        let whole = length == end;
        assert_eq!(bodies(&after).len(), if whole { 3 } else { 2 }, "cut at {length} + {spare}");
        after.accept("four");
        assert_eq!(bodies(&after.again()).last().unwrap(), "four");
    }
}

#[test]
fn a_torn_end_of_zeros_or_rubbish_is_cut_off() {
    for rest in [&[0u8; 5_000][..], &[0xa5; 5_000], b"\x01"] {
        let opened = Opened::new();
        opened.accept("one");
        opened.store.close();
        let file = journal_files(opened.dir.path()).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        let length = bytes.len();
        bytes.extend_from_slice(rest);
        fs::write(&file, bytes).unwrap();
        let after = opened.again();
        assert_eq!(fs::metadata(&file).unwrap().len(), length as u64);
        after.accept("two");
        assert_eq!(bodies(&after.again()), ["one", "two"]);
    }
}

#[test]
fn a_segment_that_ended_or_was_closed_keeps_no_spare_room() {
    let opened = Opened::with(|options| options.segment_bytes = 500);
    for number in 0..20 {
        opened.accept(&number.to_string());
    }
    opened.store.close();
    let files = journal_files(opened.dir.path());
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().len(), written(&file), "{}", file.display());
    }
}

#[test]
fn what_was_handed_on_before_its_rows_were_committed_is_routed_again_after_a_crash() {
    let opened = Opened::new();
    let event = opened.accept("x");
    let routed = outcome(&event, EventState::Routed, vec![delivery(&event, "one")]);
    opened.store.routed(Routed { first: true, ..routed });
    assert_eq!(opened.handed.take_ready().len(), 1);
    let crashed = reopened(snapshot(opened.dir.path()));
    let again = crashed.unrouted(START);
    let ids: Vec<_> = again.events.iter().map(|one| (one.event.id, one.replay)).collect();
    // Unless the machine was so slow that the rows were there already.
    assert!(ids == [(event.id, false)] || crashed.due("one", START) == [event.id], "{ids:?}");
}

#[test]
fn a_segment_that_was_never_begun_is_removed() {
    let opened = Opened::new();
    opened.accept("one");
    opened.store.close();
    let half = opened.dir.path().join("journal/00000009-0000000000000fff.journal");
    fs::write(&half, b"hookwri").unwrap();
    let after = opened.again();
    assert!(!half.exists());
    after.accept("two");
    assert_eq!(bodies(&after), ["one", "two"]);
}

#[test]
fn without_its_index_the_store_reads_every_event_back() {
    let opened = Opened::with(|options| options.segment_bytes = 500);
    let all: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let mut last = None;
    for body in &all {
        last = Some(opened.accept(body).id);
    }
    let keyed_id = new_id(opened.append(keyed(1, 9_999)));
    opened.store.close();
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(opened.dir.path().join(file));
    }
    let after = opened.again();
    assert_eq!(bodies(&after)[..30], all);
    assert_eq!(after.append(keyed(1, 9_999)).unwrap(), Appended::Duplicate(keyed_id));
    let next = after.accept("next");
    assert!(next.id > last.unwrap() && next.id.node() == last.unwrap().node());
    assert_eq!(after.store.usage().unwrap().events, 32);
}

#[test]
fn an_older_index_catches_up() {
    let opened = Opened::with(|options| options.segment_bytes = 500);
    let mut copies = Vec::new();
    for number in 0..12 {
        let event = opened.accept(&number.to_string());
        opened.route(&event, &["ci"]);
        if number % 3 == 0 {
            opened.store.flush().unwrap();
        }
        copies.push(snapshot(opened.dir.path()));
    }
    for copy in copies {
        fs::remove_dir_all(copy.path().join("journal")).unwrap();
        fs::create_dir(copy.path().join("journal")).unwrap();
        for file in journal_files(opened.dir.path()) {
            fs::copy(&file, copy.path().join("journal").join(file.file_name().unwrap())).unwrap();
        }
        let after = reopened(copy);
        assert_eq!(bodies(&after).len(), 12);
        // What was not routed any more is routed again; the rest waits as it did.
        let waiting = after.unrouted(START).events.len();
        assert_eq!(waiting + after.due("ci", START).len(), 12);
    }
}

#[test]
fn a_crash_at_any_moment_of_a_busy_store_loses_nothing() {
    let opened = Opened::with(|options| options.segment_bytes = 4_000);
    let mut known: Vec<EventId> = Vec::new();
    for round in 0..25 {
        for number in 0..8 {
            let event = opened.accept(&format!("{round}-{number}"));
            known.push(event.id);
            let mut sent = delivery(&event, "ci");
            sent.payload = (number % 2 == 0).then(|| changed("y")).flatten();
            opened.store.routed(outcome(&event, EventState::Routed, vec![sent]));
            if number % 3 == 0 {
                opened.handed.wait("delivery", |handed| {
                    handed.ready.iter().any(|one| one.event.id == event.id)
                });
                opened.settle(event.id, "ci", 1, Next::Delivered);
            }
        }
        let after = reopened(snapshot(opened.dir.path()));
        for id in &known {
            assert!(after.store.event(*id).unwrap().is_some(), "{id} is lost in round {round}");
        }
        let reread = reopened(snapshot(after.dir.path()));
        assert_eq!(reread.store.usage().unwrap().events as usize, known.len());
    }
}

#[test]
fn an_event_whose_record_is_gone_ends_as_dead_and_holds_nothing_up() {
    // Each event has a segment of its own.
    let opened = Opened::with(|options| options.segment_bytes = 1);
    let events: Vec<_> = ["one", "two", "three"].map(|body| opened.accept(body)).into();
    opened.route(&events[0], &["ci"]);
    opened.route(&events[1], &["ci"]);
    opened.store.close();
    let files = journal_files(opened.dir.path());
    for file in [&files[0], &files[2]] {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let after = opened.again();
    after.store.index.push(crate::index::ops::Op::Unreadable {
        row: events[1].id.row(),
        destination: Some("ci".into()),
    });
    assert_eq!(after.due("ci", START), [events[1].id], "what can be read is not given up");
    assert!(after.unrouted(START).events.is_empty());
    after.store.flush().unwrap();
    let backlog = after.store.backlog().unwrap();
    assert_eq!((backlog[0].waiting, backlog[0].dead), (1, 1));
    let rows = after.store.events(&hookwright_store::EventQuery { limit: 9, ..Default::default() });
    let states: Vec<_> = rows.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [EventState::Dead, EventState::Routed, EventState::Routed]);
}

#[test]
fn an_event_whose_routing_takes_long_is_not_lost_behind_quicker_ones() {
    let opened = Opened::new();
    for round in 0..10 {
        let slow = opened.accept("slow");
        let quick = opened.accept("quick");
        opened.route(&quick, &["ci"]);
        opened.handed.wait("delivery", |handed| handed.ready.len() == round + 1);
        let after = reopened(snapshot(opened.dir.path()));
        assert!(after.store.event(slow.id).unwrap().is_some(), "round {round}");
        opened.route(&slow, &[]);
    }
}
