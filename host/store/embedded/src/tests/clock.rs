//! The clock is set wrong and right again: order and time are two things.
use super::*;
use hookwright_model::DeliveryKey;
use hookwright_store::{EventQuery, GivenUp, Usage};

const DAY: u64 = 24 * 3_600_000;
const YEAR: u64 = 365 * DAY;

fn dropped(opened: &Opened, event: &Arc<Event>) {
    opened.store.routed(outcome(event, EventState::Dropped, Vec::new()));
}

fn ids(opened: &Opened, query: EventQuery) -> Vec<EventId> {
    let rows = opened.store.events(&EventQuery { limit: 100, ..query }).unwrap();
    rows.iter().map(|row| row.id).collect()
}

/// One event while the clock said 2100, and the times of all that came later
/// were in 2100 for good: `until` today found none of them.
#[test]
fn regression_an_event_from_2100_leaves_the_times_of_later_ones_alone() {
    let opened = Opened::new();
    let first = opened.accept("first");
    opened.clock.set(START + 74 * YEAR);
    let wrong = opened.accept("wrong");
    opened.clock.set(START + 5);
    let later = opened.accept("later");
    opened.clock.set(START + DAY);
    let last = opened.accept("last");
    let check = |opened: &Opened| {
        let order = [&last, &later, &wrong, &first].map(|event| event.id);
        assert_eq!(ids(opened, EventQuery::default()), order, "in the order in which they came");
        let times = [START + DAY, START + 5, START + 74 * YEAR, START];
        for (event, time) in order.into_iter().zip(times) {
            let read = opened.store.event(event).unwrap().unwrap();
            assert_eq!((read.row.received_ms, read.event.received_ms()), (time, time));
        }
        let between = |since_ms, until_ms| {
            ids(opened, EventQuery { since_ms, until_ms, ..EventQuery::default() })
        };
        assert_eq!(between(None, Some(START + DAY + 1)), [last.id, later.id, first.id]);
        assert_eq!(between(Some(START + 1), Some(START + DAY)), [later.id]);
        assert_eq!(between(Some(START + 2 * DAY), None), [wrong.id]);
        assert_eq!(between(None, Some(START)), []);
        let Usage { oldest_ms, events, .. } = opened.store.usage().unwrap();
        assert_eq!((oldest_ms, events), (Some(START), 4));
    };
    check(&opened);
    // What a crash left is read from the journal again.
    let copy = snapshot(opened.dir.path());
    check(&Opened::at(copy, opened.clock.clone(), |_| {}));
    let copy = snapshot(opened.dir.path());
    for file in ["index.db", "index.db-wal"] {
        let _ = std::fs::remove_file(copy.path().join(file));
    }
    check(&Opened::at(copy, opened.clock.clone(), |_| {}));
    let opened = opened.again();
    check(&opened);
    assert!(opened.accept("newer").id > last.id, "ids still rise after a restart");
}

/// What came while the clock said 2100 was never old enough to be dropped, nor
/// was anything that came after it.
#[test]
fn regression_retention_drops_what_came_while_the_clock_was_ahead_and_after_it() {
    let opened = Opened::new();
    let before = opened.accept("before");
    opened.clock.set(START + 74 * YEAR);
    let wrong = opened.accept("wrong");
    opened.clock.set(START + DAY);
    let after = opened.accept("after");
    opened.clock.set(START + 2 * DAY);
    let young = opened.accept("young");
    for event in [&before, &wrong, &after, &young] {
        dropped(&opened, event);
    }
    opened.store.flush().unwrap();
    opened.store.purge(START).unwrap();
    assert_eq!(ids(&opened, EventQuery::default()).len(), 4, "nothing is old yet");
    opened.store.purge(START + 1).unwrap();
    let left = [young.id, after.id, wrong.id];
    assert_eq!(ids(&opened, EventQuery::default()), left, "it came a day later at the most");
    opened.store.purge(START + 2 * DAY).unwrap();
    assert_eq!(ids(&opened, EventQuery::default()), [young.id]);
    opened.clock.set(START + 9 * DAY);
    opened.store.purge(START + 3 * DAY).unwrap();
    assert_eq!(ids(&opened, EventQuery::default()), [], "on an idle host too");
}

/// The clock began in 1970, as on a board without a battery, and was set right.
#[test]
fn regression_retention_does_not_take_what_came_while_the_clock_was_behind_for_old() {
    let opened = Opened::new();
    let before = opened.accept("before");
    opened.clock.set(1_000);
    let behind = opened.accept("behind");
    opened.clock.set(START + 2_000);
    let after = opened.accept("after");
    for event in [&before, &behind, &after] {
        dropped(&opened, event);
    }
    opened.store.flush().unwrap();
    opened.store.purge(START - DAY).unwrap();
    assert_eq!(ids(&opened, EventQuery::default()), [after.id, behind.id, before.id]);
}

