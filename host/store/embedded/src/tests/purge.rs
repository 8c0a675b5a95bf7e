//! Retention: what is finished and old goes, what is unfinished stays, and files are freed.
use std::sync::atomic::Ordering;

use super::faulty::FaultyDisk;
use super::*;
use hookwright_model::DeliveryState;

const DAY: u64 = 86_400_000;

fn small(options: &mut Options) {
    options.segment_bytes = 300;
}

/// Forty events by turns: not routed; to one destination that has it and one
/// that waits for changed bytes; parked; dead.
fn forty() -> (Opened, Vec<Arc<Event>>) {
    let opened = Opened::with(small);
    let events: Vec<_> = (0..40).map(|number| opened.accept(&number.to_string())).collect();
    for (number, event) in events.iter().enumerate() {
        match number % 4 {
            0 => {}
            1 => {
                let mut sent = delivery(event, "ci");
                sent.payload = changed(&format!("changed {number}"));
                opened.store.routed(outcome(
                    event,
                    EventState::Routed,
                    vec![sent, delivery(event, "log")],
                ));
            }
            2 => drop(opened.store.routed(outcome(event, EventState::Parked, Vec::new()))),
            _ => {
                opened.route(event, &["ci"]);
            }
        }
    }
    opened.store.flush().unwrap();
    for (number, event) in events.iter().enumerate() {
        match number % 4 {
            1 => opened.settle(event.id, "log", 1, Next::Delivered),
            3 => opened.settle(event.id, "ci", 1, dead("no")),
            _ => {}
        }
    }
    opened.store.flush().unwrap();
    (opened, events)
}

#[test]
fn finished_events_go_and_unfinished_ones_are_carried_over() {
    let (opened, events) = forty();
    assert_eq!(opened.store.purge(START).unwrap().events, 0, "nothing is old yet");
    let mut before = journal_files(opened.dir.path());
    before.retain(|file| file.metadata().unwrap().len() > crate::journal::segment::HEADER);
    assert!(before.len() > 4);
    opened.clock.set(START + DAY);
    let purged = opened.store.purge(START + 1).unwrap();
    assert_eq!((purged.events, purged.kept), (20, 20));
    assert!(before.iter().all(|file| !file.exists()), "every old file is gone");
    let check = |opened: &Opened| {
        assert_eq!(opened.store.usage().unwrap().events, 20);
        for (number, event) in events.iter().enumerate() {
            let read = opened.store.event(event.id).unwrap();
            assert_eq!(read.is_some(), number % 4 < 2, "event {number}");
            let Some(read) = read else { continue };
            assert_eq!(read.event.body, event.body);
            assert_eq!(read.event.headers, event.headers);
            if number % 4 == 1 {
                let own = read.deliveries.iter().find(|one| one.row.destination == "ci").unwrap();
                let body = own.payload.as_ref().unwrap().body.clone().unwrap();
                assert_eq!(&body[..], format!("changed {number}").as_bytes());
            }
        }
        assert_eq!(opened.due("ci", START).len(), 10);
        assert_eq!(opened.unrouted(START).events.len(), 10);
        let backlog = opened.store.backlog().unwrap();
        assert_eq!((backlog[0].waiting, backlog[0].dead), (10, 0));
    };
    check(&opened);
    let copy = snapshot(opened.dir.path());
    check(&Opened::at(copy, opened.clock.clone(), |_| {}));
    let opened = opened.again();
    check(&opened);

    // Once they are finished, they go too, and ids still rise.
    for event in &events {
        opened.settle(event.id, "ci", 1, Next::Delivered);
        let waiting = opened.unrouted(START).events;
        for one in waiting {
            opened.store.routed(outcome(&one.event, EventState::Dropped, Vec::new()));
        }
    }
    let newest = opened.accept("new");
    opened.clock.set(START + 3 * DAY);
    let purged = opened.store.purge(START + 2 * DAY).unwrap();
    assert_eq!((purged.events, purged.kept), (20, 1));
    assert!(opened.store.event(newest.id).unwrap().is_some());
    let opened = opened.again();
    assert!(opened.accept("newer").id > newest.id);
}

