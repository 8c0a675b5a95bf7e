//! Damaged files: what is whole around the damage stays, and the damage is told until a person has looked.
use std::fs;

use super::faulty::{Fault, FaultyDisk};
use super::*;
use crate::journal::record::HEAD;
use crate::journal::segment::HEADER;
use hookwright_store::EventQuery;

const DAY: u64 = 86_400_000;

/// Bodies of all events that can be read, oldest first.
fn bodies(opened: &Opened) -> Vec<String> {
    let query = EventQuery { limit: 1_000, oldest_first: true, ..Default::default() };
    let rows = opened.store.events(&query).unwrap();
    let read = rows.iter().filter_map(|row| opened.store.event(row.id).ok().flatten());
    read.map(|detail| String::from_utf8(detail.event.body.to_vec()).unwrap()).collect()
}

/// Where each record of a segment starts.
fn records(file: &Path) -> Vec<u64> {
    let bytes = fs::read(file).unwrap();
    let (mut starts, mut at) = (Vec::new(), HEADER as usize);
    while let Some(head) = bytes.get(at..at + HEAD).filter(|head| head[HEAD - 1] != 0) {
        starts.push(at as u64);
        at += HEAD + u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
    }
    starts
}

fn flip(file: &Path, offset: u64, bit: u8) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset as usize] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

fn fill(file: &Path, from: u64, length: usize, with: u8) {
    let mut bytes = fs::read(file).unwrap();
    bytes[from as usize..from as usize + length].fill(with);
    fs::write(file, bytes).unwrap();
}

fn reopened(dir: Arc<TempDir>) -> Opened {
    Opened::at(dir, Clock::manual(START), |_| {})
}

/// A hundred acknowledged events that the index has not read when the process is killed.
fn killed_before_the_index_read() -> (Arc<TempDir>, Vec<String>) {
    let opened = Opened::with(|options| options.segment_bytes = 64 << 10);
    let other = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let all: Vec<String> = (0..100).map(|number| format!("event {number}")).collect();
    for body in &all {
        opened.accept(body);
    }
    let copy = snapshot(opened.dir.path());
    other.execute_batch("ROLLBACK").unwrap();
    (copy, all)
}

fn faults(opened: &Opened) -> Vec<String> {
    opened.store.faults().into_iter().map(|fault| fault.what).collect()
}

/// One bit flipped in the last segment after `kill -9`, before the index had read
/// it: fifty of a hundred acknowledged events were cut off as "a torn end".
#[test]
fn regression_one_flipped_bit_before_the_index_read_it_costs_one_event_at_most() {
    let (dir, all) = killed_before_the_index_read();
    let file = journal_files(dir.path()).remove(0);
    let start = records(&file)[50];
    for place in (0..HEAD as u64 + 30).chain([60]) {
        let copy = snapshot(dir.path());
        let own = copy.path().join("journal").join(file.file_name().unwrap());
        flip(&own, start + place, (place % 8) as u8);
        let after = reopened(copy);
        let mut expected = all.clone();
        if place >= HEAD as u64 {
            expected.remove(50);
        }
        assert_eq!(bodies(&after), expected, "byte {place}");
        let told = faults(&after);
        assert_eq!(told.len(), 1, "{told:?}");
        let name = own.file_name().unwrap().to_str().unwrap();
        assert!(told[0].contains(name) && told[0].contains(&start.to_string()), "{told:?}");
        // What is told is told after a restart too, and what comes then is kept.
        after.accept("next");
        let after = after.again();
        assert_eq!(bodies(&after).len(), expected.len() + 1);
        assert_eq!(faults(&after), told);
        // Until somebody has looked at it and moved the copy away.
        fs::remove_dir_all(after.dir.path().join("damaged")).unwrap();
        assert!(faults(&after).is_empty());
    }
}

/// From an offset on, so many bytes, filled with that one.
type Filled = (u64, usize, u8);

