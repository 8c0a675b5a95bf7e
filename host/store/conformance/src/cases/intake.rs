//! Appending: byte for byte, in order, each key once.
use crate::bench::*;
use crate::{End, Engine};
use hookwright_model::EventId;
use hookwright_store::{Appended, NewEvent};
use tokio::task::JoinSet;

async fn duplicate_of<E: Engine>(bench: &Bench<E>, key: u8) -> Option<EventId> {
    match bench.append(keyed(key, 1_000)).await {
        Appended::Duplicate(id) => Some(id),
        Appended::New(_) => None,
    }
}

async fn first<E: Engine>(bench: &Bench<E>, key: u8) -> EventId {
    let Appended::New(id) = bench.append(keyed(key, 1_000)).await else { panic!("it is new") };
    id
}

pub fn an_event_comes_back_byte_for_byte_and_is_handed_on<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut new = event("");
        new.body = bytes::Bytes::from_static(b"\0any\xff bytes");
        new.headers.append("x-twice", "1".parse().unwrap());
        new.headers.append("x-twice", http::HeaderValue::from_bytes(b"\xff2").unwrap());
        let (headers, body) = (new.headers.clone(), new.body.clone());
        let Appended::New(id) = bench.append(new).await else { panic!("it is new") };
        let handed = bench.handed_on(id);
        let detail = bench.detail(id).await;
        for event in [&handed, &detail.event] {
            assert_eq!((&event.headers, &event.body), (&headers, &body));
            assert_eq!((&*event.source, &*event.kind), (SOURCE, "push"));
            assert_eq!(event.received_ms, START);
        }
        let bench = bench.reopened(End::Crash).await;
        assert_eq!(bench.detail(id).await.event.body, body);
        let unknown = EventId::new(id.row() + 1, id.node());
        assert!(bench.store.event(unknown).await.unwrap().is_none());
    });
}

pub fn ids_rise_also_when_the_clock_steps_back<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let first = bench.accept("first").await.id;
        bench.clock.set(START - 60_000);
        let second = bench.accept("second").await.id;
        assert!(second > first);
        let bench = bench.reopened(End::Orderly).await;
        let third = bench.accept("third").await;
        assert!(third.id > second);
        assert_eq!(third.received_ms, START - 60_000);
    });
}

pub fn of_a_hundred_events_with_one_key_at_once_one_is_new<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut appends = JoinSet::new();
        for _ in 0..100 {
            appends.spawn(bench.store.append(keyed(1, 1_000)));
        }
        let all: Vec<_> = appends.join_all().await.into_iter().map(Result::unwrap).collect();
        let new = all.iter().find_map(|one| match one {
            Appended::New(id) => Some(*id),
            Appended::Duplicate(_) => None,
        });
        let new = new.expect("one is new");
        assert_eq!(all.iter().filter(|one| **one == Appended::New(new)).count(), 1);
        assert_eq!(all.iter().filter(|one| **one == Appended::Duplicate(new)).count(), 99);
        assert_eq!(bench.store.usage().await.unwrap().events, 1);
    });
}

pub fn a_key_is_known_to_the_end_of_its_window_and_of_its_source_alone<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let id = first(&bench, 1).await;
        let other = NewEvent { source: name("other"), ..keyed(1, 1_000) };
        assert!(matches!(bench.append(other).await, Appended::New(_)));
        for recorded in [false, true] {
            if recorded {
                bench.store.recorded().await.unwrap();
            }
            bench.clock.set(START + 600);
            assert_eq!(duplicate_of(&bench, 1).await, Some(id), "it does not begin again");
            bench.clock.set(START + 999);
            assert_eq!(duplicate_of(&bench, 1).await, Some(id));
        }
        bench.clock.set(START + 1_000);
        let second = first(&bench, 1).await;
        assert_eq!(duplicate_of(&bench, 1).await, Some(second));
    });
}

pub fn a_key_is_known_after_a_restart_and_after_a_crash<E: Engine>() {
    run(async {
        for end in [End::Orderly, End::Crash] {
            let bench = Bench::<E>::new();
            let id = first(&bench, 1).await;
            let bench = bench.reopened(end).await;
            assert_eq!(duplicate_of(&bench, 1).await, Some(id), "{end:?}");
            assert_eq!(duplicate_of(&bench, 2).await, None);
        }
    });
}
