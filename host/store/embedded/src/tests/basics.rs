//! What goes in comes out: contents, states, rows, replays.
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::faulty::{Fault, FaultyDisk};
use super::*;
use hookwright_model::{
    Cause, Decision, DeliveryState, HeaderEdit, Outcome, Payload, ReplayJob, ReplayState,
    VerdictRecord,
};
use hookwright_store::{Condition, EventQuery};

#[test]
fn contents_come_back_byte_for_byte() {
    let opened = Opened::new();
    let mut headers = HeaderMap::new();
    for (key, value) in [("x-b", &b"1"[..]), ("x-a", b"\xfftwo"), ("x-b", b"3"), ("x-c", b"")] {
        let key: http::HeaderName = key.parse().unwrap();
        headers.append(key, HeaderValue::from_bytes(value).unwrap());
    }
    let bodies = [Bytes::new(), Bytes::from(vec![0, 255, 10, 13, 0]), vec![7; 3 << 20].into()];
    for body in bodies {
        let sent = NewEvent { headers: headers.clone(), body: body.clone(), ..event("") };
        let id = new_id(opened.append(sent));
        let read = opened.store.event(id).unwrap().unwrap();
        assert_eq!(read.event.body, body);
        let pairs = |map: &HeaderMap| -> Vec<(String, HeaderValue)> {
            map.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
        };
        assert_eq!(pairs(&read.event.headers), pairs(&headers));
        assert_eq!((&*read.event.kind, &*read.event.source), ("push", SOURCE));
        assert_eq!((read.row.body_bytes, read.row.received_ms), (body.len() as u64, START));
        assert_eq!(read.row.state, EventState::Accepted);
    }
}

#[test]
fn many_appends_share_a_sync() {
    let disk = FaultyDisk::new();
    let opened = Opened::with(|options| options.disk = disk.clone());
    opened.accept("makes the segment");
    disk.set(Fault::Stuck);
    let before = disk.syncs.load(Ordering::SeqCst);
    let waiting: Vec<_> = (0..200).map(|_| opened.store.append(event("x"))).collect();
    disk.set(Fault::None);
    let mut ids: Vec<_> = waiting.into_iter().map(|one| new_id(wait(one))).collect();
    let syncs = disk.syncs.load(Ordering::SeqCst) - before;
    assert!((1..=3).contains(&syncs), "{syncs} syncs for 200 events");
    let sorted = ids.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids, sorted, "ids rise in the order of the calls, none twice");
}

#[test]
fn an_append_over_the_bound_is_refused_and_the_next_one_taken() {
    let disk = FaultyDisk::new();
    let opened = Opened::with(|options| {
        options.disk = disk.clone();
        options.queue_records = 4;
    });
    opened.accept("makes the segment");
    disk.set(Fault::Stuck);
    let waiting: Vec<_> = (0..4).map(|_| opened.store.append(event("x"))).collect();
    assert!(matches!(opened.append(event("fifth")), Err(AppendError::Busy)));
    disk.set(Fault::None);
    waiting.into_iter().for_each(|one| _ = new_id(wait(one)));
    opened.accept("after");
}

#[test]
fn bytes_bound_the_queue_too_but_one_event_always_fits() {
    let disk = FaultyDisk::new();
    let opened = Opened::with(|options| {
        options.disk = disk.clone();
        options.queue_bytes = 10_000;
    });
    let large = "x".repeat(20_000);
    opened.accept(&large);
    opened.store.flush().unwrap();
    disk.set(Fault::Stuck);
    let first = opened.store.append(event(&large));
    assert!(matches!(opened.append(event("second")), Err(AppendError::Busy)));
    disk.set(Fault::None);
    new_id(wait(first));
}