/// Brothers: whole sectors, the head and the record behind it, several places at
/// once, the first record, the last one.
#[test]
fn regression_whatever_is_damaged_the_records_around_it_stay() {
    let (dir, all) = killed_before_the_index_read();
    let file = journal_files(dir.path()).remove(0);
    let starts = records(&file);
    let end = |number: usize| starts[number + 1] as usize;
    let mut cases: Vec<(Vec<Filled>, Vec<usize>)> = Vec::new();
    for with in [0, 0xff, 1, 0xa5] {
        let length = |from: usize, to: usize| end(to) - starts[from] as usize;
        cases.push((vec![(starts[0], length(0, 0), with)], vec![0]));
        cases.push((vec![(starts[40], length(40, 44), with)], (40..45).collect()));
        cases.push((vec![(starts[40] + 20, length(40, 43), with)], (40..45).collect()));
        let three = [10, 50, 90].map(|number| (starts[number] + 2, 40, with));
        cases.push((three.to_vec(), vec![10, 50, 90]));
    }
    for (damages, lost) in cases {
        let copy = snapshot(dir.path());
        let own = copy.path().join("journal").join(file.file_name().unwrap());
        for (from, length, with) in &damages {
            fill(&own, *from, *length, *with);
        }
        let after = reopened(copy);
        let kept = (0..100).filter(|number| !lost.contains(number)).map(|n| all[n].clone());
        assert_eq!(bodies(&after), kept.collect::<Vec<_>>(), "{damages:?}");
        assert_eq!(faults(&after).len(), damages.len(), "{damages:?}");
    }
}

/// The bytes of damage are kept as they are, so that a person can look into them.
#[test]
fn regression_a_copy_of_damaged_bytes_is_kept() {
    let (dir, _) = killed_before_the_index_read();
    let file = journal_files(dir.path()).remove(0);
    let starts = records(&file);
    fill(&file, starts[30], 30, 0x33);
    let damaged = fs::read(&file).unwrap()[starts[30] as usize..starts[31] as usize].to_vec();
    let after = reopened(dir);
    let kept: Vec<_> = fs::read_dir(after.dir.path().join("damaged")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read(kept[0].as_ref().unwrap().path()).unwrap(), damaged);
    let journal = fs::read(&file).unwrap();
    assert_eq!(journal[starts[30] as usize..starts[31] as usize], damaged, "and left in place");
}

