//! What only the engine on PostgreSQL has: a server that is killed, and a host whose time is over.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event, EventId, EventState};
use hookwright_store::{
    AppendError, Appended, Claim, EventLog, EventQuery, Handoff, Maintenance, Next, Queries, Store,
    WorkQueue,
};
use hookwright_store_conformance::fixtures::*;
use hookwright_store_postgres::{Options, Postgres, open};
use hookwright_testpostgres::Server;

/// Keeps what was handed on.
#[derive(Default)]
struct Kept {
    events: Mutex<Vec<Arc<Event>>>,
    ready: Mutex<Vec<Delivery>>,
}

impl Handoff for Kept {
    fn durable(&self, events: Vec<Arc<Event>>) {
        self.events.lock().extend(events);
    }

    fn ready(&self, deliveries: Vec<Delivery>) {
        self.ready.lock().extend(deliveries);
    }
}

fn options(url: &str, node: &str) -> Options {
    let mut instance = [0; 16];
    instance[..node.len()].copy_from_slice(node.as_bytes());
    Options {
        url: url.to_owned(),
        clock: Clock::system(),
        tls: None,
        node: node.to_owned(),
        instance,
    }
}

fn opened(url: &str, node: &str) -> Postgres {
    open(options(url, node), Arc::<Kept>::default()).unwrap()
}

fn run<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(case)
}

async fn accept(store: &Postgres, body: &str) -> EventId {
    match store.append(event(body)).await.unwrap() {
        Appended::New(id) | Appended::Duplicate(id) => id,
    }
}

/// Tries until it succeeds, as a caller does while the database is away.
async fn until<T, E: std::fmt::Debug>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < end, "{error:?}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn all(store: &Postgres) -> BTreeSet<EventId> {
    let (mut ids, mut after) = (BTreeSet::new(), None);
    loop {
        let query = EventQuery { after, oldest_first: true, limit: 1_000, ..Default::default() };
        let rows = until(async || store.events(&query).await).await;
        let Some(last) = rows.last() else { return ids };
        after = Some(last.id);
        ids.extend(rows.iter().map(|row| row.id));
    }
}

/// "2xx only when durable": what was acknowledged before, during and after kills of the server is there.
#[test]
fn a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    let mut server = Server::start(hookwright_testpostgres::Options { fsync: true, tls: false });
    let store = Arc::new(opened(&server.schema(), "test"));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (store, stopped) = (Arc::clone(&store), stopped.clone());
            let acknowledged = Arc::clone(&acknowledged);
            let load = async move {
                let (mut refused, mut number) = (0, 0);
                while !*stopped.borrow() {
                    number += 1;
                    match store.append(event(&format!("{caller} {number}"))).await {
                        Ok(Appended::New(id)) => {
                            assert!(acknowledged.lock().insert(id), "{id} was given twice");
                        }
                        Ok(other) => panic!("{other:?} of an event without a key"),
                        Err(AppendError::Failed(_)) => refused += 1,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                refused
            };
            std::thread::spawn(move || run(load))
        })
        .collect();
    let count = || acknowledged.lock().len();
    for _ in 0..3 {
        let before = count();
        let end = Instant::now() + Duration::from_secs(60);
        while count() < before + 200 {
            assert!(Instant::now() < end, "nothing is acknowledged any more");
            std::thread::yield_now();
        }
        server.kill();
        server.restart();
    }
    let before = count();
    while count() < before + 50 {
        std::thread::yield_now();
    }
    stop.send(true).unwrap();
    let refused: u32 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    assert!(refused > 0, "the kills were felt");
    run(async {
        let there = all(&store).await;
        let missing: Vec<_> = acknowledged.lock().difference(&there).copied().collect();
        assert!(missing.is_empty(), "{missing:?}");
        until(async || store.close().await).await;
    });
}

