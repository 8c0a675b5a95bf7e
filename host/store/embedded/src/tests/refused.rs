//! Work that SQLite refuses for its content is set aside with its reason, and holds nothing up.
use super::*;
use crate::index::queue::WriteHealth;
use hookwright_model::DeliveryState;
use hookwright_store::{EventQuery, StoreError};

/// A trigger that refuses what the condition holds for, as a value that SQLite
/// can't take would be refused.
fn refuse(opened: &Opened, what: &str, when: &str) {
    let conn = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    let raise = "SELECT RAISE(ABORT, 'as the test wants')";
    let trigger = format!("CREATE TRIGGER refuse BEFORE {what} WHEN {when} BEGIN {raise}; END");
    conn.execute_batch(&trigger).unwrap();
}

fn take_all(opened: &Opened) {
    let conn = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    conn.execute_batch("DROP TRIGGER refuse").unwrap();
}

fn state(opened: &Opened, id: EventId) -> (EventState, Option<String>) {
    let row = opened.store.event(id).unwrap().unwrap().row;
    (row.state, row.reason)
}

fn check_well(opened: &Opened) {
    assert_eq!(opened.store.index.write_health(), WriteHealth::Healthy);
    assert!(opened.store.healthy());
    assert_eq!(opened.store.index.weight(), 0, "all that came is accounted for");
}

fn assert_parked(opened: &Opened, id: EventId) {
    let (state, reason) = state(opened, id);
    assert_eq!(state, EventState::Parked);
    assert!(reason.as_ref().is_some_and(|why| why.contains("as the test wants")), "{reason:?}");
}

/// One outcome of routing that SQLite refuses was tried again for ever, and
/// everything behind it waited.
#[test]
fn regression_one_refused_outcome_parks_its_event_and_holds_no_other_one() {
    for first in [true, false] {
        let opened = Opened::new();
        refuse(&opened, "INSERT ON delivery", "NEW.due = 666");
        let events: Vec<_> = (0..9).map(|number| opened.accept(&number.to_string())).collect();
        for (number, event) in events.iter().enumerate() {
            let mut sent = delivery(event, "ci");
            sent.due_ms = if number == 4 { 666 } else { START };
            let routed = outcome(event, EventState::Routed, vec![sent, delivery(event, "log")]);
            opened.store.routed(Routed { first, ..routed });
        }
        opened.store.flush().unwrap();
        check_well(&opened);
        assert!(opened.store.unrecorded.is_empty(), "no claim waits for what was refused");
        assert_parked(&opened, events[4].id);
        for destination in ["ci", "log"] {
            let due = opened.due(destination, START);
            let expected = events.iter().map(|event| event.id).filter(|id| *id != events[4].id);
            assert_eq!(due, expected.collect::<Vec<_>>(), "{destination}");
        }
        let told = opened.store.faults();
        assert!(told.len() == 1 && told[0].what.contains(&events[4].id.to_string()), "{told:?}");
        // It is replayed as any other, once SQLite takes it.
        take_all(&opened);
        assert!(opened.store.replay(events[4].id, None).unwrap());
        assert_eq!(opened.unrouted(START).events[0].event.id, events[4].id);
    }
}