/// A last record that is all there is no write that was cut short, and the room behind it no damage.
#[test]
fn regression_damage_of_the_last_record_is_told_apart_from_a_torn_end() {
    let (dir, all) = killed_before_the_index_read();
    let file = journal_files(dir.path()).remove(0);
    let last = *records(&file).last().unwrap();
    let torn = snapshot(dir.path());
    flip(&file, last + HEAD as u64 + 40, 2);
    let after = reopened(dir);
    assert_eq!(bodies(&after), all[..99]);
    let told = faults(&after);
    let length: u32 = told[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert!(told.len() == 1 && length < 200, "{told:?}");
    let own = torn.path().join("journal").join(file.file_name().unwrap());
    let length = fs::metadata(&own).unwrap().len();
    let cut = fs::File::options().write(true).open(&own).unwrap();
    cut.set_len(last + 50).unwrap();
    cut.set_len(length).unwrap();
    let after = reopened(torn);
    assert_eq!(bodies(&after), all[..99]);
    assert!(faults(&after).is_empty(), "{:?}", faults(&after));
    let kept = fs::read_dir(after.dir.path().join("damaged")).unwrap().count();
    assert_eq!(kept, 1, "a torn end is kept all the same");
}

/// A store of three segments and more, a day old: each event with what it came to.
fn aged(end: impl Fn(&Opened, &Arc<Event>)) -> (Opened, Vec<Arc<Event>>) {
    let opened = Opened::with(|options| options.segment_bytes = 300);
    let events: Vec<_> = (0..40).map(|number| opened.accept(&number.to_string())).collect();
    events.iter().for_each(|event| end(&opened, event));
    opened.store.flush().unwrap();
    opened.clock.set(START + DAY);
    (opened, events)
}

/// The journal's files but one that is begun and empty.
fn filled(opened: &Opened) -> Vec<std::path::PathBuf> {
    let mut files = journal_files(opened.dir.path());
    files.retain(|file| fs::metadata(file).unwrap().len() > HEADER);
    files
}

fn drop_it(opened: &Opened, event: &Arc<Event>) {
    opened.store.routed(outcome(event, EventState::Dropped, Vec::new()));
}

/// A record that was looked at, or was to be sent, and could not be read: neither
/// `readyz` nor a metric told of it, and one bit of its head cost the event.
#[test]
fn regression_damage_that_a_read_finds_is_told_and_one_bit_of_a_head_costs_nothing() {
    for (bit, whole) in [(0, true), (8 * HEAD as u64 + 99, false)] {
        let (opened, events) = aged(|opened, event| opened.route(event, &["ci"]));
        let file = journal_files(opened.dir.path()).remove(1);
        let start = records(&file)[0];
        flip(&file, start + bit / 8, (bit % 8) as u8);
        let read = |event: &Arc<Event>| opened.store.event(event.id).is_ok();
        assert_eq!(events.iter().filter(|event| !read(event)).count(), usize::from(!whole));
        let told = faults(&opened);
        assert!(told.len() == 1 && told[0].contains(&format!("byte {start} on")), "{told:?}");
        assert_eq!(opened.due("ci", START + DAY).len(), if whole { 40 } else { 39 });
        fs::remove_dir_all(opened.dir.path().join("damaged")).unwrap();
        assert_eq!(bodies(&opened).len(), if whole { 40 } else { 39 });
        assert!(faults(&opened).is_empty(), "it was seen");
    }
}

/// One bit of a record's head flipped in a sealed segment: retention ended for all
/// segments, with a warning each interval and nothing else.
#[test]
fn regression_damage_in_one_segment_does_not_end_the_retention_of_the_others() {
    for (place, bit) in (0..HEAD as u64 + 8).map(|place| (place, 3)).chain([(40, 0), (3, 7)]) {
        let (opened, _) = aged(drop_it);
        let files = filled(&opened);
        assert!(files.len() > 4);
        flip(&files[2], records(&files[2])[1] + place, bit);
        let purged = opened.store.purge(START + 1).unwrap();
        assert_eq!(purged.events, 40, "byte {place}");
        assert!(files.iter().all(|file| !file.exists()), "byte {place}");
        assert_eq!(opened.store.usage().unwrap().events, 0);
        let told = faults(&opened);
        assert_eq!(told.len(), 1, "{told:?}");
        let name = files[2].file_name().unwrap().to_str().unwrap();
        assert!(told[0].contains(name), "{told:?}");
        let opened = opened.again();
        assert_eq!(opened.store.purge(START + 1).unwrap(), Default::default());
    }
}

/// What is unfinished in a damaged segment is carried over where it is whole, and
/// ends as dead, with the reason, where it is not: nothing waits for ever, and the
/// file goes with the next purge.
#[test]
fn regression_unfinished_events_in_a_damaged_segment_are_carried_or_end_as_dead() {
    let (opened, events) = aged(|opened, event| opened.route(event, &["ci", "log"]));
    let file = journal_files(opened.dir.path()).remove(2);
    let starts = records(&file);
    fill(&file, starts[1], 30, 0x77);
    let purged = opened.store.purge(START + 1).unwrap();
    assert_eq!((purged.events, purged.kept), (0, 39));
    let states = |opened: &Opened| {
        let backlog = opened.store.backlog().unwrap();
        backlog.iter().map(|own| (own.waiting, own.dead)).collect::<Vec<_>>()
    };
    assert_eq!(states(&opened), [(39, 1), (39, 1)]);
    assert_eq!(opened.due("ci", START + DAY).len(), 39);
    let query = EventQuery {
        delivery: Some(hookwright_model::DeliveryState::Dead),
        limit: 9,
        ..Default::default()
    };
    let dead = opened.store.events(&query).unwrap();
    let cause = dead[0].deliveries[0].cause.clone().unwrap();
    assert!(cause.contains("is damaged at byte"), "{cause}");
    assert!(events.iter().any(|event| event.id == dead[0].id));
    assert!(file.exists(), "the end of its event is to be seen");
    let opened = opened.again();
    assert_eq!(states(&opened), [(39, 1), (39, 1)]);
    assert_eq!(opened.store.purge(START + 1).unwrap().events, 1);
    assert!(!file.exists());
    assert_eq!(opened.due("ci", START + DAY).len(), 39);
}

/// A file that somebody took away, and one that can't be opened at all.
#[test]
fn regression_a_segment_that_is_gone_or_unreadable_holds_no_other_one_up() {
    let (opened, _) = aged(drop_it);
    let files = filled(&opened);
    let opened = opened.again();
    fs::remove_file(&files[1]).unwrap();
    fs::rename(&files[2], opened.dir.path().join("aside")).unwrap();
    fs::create_dir(&files[2]).unwrap();
    let lies_in = records(&opened.dir.path().join("aside")).len();
    let purged = opened.store.purge(START + 1).unwrap();
    assert_eq!(purged.events as usize, 40 - lies_in);
    assert!(files.iter().all(|file| *file == files[2] || !file.exists()));
    let told = faults(&opened);
    assert!(told.len() == 1 && told[0].contains("retention can't drop it"), "{told:?}");
    // It goes once it can be read again, and nothing is told any more.
    fs::remove_dir(&files[2]).unwrap();
    fs::rename(opened.dir.path().join("aside"), &files[2]).unwrap();
    assert_eq!(opened.store.purge(START + 1).unwrap().events as usize, lies_in);
    assert!(faults(&opened).is_empty());
    assert_eq!(opened.store.usage().unwrap().events, 0);
}

/// The cure for a damaged header is to move the file out of the journal. Rows of
/// its events stayed for ever.
#[test]
fn regression_rows_of_a_file_that_was_moved_out_of_the_journal_end_and_go() {
    let (opened, _) = aged(|opened, event| {
        if event.id.row() % 2 == 0 { drop_it(opened, event) } else { opened.route(event, &["ci"]) }
    });
    opened.store.close();
    let file = journal_files(opened.dir.path()).remove(2);
    let lost = records(&file).len() as u64;
    fs::remove_file(&file).unwrap();
    let opened = opened.again();
    let first = opened.store.purge(START + 1).unwrap();
    let dead = opened.store.backlog().unwrap()[0].dead;
    assert!(dead > 0 && dead < lost, "{dead} of {lost}");
    let second = opened.store.purge(START + 1).unwrap();
    assert_eq!((second.events, opened.store.backlog().unwrap()[0].dead), (dead, 0));
    assert_eq!(first.events + second.events, 20 + dead);
}

/// Room that was taken by half and not noted stayed as zeros in a sealed segment,
/// which then counted as damaged.
#[test]
fn regression_half_taken_room_leaves_no_zeros_in_a_sealed_segment() {
    let disk = FaultyDisk::new();
    let with = disk.clone();
    let opened = Opened::with(move |options| options.disk = with);
    disk.set(Fault::HalfReserved);
    opened.accept("before");
    opened.clock.set(START + 3_600_001);
    opened.accept("after");
    let first = journal_files(opened.dir.path()).remove(0);
    let bytes = fs::read(&first).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(bytes.len(), last + 1);
    disk.set(Fault::None);
    opened.store.close();
    // And one that an older version left so is read all the same.
    fs::File::options().write(true).open(&first).unwrap().set_len(900_000).unwrap();
    fs::remove_file(opened.dir.path().join("index.db")).unwrap();
    let opened = opened.again();
    assert_eq!(bodies(&opened), ["before", "after"]);
    assert_eq!(fs::metadata(&first).unwrap().len() as usize, bytes.len());
    let spared = |what: &String| what.contains("can't be read");
    assert!(!faults(&opened).iter().any(spared), "{:?}", faults(&opened));
}

/// Thirty days of events were routed and delivered once more where the index was
/// lost. What became of them is not known, so they wait for a person.
#[test]
fn regression_a_lost_index_sends_nothing_again_by_itself() {
    let opened = Opened::with(|options| options.segment_bytes = 1_000);
    let events: Vec<_> = (0..40).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events {
        opened.route(event, &["ci"]);
        opened.settle(event.id, "ci", 1, Next::Delivered);
    }
    let keyed_id = new_id(opened.append(keyed(1, 9_999)));
    opened.store.close();
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(opened.dir.path().join(file));
    }
    let mut opened = opened.again();
    for _ in 0..2 {
        assert!(opened.unrouted(START).events.is_empty());
        let rows = opened.store.events(&EventQuery { limit: 99, ..Default::default() }).unwrap();
        assert_eq!(rows.len(), 41);
        for row in rows {
            assert_eq!(row.state, EventState::Parked);
            assert!(row.reason.unwrap().contains("the index was lost"));
        }
        let told = faults(&opened);
        assert!(told.len() == 1 && told[0].contains("41 events"), "{told:?}");
        opened = opened.again();
    }
    assert_eq!(opened.append(keyed(1, 9_999)).unwrap(), Appended::Duplicate(keyed_id));
    assert!(opened.store.replay(events[3].id, None).unwrap());
    let waiting = opened.unrouted(START).events;
    assert_eq!(waiting.iter().map(|one| one.event.id).collect::<Vec<_>>(), [events[3].id]);
    // What comes from now on is routed as ever, after a crash too.
    let next = opened.accept("next");
    let crashed = reopened(snapshot(opened.dir.path()));
    let waiting = crashed.unrouted(START).events;
    assert_eq!(waiting.iter().map(|one| one.event.id).collect::<Vec<_>>(), [events[3].id, next.id]);
}

