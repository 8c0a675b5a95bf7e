//! What is kept over the host's end, and what a purge drops.
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::bench::*;
use crate::{End, Engine};
use hookwright_model::{EventId, EventState, ReplayJob, ReplayState, StateRow, StateValue};
use hookwright_store::{Condition, EventQuery, Next, Routed};

fn row(key: &str, value: Option<StateValue>, expires_ms: Option<u64>) -> StateRow {
    StateRow { plugin: name("p"), key: key.into(), value, expires_ms }
}

fn number(number: i64) -> Option<StateValue> {
    Some(StateValue::Number(number))
}

pub fn plugin_state_is_kept_with_outcomes_in_their_order<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        for count in 1..=50 {
            let event = bench.accept("a").await;
            let mut sent = delivery(&event, "ci");
            // One that has to be written, another that leaves as it came.
            sent.payload = if count % 2 == 0 { changed("changed") } else { None };
            let routed = outcome(&event, EventState::Routed, vec![sent]);
            bench.routed(Routed { state_rows: vec![row("n", number(count), None)], ..routed });
        }
        let event = bench.accept("a").await;
        let bytes = Some(StateValue::Bytes(Bytes::from_static(b"\0text")));
        let state_rows = vec![
            row("gone", number(1), None),
            row("b", bytes.clone(), Some(START + 1_000)),
            row("gone", None, None),
            row("over", number(1), Some(START)),
        ];
        let routed = outcome(&event, EventState::Dropped, Vec::new());
        bench.routed(Routed { state_rows, ..routed });
        bench.store.recorded().await.unwrap();
        let sorted = |mut rows: Vec<StateRow>| {
            rows.sort_by(|a, b| a.key.cmp(&b.key));
            rows
        };
        let meant = vec![row("b", bytes, Some(START + 1_000)), row("n", number(50), None)];
        assert_eq!(sorted(bench.store.state().await.unwrap()), meant);
        let bench = bench.reopened(End::Orderly).await;
        assert_eq!(sorted(bench.store.state().await.unwrap()), meant);
    });
}

pub fn conditions_and_jobs_are_kept_over_a_restart<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let gone = Condition { disabled: Some("410".into()), ..Condition::default() };
        let paused = Condition { paused_until_ms: Some(START + 5), ..Condition::default() };
        for (name, condition) in [("a", &paused), ("a", &gone), ("b", &paused)] {
            bench.store.set_condition(name, condition).await.unwrap();
        }
        let job = |id: u64, looked: u64| ReplayJob {
            id,
            created_ms: START,
            wanted: "all".into(),
            state: ReplayState::Running,
            after: None,
            looked,
            replayed: 0,
        };
        for job in [job(1, 0), job(2, 0), job(1, 7)] {
            bench.store.put_replay(&job).await.unwrap();
        }
        let bench = bench.reopened(End::Orderly).await;
        let mut known = bench.store.conditions().await.unwrap();
        known.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(known, [("a".to_owned(), gone), ("b".to_owned(), paused)]);
        let jobs = bench.store.replays().await.unwrap();
        let jobs: Vec<_> = jobs.iter().map(|job| (job.id, job.looked)).collect();
        assert_eq!(jobs, [(2, 0), (1, 7)], "the latest first, as they were kept last");
        bench.store.set_condition("a", &Condition::default()).await.unwrap();
        let known = bench.store.conditions().await.unwrap();
        assert_eq!(known.len(), 1, "nothing is remembered of `a` any more");
    });
}