#[test]
fn a_purge_that_was_cut_short_goes_on() {
    let opened = Opened::with(small);
    let events: Vec<_> = (0..20).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events[1..] {
        opened.store.routed(outcome(event, EventState::Dropped, Vec::new()));
    }
    opened.store.flush().unwrap();
    let old = snapshot(opened.dir.path());
    opened.clock.set(START + DAY);
    assert_eq!(opened.store.purge(START + 1).unwrap().events, 19);
    // As if no file had been deleted yet: the rows are gone, the files stand.
    for file in journal_files(old.path()) {
        let to = opened.dir.path().join("journal").join(file.file_name().unwrap());
        if !to.exists() {
            std::fs::copy(file, to).unwrap();
        }
    }
    let opened = opened.again();
    assert_eq!(opened.store.usage().unwrap().events, 1, "nothing rose from the dead");
    let purged = opened.store.purge(START + 1).unwrap();
    assert_eq!(purged.events, 0);
    assert!(purged.bytes > 0);
    assert_eq!(opened.unrouted(START).events[0].event.body, events[0].body);
}

#[test]
fn an_index_older_than_the_purge_finds_the_copies() {
    let opened = Opened::with(small);
    let events: Vec<_> = (0..20).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events {
        let mut sent = delivery(event, "ci");
        sent.payload = changed("changed");
        opened.store.routed(outcome(event, EventState::Routed, vec![sent]));
    }
    opened.store.flush().unwrap();
    let old = snapshot(opened.dir.path());
    opened.clock.set(START + DAY);
    opened.store.purge(START + 1).unwrap();
    let copy = snapshot(opened.dir.path());
    for file in ["index.db", "index.db-wal"] {
        std::fs::copy(old.path().join(file), copy.path().join(file)).unwrap();
    }
    let after = Opened::at(copy, opened.clock.clone(), |_| {});
    for event in events {
        let read = after.store.event(event.id).unwrap().unwrap();
        assert_eq!(read.event.body, event.body);
    }
}

#[test]
fn without_traffic_a_purge_copies_nothing_twice() {
    let disk = FaultyDisk::new();
    let opened = Opened::with(|options| options.disk = disk.clone());
    let waiting = opened.accept("waits");
    opened.clock.set(START + DAY);
    assert_eq!(opened.store.purge(START + 1).unwrap().kept, 1);
    let syncs = disk.syncs.load(Ordering::SeqCst);
    for day in 2..5 {
        opened.clock.set(START + day * DAY);
        assert_eq!(opened.store.purge(START + (day - 1) * DAY).unwrap(), Default::default());
    }
    assert_eq!(disk.syncs.load(Ordering::SeqCst), syncs);
    assert!(opened.store.event(waiting.id).unwrap().is_some());
}

#[test]
fn a_segment_ends_with_its_age() {
    let opened = Opened::new();
    opened.accept("x");
    opened.clock.set(START + 3_600_001);
    opened.accept("y");
    assert_eq!(journal_files(opened.dir.path()).len(), 2);
}

#[test]
fn a_replay_in_the_middle_of_a_purge_is_not_lost() {
    let opened = Opened::with(small);
    let events: Vec<_> = (0..200).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events {
        opened.store.routed(outcome(event, EventState::Dropped, Vec::new()));
    }
    opened.store.flush().unwrap();
    opened.clock.set(START + DAY);
    let store = Arc::clone(&opened.store);
    let purging = std::thread::spawn(move || store.purge(START + 1).unwrap());
    let replayed: Vec<_> =
        events.iter().filter(|event| opened.store.replay(event.id, None).unwrap()).collect();
    let purged = purging.join().unwrap();
    assert_eq!(purged.events as usize + replayed.len(), events.len());
    for event in replayed {
        let read = opened.store.event(event.id).unwrap().unwrap();
        assert_eq!((read.row.state, &read.event.body), (EventState::Accepted, &event.body));
        assert!(read.deliveries.iter().all(|one| one.row.state != DeliveryState::Dead));
    }
}

#[test]
fn a_page_read_during_a_purge_loses_nothing() {
    let opened = Opened::with(small);
    let events: Vec<_> = (0..150).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events {
        let mut sent = delivery(event, "ci");
        sent.payload = changed("changed");
        opened.store.routed(outcome(event, EventState::Routed, vec![sent]));
    }
    opened.store.flush().unwrap();
    opened.clock.set(START + DAY);
    let store = Arc::clone(&opened.store);
    let purging = std::thread::spawn(move || store.purge(START + 1).unwrap());
    while !purging.is_finished() {
        assert_eq!(opened.due("ci", START).len(), events.len());
        assert!(opened.store.event(events[0].id).unwrap().is_some());
    }
    assert_eq!(purging.join().unwrap().kept, 150);
    assert_eq!(opened.store.backlog().unwrap()[0].dead, 0);
}