/// The events of a store's first seconds are not those of an index that was lost,
/// however little of the index a power loss leaves.
#[test]
fn a_power_loss_right_after_the_first_start_parks_nothing() {
    let opened = Opened::new();
    let fresh = snapshot(opened.dir.path());
    fs::remove_file(fresh.path().join("index.db-wal")).ok();
    let id = opened.accept("first").id;
    for file in journal_files(opened.dir.path()) {
        fs::copy(&file, fresh.path().join("journal").join(file.file_name().unwrap())).unwrap();
    }
    let after = reopened(fresh);
    let waiting = after.unrouted(START).events;
    assert_eq!(waiting.iter().map(|one| one.event.id).collect::<Vec<_>>(), [id]);
    assert!(faults(&after).is_empty());
}

/// An index of long ago, put back in its place: what it does not know is parked too.
#[test]
fn regression_an_index_older_than_all_segments_sends_nothing_again() {
    let opened = Opened::with(|options| options.segment_bytes = 1_000);
    let old = opened.accept("old");
    drop_it(&opened, &old);
    opened.store.flush().unwrap();
    let before = snapshot(opened.dir.path());
    opened.clock.set(START + DAY);
    for number in 0..30 {
        let event = opened.accept(&number.to_string());
        opened.route(&event, &["ci"]);
        opened.settle(event.id, "ci", 1, Next::Delivered);
    }
    opened.store.purge(START + 1).unwrap();
    opened.store.close();
    for file in ["index.db", "index.db-wal"] {
        let _ = fs::remove_file(opened.dir.path().join(file));
        let _ = fs::copy(before.path().join(file), opened.dir.path().join(file));
    }
    let opened = opened.again();
    assert!(opened.unrouted(START + DAY).events.is_empty());
    let parked = EventQuery { state: Some(EventState::Parked), limit: 99, ..Default::default() };
    assert_eq!(opened.store.events(&parked).unwrap().len(), 30);
    assert_eq!(faults(&opened).len(), 1);
}