#[test]
fn a_whole_life_is_kept() {
    let opened = Opened::new();
    let event = opened.accept("body");
    let mut first = delivery(&event, "ci");
    let edit = HeaderEdit { name: "x-a".into(), value: None };
    first.payload = Some(Arc::new(Payload {
        body: Some("changed".into()),
        content_type: Some("text/plain".into()),
        kind: Some("other".into()),
        headers: vec![edit.clone()],
    }));
    first.order_key = Some("key".into());
    let verdict = VerdictRecord {
        plugin: "slim".into(),
        digest: Some(hookwright_model::Digest::new([7; 32])),
        decision: Decision::Deliver(2),
        took_us: 9,
        used: vec!["kv".into()],
        log: vec!["said".into()],
    };
    let mut routed = outcome(&event, EventState::Routed, vec![first, delivery(&event, "log")]);
    routed.verdicts = vec![verdict.clone()];
    opened.store.routed(routed);
    opened.handed.wait("deliveries", |handed| handed.ready.len() == 2);
    opened.settle(event.id, "ci", 1, Next::Retry { due_ms: START + 50 });
    opened.settle(event.id, "ci", 2, dead("too often"));
    opened.settle(event.id, "log", 1, Next::Delivered);

    let opened = opened.again();
    let read = opened.store.event(event.id).unwrap().unwrap();
    assert_eq!((read.row.state, &read.verdicts), (EventState::Routed, &vec![verdict]));
    let [ci, log] = &read.deliveries[..] else { panic!("{:?}", read.deliveries) };
    assert_eq!((ci.row.state, ci.row.attempts), (DeliveryState::Dead, 2));
    assert_eq!(ci.row.cause.as_deref(), Some("too often"));
    assert_eq!(ci.row.due_ms, START + 50);
    assert_eq!(ci.payload.as_ref().unwrap().headers, [edit]);
    assert_eq!(ci.payload.as_ref().unwrap().body.as_deref(), Some(&b"changed"[..]));
    assert_eq!(ci.payload.as_ref().unwrap().kind.as_deref(), Some("other"));
    let numbers: Vec<_> = ci.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!((log.row.state, log.attempts.len()), (DeliveryState::Delivered, 1));
    assert!(log.attempts[0].outcome.is_success() && log.payload.is_none());
}

#[test]
fn a_first_round_is_handed_on_at_once_and_its_rows_say_how_it_ended() {
    let opened = Opened::new();
    let event = opened.accept("x");
    let deliveries = ["one", "two", "three"].map(|name| delivery(&event, name)).into();
    let routed = outcome(&event, EventState::Routed, deliveries);
    opened.store.routed(Routed { first: true, ..routed });
    let handed = opened.handed.take_ready();
    assert_eq!(handed.len(), 3, "within the call");
    opened.settle(event.id, "two", 1, Next::Delivered);
    opened.settle(event.id, "one", 1, dead("gone"));
    opened.settle(event.id, "three", 1, Next::Retry { due_ms: START + 9 });
    opened.store.flush().unwrap();
    assert!(opened.handed.take_ready().is_empty(), "once");
    let found = opened.store.event(event.id).unwrap().unwrap();
    let rows: Vec<_> = found
        .deliveries
        .iter()
        .map(|one| (&*one.row.destination, one.row.state, one.attempts.len(), &one.row.cause))
        .collect();
    let gone = Some("gone".to_owned());
    assert_eq!(
        rows,
        [
            ("one", DeliveryState::Dead, 1, &gone),
            ("two", DeliveryState::Delivered, 1, &None),
            ("three", DeliveryState::Waiting, 1, &None),
        ]
    );
    assert_eq!(opened.due("three", START + 9), [event.id]);
    let backlog = opened.store.backlog().unwrap();
    let counted = backlog.iter().map(|one| (&*one.destination, one.waiting, one.dead));
    assert_eq!(counted.collect::<Vec<_>>(), [("one", 0, 1), ("two", 0, 0), ("three", 1, 0)]);
}

