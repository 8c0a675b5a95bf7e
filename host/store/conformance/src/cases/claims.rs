//! Claiming work: complete, in order, page by page.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::Engine;
use crate::bench::*;
use hookwright_model::{Delivery, EventId, EventState};
use hookwright_store::{AppendError, Claim, Cursor, EventQuery, Next, Routed, StoreError};

pub fn a_claim_has_all_that_was_handed_in_before_it<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        for number in 0..20 {
            let event = bench.accept(&number.to_string()).await;
            let waiting = bench.unrouted(START).await.events;
            assert_eq!(waiting.iter().map(|one| one.event.id).collect::<Vec<_>>(), [event.id]);
            let mut sent = delivery(&event, "ci");
            sent.payload = if number % 2 == 0 { changed("changed") } else { None };
            let routed = outcome(&event, EventState::Routed, vec![sent]);
            bench.routed(Routed { first: number % 3 == 0, ..routed });
            assert!(bench.unrouted(START).await.events.is_empty(), "{number} is routed");
            assert_eq!(bench.due("ci", START).await, [event.id]);
            let due_ms = START + 10;
            bench.settle(event.id, "ci", 1, Next::Retry { due_ms });
            assert!(bench.due("ci", START).await.is_empty(), "{number} waits for its retry");
            assert_eq!(bench.due("ci", due_ms).await, [event.id]);
            bench.settle(event.id, "ci", 2, Next::Delivered);
            assert!(bench.due("ci", due_ms).await.is_empty(), "{number} is delivered");
        }
    });
}

/// Two that claim the same work share what they hold, as a host's tasks do: all
/// of it is settled once, and a claim never answers what was settled before it.
pub fn two_claimants_at_once_see_what_waits_and_nothing_that_ended<E: Engine>() {
    const EVENTS: usize = 60;
    run(async {
        let bench = Bench::<E>::new();
        for number in 0..EVENTS {
            let event = bench.accept(&number.to_string()).await;
            bench.route(&event, &["ci"]);
        }
        let bench = &bench;
        let (held, settled) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
        let claimant = async || {
            loop {
                let before: BTreeSet<EventId> = settled.lock().clone();
                let claim = Claim { of: "ci", now_ms: START, after: None, limit: 7 };
                let page = bench.store.claim_deliveries(claim).await.unwrap();
                if page.deliveries.is_empty() {
                    return;
                }
                for delivery in page.deliveries {
                    let id = delivery.event.id;
                    assert!(!before.contains(&id), "{id} was settled before the claim");
                    if held.lock().insert(id) {
                        bench.settle(id, "ci", 1, Next::Delivered);
                        settled.lock().insert(id);
                    }
                }
            }
        };
        tokio::join!(claimant(), claimant());
        assert_eq!(settled.lock().len(), EVENTS);
        let query = EventQuery { limit: EVENTS, ..EventQuery::default() };
        for row in bench.store.events(&query).await.unwrap() {
            assert_eq!(row.deliveries[0].attempts, 1);
        }
    });
}