/// Outcomes that the server had not on its disk yet are recorded again.
#[test]
fn outcomes_are_recorded_in_the_end_although_the_server_is_killed() {
    let mut server = Server::start(hookwright_testpostgres::Options { fsync: true, tls: false });
    let handed = Arc::<Kept>::default();
    let store = open(options(&server.schema(), "test"), handed.clone()).unwrap();
    run(async {
        for round in 0..3 {
            let mut ids = Vec::new();
            for number in 0..50 {
                ids.push(accept(&store, &number.to_string()).await);
            }
            let end = Instant::now() + Duration::from_secs(60);
            while handed.events.lock().len() < ids.len() {
                assert!(Instant::now() < end, "not all were handed on");
                std::thread::yield_now();
            }
            let events = std::mem::take(&mut *handed.events.lock());
            for event in &events {
                let keyed = |name: &str| Delivery {
                    order_key: Some("one".into()),
                    ..delivery(event, name)
                };
                let deliveries = vec![delivery(event, "ci"), keyed("ordered")];
                let routed = outcome(event, EventState::Routed, deliveries);
                store.routed(hookwright_store::Routed { first: true, ..routed }).unwrap();
                store.settled(settled(event.id, "ci", 1, Next::Delivered)).unwrap();
            }
            if round > 0 {
                store.recorded().await.unwrap();
            }
            server.kill();
            server.restart();
            until(async || store.recorded().await).await;
            let claim = Claim { of: SOURCE, now_ms: u64::MAX, after: None, limit: 1_000 };
            let left = until(async || store.claim_events(claim).await).await;
            assert!(left.events.is_empty(), "{} are to be routed", left.events.len());
            let backlog = until(async || store.backlog().await).await;
            let waiting: Vec<_> =
                backlog.iter().map(|row| (&*row.destination, row.waiting)).collect();
            assert_eq!(waiting, [("ci", 0), ("ordered", 50 * (round + 1))]);
        }
        until(async || store.close().await).await;
    });
}

#[test]
fn ids_are_found_over_epochs() {
    let url = Server::shared().schema();
    run(async {
        let first = opened(&url, "first");
        let id = accept(&first, "x").await;
        first.close().await.unwrap();
        // Given back, it is free at once.
        let second = opened(&url, "second");
        assert!(second.event(id).await.unwrap().is_some());
        second.close().await.unwrap();
    });
}

#[test]
fn what_a_host_writes_after_its_epoch_is_over_fails_and_it_says_so() {
    let url = Server::shared().schema();
    let old = opened(&url, "one");
    run(async {
        let event = accept(&old, "before").await;
        // The same host, started again while the old process hangs.
        let new = opened(&url, "one");
        let late = old.append(self::event("late")).await;
        assert!(matches!(late, Err(AppendError::Failed(_))), "{late:?}");
        old.settled(settled(event, "ci", 1, Next::Delivered)).unwrap();
        assert!(old.recorded().await.is_err());
        assert!(old.replay(event, None).await.is_err());
        let why = old.died().await;
        assert!(why.contains("another host has taken the database over"), "{why}");
        assert!(!old.healthy());
        let own = accept(&new, "after").await;
        assert_eq!(all(&new).await, BTreeSet::from([event, own]));
        new.close().await.unwrap();
    });
}

#[test]
fn appends_fail_quickly_while_the_database_is_away_and_go_on_after() {
    let mut server = Server::start(Default::default());
    let store = opened(&server.schema(), "test");
    run(async {
        let first = accept(&store, "first").await;
        server.kill();
        let since = Instant::now();
        while store.append(event("x")).await.is_ok() {}
        for _ in 0..100 {
            assert!(matches!(store.append(event("x")).await, Err(AppendError::Failed(_))));
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
        assert!(!store.healthy());
        server.restart();
        let second = until(async || store.append(event("second")).await).await;
        let Appended::New(second) = second else { panic!("it is new") };
        assert!(second > first && store.healthy());
        let backup = store.backup(std::path::Path::new("/nowhere")).await.unwrap_err();
        assert!(backup.to_string().contains("pg_dump"), "{backup}");
        until(async || store.close().await).await;
    });
}

/// It is one object for the wiring.
#[test]
fn it_is_a_whole_store() {
    fn whole(_: &dyn Store) {}
    let store = opened(&Server::shared().schema(), "test");
    whole(&store);
    let shown = format!("{store:?}");
    assert!(shown.contains("127.0.0.1:"), "{shown}");
}