/// A key that was seen while the clock was ahead made duplicates of all events
/// with it, for as long as it had been ahead.
#[test]
fn regression_a_key_from_2100_does_not_make_duplicates_for_74_years() {
    let opened = Opened::new();
    opened.clock.set(START + 74 * YEAR);
    let first = new_id(opened.append(keyed(1, 1_000)));
    assert_eq!(opened.append(keyed(1, 1_000)).unwrap(), Appended::Duplicate(first));
    opened.clock.set(START);
    let second = new_id(opened.append(keyed(1, 1_000)));
    assert!(second > first);
    let opened = opened.again();
    assert_eq!(opened.append(keyed(1, 1_000)).unwrap(), Appended::Duplicate(second));
    // A small step back forgets nothing.
    opened.clock.set(START - 60_000);
    assert_eq!(opened.append(keyed(1, 1_000)).unwrap(), Appended::Duplicate(second));
}

/// `Host::settled` of the tests asked for what waits first and for what is
/// accepted second: an event that was routed in between was in neither answer.
#[test]
fn regression_the_events_that_are_to_be_routed_are_counted_before_what_waits() {
    let opened = Opened::new();
    let one = opened.accept("one");
    assert_eq!(opened.store.usage().unwrap().accepted, 1);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let accepted = opened.store.usage().unwrap().accepted;
                let waiting: u64 = opened.store.backlog().unwrap().iter().map(|b| b.waiting).sum();
                assert!(accepted + waiting > 0, "it is in neither answer");
            }
        });
        for _ in 0..50 {
            std::thread::yield_now();
        }
        opened.route(&one, &["ci"]);
        opened.store.flush().unwrap();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    opened.settle(one.id, "ci", 1, Next::Delivered);
    opened.store.flush().unwrap();
    assert_eq!(opened.store.usage().unwrap().accepted, 0);
    assert_eq!(opened.store.backlog().unwrap()[0].waiting, 0);
}

/// Retries that a clock which was ahead put off for years are due by the policy;
/// what a plugin put off keeps its delay.
#[test]
fn regression_deliveries_that_wait_for_2100_are_reined_in() {
    let opened = Opened::new();
    let (retry, put_off) = (opened.accept("retry"), opened.accept("put off"));
    opened.route(&retry, &["ci"]);
    let mut late = delivery(&put_off, "ci");
    late.due_ms = START + 100 * DAY;
    opened.store.routed(outcome(&put_off, EventState::Routed, vec![late]));
    opened.settle(retry.id, "ci", 1, Next::Retry { due_ms: START + 74 * YEAR });
    opened.clock.set(START + 74 * YEAR);
    let ahead = opened.accept("ahead");
    let mut put_off_then = delivery(&ahead, "ci");
    put_off_then.due_ms += 2 * DAY;
    opened.store.routed(outcome(&ahead, EventState::Routed, vec![put_off_then]));
    opened.store.flush().unwrap();
    opened.clock.set(START + 1_000);
    let day = Duration::from_millis(DAY);
    assert_eq!(opened.due("ci", START + 1_000), []);
    assert_eq!(opened.store.rein_in(Some("ci"), START + 1_000, day).unwrap(), 2);
    assert_eq!(opened.due("ci", START + 1_000), [retry.id]);
    assert_eq!(opened.due("ci", START + 1_000 + 2 * DAY), [retry.id, ahead.id]);
    assert_eq!(opened.due("ci", START + 100 * DAY), [retry.id, ahead.id, put_off.id]);
    assert_eq!(opened.store.rein_in(Some("ci"), START + 1_000, day).unwrap(), 0);
    assert_eq!(opened.store.rein_in(Some("nobody"), START, day).unwrap(), 0);

    let again =
        Routed { retry_ms: START + 74 * YEAR, ..outcome(&retry, EventState::Accepted, vec![]) };
    opened.store.routed(again);
    opened.store.flush().unwrap();
    assert_eq!(opened.unrouted(START + 1_000).events.len(), 0);
    assert_eq!(opened.store.rein_in(None, START + 1_000, day).unwrap(), 1);
    assert_eq!(opened.unrouted(START + 1_000).events.len(), 1);
}

/// One that is given up without an attempt is dead with its cause, lets the next
/// one of its order key go, and can be replayed, whatever its age.
#[test]
fn a_delivery_that_is_given_up_without_an_attempt_is_dead_and_the_next_one_follows() {
    let opened = Opened::new();
    let (one, two) = (opened.accept("one"), opened.accept("two"));
    for event in [&one, &two] {
        let keyed = Delivery { order_key: Some("k".into()), ..delivery(event, "ci") };
        opened.store.routed(outcome(event, EventState::Routed, vec![keyed]));
    }
    opened.store.flush().unwrap();
    assert_eq!(opened.due("ci", START), [one.id]);
    let key = DeliveryKey { event: one.id, destination: name("ci") };
    opened.store.given_up(GivenUp { key, cause: "too old".to_owned(), ordered: true });
    opened.store.flush().unwrap();
    assert_eq!(opened.due("ci", START), [two.id]);
    let read = opened.store.event(one.id).unwrap().unwrap();
    let row = &read.deliveries[0].row;
    assert_eq!((row.attempts, row.cause.as_deref()), (0, Some("too old")));
    assert_eq!(opened.store.backlog().unwrap()[0].dead, 1);
    opened.settle(two.id, "ci", 1, Next::Delivered);
    opened.store.flush().unwrap();
    assert!(opened.store.replay(one.id, Some("ci")).unwrap());
    let page = opened.due_page("ci", START, None, 9);
    assert!(page.deliveries[0].replayed && !page.deliveries[0].has_age());
}