#[test]
fn a_flush_waits_for_the_hand_offs_under_way() {
    struct Slow(Mutex<(bool, bool)>, Condvar);
    impl Handoff for Slow {
        fn durable(&self, _: Vec<Arc<Event>>) {}
        fn ready(&self, _: Vec<Delivery>) {
            let mut state = self.0.lock();
            state.0 = true;
            self.1.notify_all();
            while !state.1 {
                self.1.wait(&mut state);
            }
        }
    }
    let dir = TempDir::new().unwrap();
    let slow = Arc::new(Slow(Mutex::default(), Condvar::new()));
    let options = Options::new(dir.path(), Clock::manual(START));
    let store = open_embedded(options, Arc::clone(&slow) as Arc<dyn Handoff>).unwrap();
    let id = new_id(wait(store.append(event("x"))));
    let event = store.event(id).unwrap().unwrap().event;
    let routed = outcome(&event, EventState::Routed, vec![delivery(&event, "slow")]);
    std::thread::scope(|scope| {
        scope.spawn(|| store.routed(Routed { first: true, ..routed }));
        let mut state = slow.0.lock();
        while !state.0 {
            slow.1.wait(&mut state);
        }
        assert!(store.handoff.try_write().is_none(), "a flush has to wait here");
        let flush = scope.spawn(|| store.flush());
        state.1 = true;
        slow.1.notify_all();
        drop(state);
        flush.join().unwrap().unwrap();
        assert!(store.handoff.try_write().is_some());
    });
}

#[test]
fn an_event_that_routing_ended_says_why() {
    let opened = Opened::new();
    for state in [EventState::Dropped, EventState::Dead, EventState::Parked, EventState::Unrouted] {
        let event = opened.accept("x");
        let mut routed = outcome(&event, state, Vec::new());
        routed.reason = Some("because".into());
        opened.store.routed(routed);
        let query = EventQuery { state: Some(state), limit: 10, ..EventQuery::default() };
        let rows = opened.store.events(&query).unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.id, row.reason.as_deref()), (event.id, Some("because")));
    }
    let page = opened.unrouted(u64::MAX);
    assert!(page.events.is_empty() && page.next_due_ms.is_none());
}

#[test]
fn a_failed_attempt_keeps_its_cause() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.route(&event, &["ci"]);
    let mut end = settled(event.id, "ci", 1, Next::Retry { due_ms: START + 1 });
    end.attempt.outcome = Outcome::Failed { cause: Cause::Tls, message: "no".into() };
    let sent = end.attempt.outcome.clone();
    opened.store.settled(end);
    let read = opened.store.event(event.id).unwrap().unwrap();
    assert_eq!(read.deliveries[0].attempts[0].outcome, sent);
}

#[test]
fn a_replayed_event_is_routed_again_and_its_rows_start_a_new_round() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.route(&event, &["ci"]);
    opened.settle(event.id, "ci", 1, dead("no"));
    assert!(opened.store.replay(event.id, None).unwrap());
    opened.handed.wait("stir", |handed| handed.stirs == 1);
    let waiting = opened.unrouted(START).events;
    assert!(waiting[0].replay && waiting[0].event.id == event.id && waiting[0].tries == 0);
    opened.handed.take_ready();
    opened.route(&waiting[0].event, &["ci"]);
    opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
    let handed = opened.handed.take_ready();
    assert_eq!((handed[0].tries, handed[0].attempts), (0, 1));
    opened.settle(event.id, "ci", 2, Next::Delivered);
    let read = opened.store.event(event.id).unwrap().unwrap();
    assert_eq!((read.row.replays, read.deliveries[0].attempts.len()), (1, 2));
    assert_eq!(read.row.deliveries[0].state, DeliveryState::Delivered);
    let backlog = opened.store.backlog().unwrap();
    assert_eq!((backlog[0].waiting, backlog[0].dead), (0, 0));
}

#[test]
fn a_replayed_delivery_is_due_now_with_what_it_sent_before() {
    let opened = Opened::new();
    let event = opened.accept("x");
    let mut sent = delivery(&event, "ci");
    sent.payload = changed("y");
    opened.store.routed(outcome(&event, EventState::Routed, vec![sent]));
    opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
    opened.settle(event.id, "ci", 1, Next::Delivered);
    opened.store.flush().unwrap();
    opened.handed.take_ready();
    opened.clock.set(START + 99);
    assert!(opened.store.replay(event.id, Some("ci")).unwrap());
    let handed = opened.handed.take_ready();
    assert_eq!((&handed[0].body()[..], handed[0].due_ms), (&b"y"[..], START + 99));
    assert_eq!((handed[0].tries, handed[0].attempts), (0, 1));
    assert_eq!(opened.due("ci", START + 99), [event.id]);
    assert!(!opened.store.replay(event.id, Some("none")).unwrap());
    assert!(!opened.store.replay(EventId::new(5, event.id.node()), None).unwrap());
    assert!(!opened.store.replay(EventId::new(event.id.row(), 1), None).unwrap());
}

