//! Lists for people and for those who follow.
use crate::Engine;
use crate::bench::*;
use hookwright_model::{DeliveryState, EventId, EventState};
use hookwright_store::{EventQuery, NewEvent, Next};

fn all(limit: usize) -> EventQuery {
    EventQuery { limit, ..EventQuery::default() }
}

pub fn a_search_finds_bodies_by_their_bytes_and_says_where_it_stopped<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut ids = Vec::new();
        for body in ["red apple", "green pear", "red pear"] {
            ids.push(bench.accept(body).await.id);
        }
        let found = bench.store.search(&all(10), "red").await.unwrap();
        assert_eq!(found.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
        assert_eq!((found.looked_at, found.stopped_at), (3, None));
        let first = bench.store.search(&all(1), "red").await.unwrap();
        assert_eq!((first.looked_at, first.stopped_at), (1, Some(ids[2])));
        let rest = EventQuery { before: first.stopped_at, ..all(1) };
        let rest = bench.store.search(&rest, "red").await.unwrap();
        assert_eq!((rest.rows[0].id, rest.stopped_at), (ids[0], None));
        let other = EventQuery { source: Some("nobody".into()), ..all(10) };
        assert_eq!(bench.store.search(&other, "red").await.unwrap().looked_at, 0);
        assert!(bench.store.search(&all(10), "Red").await.unwrap().rows.is_empty());
    });
}

pub fn a_feed_continues_from_where_it_was<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        bench.accept("before").await;
        let start = bench.store.feed(&all(2), None).await.unwrap().unwrap();
        assert!(start.rows.is_empty());
        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(bench.accept(&number.to_string()).await.id);
        }
        let first = bench.store.feed(&all(2), Some(start.position)).await.unwrap().unwrap();
        assert_eq!(first.rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..2]);
        assert_eq!(first.position, ids[1]);
        let second = bench.store.feed(&all(2), Some(first.position)).await.unwrap().unwrap();
        assert_eq!((second.rows[0].id, second.position), (ids[2], ids[2]));
        // What the filters leave out moves the position on all the same.
        let other = EventQuery { source: Some("nobody".into()), ..all(2) };
        let none = bench.store.feed(&other, Some(start.position)).await.unwrap().unwrap();
        assert_eq!((none.rows.len(), none.position), (0, ids[2]));
        let foreign = EventId::new(ids[0].row(), ids[0].node() ^ 1);
        assert!(bench.store.feed(&all(2), Some(foreign)).await.unwrap().is_none());
    });
}

pub fn filters_leave_what_they_name<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut ids = Vec::new();
        for number in 0..4u64 {
            bench.clock.set(START + number * 1_000);
            let event = bench.accept(&number.to_string()).await;
            bench.route(&event, if number == 0 { &["a"] } else { &["a", "b"] });
            ids.push(event.id);
        }
        bench.settle(ids[1], "a", 1, dead("no"));
        bench.settle(ids[2], "b", 1, Next::Delivered);
        let dropped = bench.accept("dropped").await;
        bench.routed(outcome(&dropped, EventState::Dropped, Vec::new()));
        ids.push(dropped.id);
        let new = NewEvent { source: name("other"), kind: "pull".into(), ..event("other") };
        let hookwright_store::Appended::New(other) = bench.append(new).await else {
            panic!("it is new")
        };
        ids.push(other);
        let base = || all(100);
        let text = |text: &str| Some(text.to_owned());
        let (dead, delivered) = (Some(DeliveryState::Dead), Some(DeliveryState::Delivered));
        for (query, meant) in [
            (base(), &[5, 4, 3, 2, 1, 0][..]),
            (EventQuery { oldest_first: true, ..base() }, &[0, 1, 2, 3, 4, 5]),
            (all(2), &[5, 4]),
            (EventQuery { oldest_first: true, ..all(2) }, &[0, 1]),
            (EventQuery { source: text("other"), ..base() }, &[5]),
            (EventQuery { source: text("nobody"), ..base() }, &[]),
            (EventQuery { kind: text("push"), ..base() }, &[4, 3, 2, 1, 0]),
            (EventQuery { destination: text("b"), ..base() }, &[3, 2, 1]),
            (EventQuery { destination: text("nobody"), ..base() }, &[]),
            (EventQuery { state: Some(EventState::Dropped), ..base() }, &[4]),
            (EventQuery { state: Some(EventState::Accepted), ..base() }, &[5]),
            (EventQuery { delivery: dead, ..base() }, &[1]),
            (EventQuery { delivery: dead, destination: text("b"), ..base() }, &[]),
            (EventQuery { delivery: delivered, destination: text("b"), ..base() }, &[2]),
            (EventQuery { since_ms: Some(START + 2_000), ..base() }, &[5, 4, 3, 2]),
            (EventQuery { until_ms: Some(START + 2_000), ..base() }, &[1, 0]),
            (EventQuery { before: Some(ids[2]), ..base() }, &[1, 0]),
            (EventQuery { after: Some(ids[2]), ..base() }, &[5, 4, 3]),
        ] {
            let rows = bench.store.events(&query).await.unwrap();
            let said: Vec<_> = rows.iter().map(|row| row.id).collect();
            let meant: Vec<_> = meant.iter().map(|place| ids[*place]).collect();
            assert_eq!(said, meant, "{query:?}");
        }
    });
}