/// What was acknowledged is there after it: as it was, or as it was a little earlier.
pub fn a_crash_with_work_pending_repeats_work_and_loses_none<E: Engine>() {
    const EVENTS: usize = 40;
    run(async {
        let mut bench = Bench::<E>::new();
        let mut appended = BTreeSet::new();
        for round in 0..3 {
            let mut events = Vec::new();
            for number in 0..EVENTS {
                let event = bench.accept(&format!("{round} {number}")).await;
                appended.insert(event.id);
                events.push(event);
            }
            for (number, event) in events.iter().enumerate().filter(|(number, _)| number % 4 > 0) {
                bench.route(event, &["ci"]);
                match number % 4 {
                    2 => bench.settle(event.id, "ci", 1, Next::Retry { due_ms: START + 9 }),
                    3 => bench.settle(event.id, "ci", 1, Next::Delivered),
                    _ => {}
                }
            }
            // In the first round nothing is known to be recorded.
            if round > 0 {
                bench.store.recorded().await.unwrap();
            }
            bench = bench.reopened(End::Crash).await;
            let query = EventQuery { limit: 1_000, ..EventQuery::default() };
            let rows = bench.store.events(&query).await.unwrap();
            let there: BTreeSet<EventId> = rows.iter().map(|row| row.id).collect();
            assert_eq!(there, appended);
            let unrouted = bench.unrouted(START).await.events;
            let mut work: BTreeSet<EventId> = unrouted.iter().map(|one| one.event.id).collect();
            let due = bench.due("ci", START + 9).await;
            work.extend(due.iter().copied());
            assert_eq!(work.len(), unrouted.len() + due.len(), "each waits in one place");
            for (number, event) in events.iter().enumerate() {
                let waits = work.contains(&event.id);
                assert!(waits || number % 4 == 3, "{number} was not delivered, and is to be");
                assert!(round == 0 || waits == (number % 4 != 3), "{number} was recorded");
            }
            for event in unrouted {
                bench.route(&event.event, &["ci"]);
            }
            for id in bench.due("ci", START + 9).await {
                let number = bench.detail(id).await.deliveries[0].row.attempts + 1;
                bench.settle(id, "ci", number, Next::Delivered);
            }
            assert_eq!(bench.counts("ci").await, (0, 0));
        }
    });
}

pub fn a_purge_beside_readers_drops_what_is_finished_and_old_alone<E: Engine>() {
    const DAY: u64 = 24 * 3_600_000;
    run(async {
        let bench = Bench::<E>::new();
        let mut keep = BTreeSet::new();
        let mut ids = Vec::new();
        for number in 0..200u64 {
            bench.clock.set(START + number * DAY / 100);
            let event = bench.accept(&"x".repeat(200)).await;
            match number % 4 {
                0 => drop(keep.insert(event.id)),
                1 => {
                    bench.route(&event, &["ci"]);
                    keep.insert(event.id);
                }
                2 => {
                    bench.route(&event, &["ci"]);
                    bench.settle(event.id, "ci", 1, Next::Delivered);
                }
                _ => bench.routed(outcome(&event, EventState::Dropped, Vec::new())),
            }
            ids.push(event.id);
        }
        let before_ms = START + DAY;
        let old = |id: &EventId| id.millis() < before_ms;
        let (store, readers) = (&bench.store, async |seed: usize| {
            for number in 0..100 {
                let id = ids[(number * 37 + seed * 11) % ids.len()];
                let found = bench.store.event(id).await.unwrap();
                assert!(found.is_some() || (old(&id) && !keep.contains(&id)), "{id} is gone");
                if number % 10 == 0 {
                    let waiting = bench.unrouted(before_ms + DAY).await.events.len();
                    assert_eq!(waiting, 50, "none that waits is missing from a claim");
                    assert_eq!(bench.due("ci", before_ms + DAY).await.len(), 50);
                }
            }
        });
        let purge = async {
            let mut events = 0;
            for step in 1..=4 {
                events += store.purge(START + DAY * step / 4).await.unwrap().events;
            }
            events
        };
        let (purged, (), ()) = tokio::join!(purge, readers(1), readers(2));
        let query = EventQuery { limit: 1_000, ..EventQuery::default() };
        let left: BTreeSet<_> =
            store.events(&query).await.unwrap().iter().map(|row| row.id).collect();
        assert_eq!(left.len() as u64 + purged, 200);
        let must_stay = ids.iter().filter(|id| !old(id) || keep.contains(id));
        for id in must_stay {
            assert!(left.contains(id), "{id} must stay");
        }
    });
}