#[test]
fn the_condition_of_a_destination_is_remembered() {
    let opened = Opened::new();
    let gone = Condition { disabled: Some("410".to_owned()), ..Condition::default() };
    let paused = Condition {
        paused_until_ms: Some(START + 9),
        failing_since_ms: Some(START),
        ..Condition::default()
    };
    opened.store.set_condition("ci", &gone).unwrap();
    opened.store.set_condition("audit", &paused).unwrap();
    let opened = opened.again();
    let expected = [("audit".to_owned(), paused), ("ci".to_owned(), gone)];
    assert_eq!(opened.store.conditions().unwrap(), expected);
    opened.store.set_condition("ci", &Condition::default()).unwrap();
    opened.store.set_condition("audit", &Condition::default()).unwrap();
    assert!(opened.store.conditions().unwrap().is_empty());
}

#[test]
fn how_far_a_bulk_replay_has_come_is_kept() {
    let opened = Opened::new();
    let events: Vec<_> = (0..3).map(|number| opened.accept(&number.to_string())).collect();
    let mut job = ReplayJob {
        id: 1,
        created_ms: START,
        wanted: "{}".to_owned(),
        state: ReplayState::Running,
        after: None,
        looked: 0,
        replayed: 0,
    };
    opened.store.put_replay(&job).unwrap();
    opened.store.put_replay(&ReplayJob { id: 2, ..job.clone() }).unwrap();
    job = ReplayJob {
        state: ReplayState::Stopped,
        after: Some(events[0].id),
        looked: 7,
        replayed: 5,
        ..job
    };
    opened.store.put_replay(&job).unwrap();
    let opened = opened.again();
    let kept = opened.store.replays().unwrap();
    assert_eq!((kept.len(), kept[0].id, &kept[1]), (2, 2, &job));
    let query =
        EventQuery { after: job.after, oldest_first: true, limit: 9, ..EventQuery::default() };
    let rest: Vec<_> = opened.store.events(&query).unwrap().iter().map(|row| row.id).collect();
    assert_eq!(rest, [events[1].id, events[2].id]);
    // Done ones go once a thousand later ones are there.
    opened.store.put_replay(&ReplayJob { id: 2, state: ReplayState::Done, ..job.clone() }).unwrap();
    opened.store.put_replay(&ReplayJob { id: 1_002, ..job.clone() }).unwrap();
    let kept: Vec<_> = opened.store.replays().unwrap().iter().map(|job| job.id).collect();
    assert_eq!(kept, [1_002, 1]);
}

#[test]
fn a_closed_store_says_so() {
    let opened = Opened::new();
    let event_before = opened.accept("x");
    opened.store.close();
    opened.store.close();
    assert!(matches!(opened.append(event("y")), Err(AppendError::Closed)));
    assert!(matches!(
        opened.store.event(event_before.id),
        Err(hookwright_store::StoreError::Closed)
    ));
    opened.route(&event_before, &["ci"]);
}

#[test]
fn everything_handed_in_before_the_close_is_there_afterwards() {
    let opened = Opened::new();
    let events: Vec<_> = (0..50).map(|number| opened.accept(&number.to_string())).collect();
    for event in &events {
        opened.route(event, &["ci"]);
    }
    let opened = opened.again();
    assert_eq!(opened.due("ci", START).len(), 50);
    assert_eq!(opened.store.usage().unwrap().events, 50);
    assert!(!opened.dir.path().join("index.db-wal").metadata().is_ok_and(|m| m.len() > 1 << 20));
}