pub fn pages_follow_one_another_by_their_cursors<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut meant = Vec::new();
        for number in 0..11u64 {
            let event = bench.accept(&number.to_string()).await;
            // Several are due at the same time.
            let due_ms = START + number % 3;
            meant.push((due_ms, event.id));
            let sent = Delivery { due_ms, ..delivery(&event, "ci") };
            bench.routed(outcome(&event, EventState::Routed, vec![sent]));
        }
        let waiting: Vec<_> = (0..7).map(|number| number.to_string()).collect();
        let mut unrouted = Vec::new();
        for body in &waiting {
            unrouted.push(bench.accept(body).await.id);
        }
        meant.sort();
        let (mut said, mut after) = (Vec::new(), None);
        loop {
            let claim = Claim { of: "ci", now_ms: START + 9, after: after.as_ref(), limit: 4 };
            let page = bench.store.claim_deliveries(claim).await.unwrap();
            assert_eq!(page.next.is_none(), page.deliveries.is_empty());
            said.extend(page.deliveries.iter().map(|one| (one.due_ms, one.event.id)));
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        assert_eq!(said, meant);
        let (mut said, mut after) = (Vec::new(), None);
        loop {
            let claim = Claim { of: SOURCE, now_ms: START, after: after.as_ref(), limit: 3 };
            let page = bench.store.claim_events(claim).await.unwrap();
            said.extend(page.events.iter().map(|one| one.event.id));
            let more = page.next_due_ms.is_some();
            after = page.next;
            if !more {
                break;
            }
        }
        assert_eq!(said, unrouted);
        let other = Claim { of: "nobody", now_ms: START, after: None, limit: 3 };
        assert!(bench.store.claim_events(other).await.unwrap().events.is_empty());
        assert!(bench.store.claim_deliveries(other).await.unwrap().deliveries.is_empty());
        // What is not due yet is told by its time.
        let early = Claim { of: "ci", now_ms: START, after: None, limit: 100 };
        let page = bench.store.claim_deliveries(early).await.unwrap();
        assert_eq!((page.deliveries.len(), page.next_due_ms), (4, Some(START + 1)));
    });
}

pub fn a_cursor_of_another_store_is_refused<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let foreign = Cursor::new(*b"?");
        let claim = Claim { of: SOURCE, now_ms: START, after: Some(&foreign), limit: 1 };
        assert!(bench.store.claim_events(claim).await.is_err());
        assert!(bench.store.claim_deliveries(claim).await.is_err());
    });
}

pub fn times_of_a_clock_that_was_ahead_are_brought_back<E: Engine>() {
    const YEAR: u64 = 365 * 24 * 3_600_000;
    let longest = Duration::from_secs(3_600);
    run(async {
        let bench = Bench::<E>::new();
        let event = bench.accept("x").await;
        bench.route(&event, &["ci"]);
        bench.settle(event.id, "ci", 1, Next::Retry { due_ms: START + YEAR });
        let put_off = bench.accept("put off").await;
        let sent = Delivery { due_ms: START + YEAR / 2, ..delivery(&put_off, "ci") };
        bench.routed(outcome(&put_off, EventState::Routed, vec![sent]));
        let other = bench.accept("to be routed").await;
        let again = outcome(&other, EventState::Accepted, Vec::new());
        bench.routed(Routed { retry_ms: START + YEAR, ..again });
        assert_eq!(bench.store.rein_in(Some("ci"), START, longest).await.unwrap(), 1);
        assert_eq!(bench.due("ci", START).await, [event.id], "what a plugin put off stays so");
        assert_eq!(bench.store.rein_in(Some("ci"), START, longest).await.unwrap(), 0);
        assert_eq!(bench.store.rein_in(None, START, longest).await.unwrap(), 1);
        let waiting = bench.unrouted(START).await.events;
        assert_eq!(waiting.iter().map(|one| one.event.id).collect::<Vec<_>>(), [other.id]);
    });
}

pub fn what_is_handed_in_after_the_close_is_refused<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let event = bench.accept("x").await;
        bench.route(&event, &["ci"]);
        bench.store.close().await.unwrap();
        assert!(matches!(bench.store.append(self::event("y")).await, Err(AppendError::Closed)));
        let late = outcome(&event, EventState::Dropped, Vec::new());
        assert!(matches!(bench.store.routed(late), Err(StoreError::Closed)));
        let late = settled(event.id, "ci", 1, Next::Delivered);
        assert!(matches!(bench.store.settled(late), Err(StoreError::Closed)));
        let claim = Claim { of: "ci", now_ms: START, after: None, limit: 1 };
        assert!(matches!(bench.store.claim_deliveries(claim).await, Err(StoreError::Closed)));
        assert!(matches!(bench.store.event(event.id).await, Err(StoreError::Closed)));
        assert!(matches!(bench.store.recorded().await, Err(StoreError::Closed)));
        bench.store.close().await.unwrap();
        let bench = bench.reopened(crate::End::Orderly).await;
        assert_eq!(bench.due("ci", START).await, [event.id], "what came before is recorded");
        drop(Arc::clone(&bench.store));
    });
}