/// Not even a row for the event: it is found, listed, kept over a restart, and replayed.
#[test]
fn regression_an_event_whose_row_is_refused_is_found_and_replayed_all_the_same() {
    let opened = Opened::new();
    refuse(&opened, "INSERT ON event", "NEW.body = 7");
    let ids = ["one", "refused", "three"].map(|body| opened.accept(body).id);
    opened.store.flush().unwrap();
    check_well(&opened);
    let opened = opened.again();
    let list = |query: EventQuery| {
        let rows = opened.store.events(&EventQuery { limit: 10, ..query }).unwrap();
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let all = [ids[2], ids[1], ids[0]];
    assert_eq!(list(EventQuery::default()), all);
    assert_eq!(list(EventQuery { oldest_first: true, ..Default::default() }), ids);
    assert_eq!(list(EventQuery { before: Some(ids[2]), ..Default::default() }), all[1..]);
    let parked = || EventQuery { state: Some(EventState::Parked), ..Default::default() };
    assert_eq!(list(parked()), [ids[1]]);
    assert_eq!(list(EventQuery { source: Some("shop".into()), ..parked() }), []);
    assert_parked(&opened, ids[1]);
    assert_eq!(&opened.store.event(ids[1]).unwrap().unwrap().event.body[..], b"refused");

    let refused = opened.store.replay(ids[1], None);
    assert!(matches!(&refused, Err(StoreError::Failed(why)) if why.contains("as the test wants")));
    take_all(&opened);
    assert!(opened.store.replay(ids[1], None).unwrap());
    let waiting: Vec<_> = opened.unrouted(START).events.iter().map(|one| one.event.id).collect();
    assert_eq!(waiting, ids);
    assert_eq!(opened.store.usage().unwrap().events, 3);
}

/// An attempt that can't be recorded: its delivery is not made again and again.
#[test]
fn regression_a_refused_attempt_ends_its_delivery_and_parks_its_event() {
    let opened = Opened::new();
    let events: Vec<_> = (0..5).map(|number| opened.accept(&number.to_string())).collect();
    events.iter().for_each(|event| opened.route(event, &["ci", "log"]));
    opened.store.flush().unwrap();
    let row = events[2].id.row();
    refuse(&opened, "UPDATE ON delivery", &format!("NEW.event = {row} AND NEW.state = 1"));
    for event in &events {
        opened.settle(event.id, "ci", 1, Next::Delivered);
    }
    opened.store.flush().unwrap();
    check_well(&opened);
    assert!(opened.due("ci", START).is_empty());
    let (_, reason) = state(&opened, events[2].id);
    assert!(reason.as_ref().is_some_and(|why| why.contains("ci was delivered")), "{reason:?}");
    let delivered =
        EventQuery { delivery: Some(DeliveryState::Delivered), limit: 9, ..EventQuery::default() };
    assert_eq!(opened.store.events(&delivered).unwrap().len(), 4);
    let backlog = opened.store.backlog().unwrap();
    assert_eq!((backlog[0].waiting, backlog[1].waiting), (0, 5));
}

/// What an attempt told is left out where it is that what is refused.
#[test]
fn regression_a_refused_excerpt_is_left_out_and_the_attempt_stays() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.route(&event, &["ci"]);
    opened.store.flush().unwrap();
    refuse(&opened, "UPDATE ON delivery", "length(NEW.cause) < 10");
    opened.settle(event.id, "ci", 1, dead("no"));
    opened.store.flush().unwrap();
    check_well(&opened);
    let detail = opened.store.event(event.id).unwrap().unwrap();
    assert_eq!(detail.row.state, EventState::Routed);
    assert_eq!(detail.deliveries[0].row.state, DeliveryState::Dead);
    assert_eq!(detail.deliveries[0].attempts.len(), 1);
}

/// Whoever asked for what is refused is told; others that wait are not.
#[test]
fn regression_a_refused_question_is_answered_and_nobody_elses() {
    let opened = Opened::new();
    refuse(&opened, "UPDATE ON destination", "NEW.disabled = 'refused'");
    let condition = |why: &str| hookwright_store::Condition {
        disabled: Some(why.to_owned()),
        ..Default::default()
    };
    let threads: Vec<_> = (0..20)
        .map(|number| {
            let store = Arc::clone(&opened.store);
            let why = if number % 5 == 0 { "refused" } else { "fine" };
            let condition = condition(why);
            let name = format!("ci-{number}");
            std::thread::spawn(move || store.set_condition(&name, &condition).is_ok())
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let expected: Vec<_> = (0..20).map(|number| number % 5 != 0).collect();
    assert_eq!(answers, expected);
    check_well(&opened);
}

/// An index that another process holds for a while refuses nothing for good.
#[test]
fn what_is_refused_for_now_is_tried_again() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.store.flush().unwrap();
    let conn = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    opened.route(&event, &["ci"]);
    let store = Arc::clone(&opened.store);
    let flushing = std::thread::spawn(move || store.flush());
    while opened.store.index.asking() == 0 {
        std::thread::yield_now();
    }
    conn.execute_batch("COMMIT").unwrap();
    flushing.join().unwrap().unwrap();
    assert_eq!(opened.due("ci", START), [event.id]);
    assert!(opened.store.faults().is_empty());
}
