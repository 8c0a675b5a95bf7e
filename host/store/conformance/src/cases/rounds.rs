//! Attempts, replays, order keys and discarding, example by example.
use crate::bench::*;
use crate::{End, Engine};
use hookwright_model::{Delivery, DeliveryState, EventId, EventState};
use hookwright_store::Next;

pub fn a_replay_starts_a_new_round_and_keeps_the_attempts<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let event = bench.accept("x").await;
        let mut sent = delivery(&event, "ci");
        sent.payload = changed("changed");
        bench.routed(outcome(&event, EventState::Routed, vec![sent]));
        // Only what was claimed or handed on is ever settled.
        assert_eq!(bench.due("ci", START).await, [event.id]);
        bench.settle(event.id, "ci", 1, dead("no"));
        assert_eq!(bench.counts("ci").await, (0, 1));

        // The delivery as it was recorded.
        let now_ms = START + 5_000;
        bench.clock.set(now_ms);
        assert!(bench.store.replay(event.id, Some("ci")).await.unwrap());
        let claim = hookwright_store::Claim { of: "ci", now_ms, after: None, limit: 9 };
        let again = bench.store.claim_deliveries(claim).await.unwrap().deliveries.remove(0);
        assert_eq!((again.tries, again.attempts, again.replayed), (0, 1, true));
        assert_eq!((again.due_ms, &again.body()[..]), (now_ms, &b"changed"[..]));
        let row = bench.detail(event.id).await.deliveries.remove(0).row;
        assert_eq!((row.state, row.cause), (DeliveryState::Waiting, None));
        bench.settle(event.id, "ci", 2, Next::Delivered);

        // The event through routing.
        assert!(bench.store.replay(event.id, None).await.unwrap());
        let waiting = bench.unrouted(now_ms).await.events.remove(0);
        assert_eq!((waiting.event.id, waiting.replay, waiting.tries), (event.id, true, 0));
        bench.route(&event, &["ci"]);
        let again = bench.store.claim_deliveries(claim).await.unwrap().deliveries.remove(0);
        assert_eq!((again.attempts, &again.body()[..]), (2, &b"x"[..]));
        bench.settle(event.id, "ci", 3, Next::Delivered);
        let detail = bench.detail(event.id).await;
        assert_eq!((detail.row.replays, detail.row.state), (1, EventState::Routed));
        let numbers: Vec<_> = detail.deliveries[0].attempts.iter().map(|one| one.number).collect();
        assert_eq!(numbers, [1, 2, 3]);

        assert!(!bench.store.replay(event.id, Some("nobody")).await.unwrap());
        let foreign = EventId::new(event.id.row(), event.id.node() ^ 1);
        assert!(!bench.store.replay(foreign, None).await.unwrap(), "of another store");
        let unknown = EventId::new(event.id.row() + 9, event.id.node());
        assert!(!bench.store.replay(unknown, None).await.unwrap());
    });
}

/// Two rounds overlapped.
pub fn an_attempt_that_ends_late_is_kept_and_success_wins<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let event = bench.accept("x").await;
        bench.route(&event, &["ci"]);
        bench.settle(event.id, "ci", 1, dead("no"));
        bench.settle(event.id, "ci", 2, Next::Delivered);
        bench.settle(event.id, "ci", 3, dead("too late"));
        let detail = bench.detail(event.id).await.deliveries.remove(0);
        assert_eq!((detail.row.state, detail.row.cause), (DeliveryState::Delivered, None));
        assert_eq!((detail.row.attempts, detail.attempts.len()), (3, 3));
        assert_eq!(bench.counts("ci").await, (0, 0));
        bench.settle(event.id, "nobody", 1, Next::Delivered);
        assert_eq!(bench.detail(event.id).await.deliveries.len(), 1, "it has no such delivery");
    });
}

pub fn one_that_waits_for_its_retry_holds_its_key_up_and_no_other<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut events = Vec::new();
        for key in ["a", "a", "b", "a"] {
            let event = bench.accept(key).await;
            let keyed = Delivery { order_key: Some(key.into()), ..delivery(&event, "ci") };
            bench.routed(outcome(&event, EventState::Routed, vec![keyed]));
            events.push(event.id);
        }
        assert_eq!(bench.due("ci", START).await, [events[0], events[2]]);
        bench.settle(events[0], "ci", 1, Next::Retry { due_ms: START + 50 });
        assert_eq!(bench.due("ci", START).await, [events[2]]);
        bench.settle(events[2], "ci", 1, Next::Delivered);
        assert!(bench.due("ci", START + 49).await.is_empty());
        let row = bench.detail(events[1]).await.deliveries.remove(0).row;
        assert_eq!((row.state, row.behind), (DeliveryState::Waiting, true));
        bench.store.recorded().await.unwrap();
        bench.take_ready();
        bench.settle(events[0], "ci", 2, dead("given up"));
        bench.store.recorded().await.unwrap();
        let handed: Vec<_> = bench.take_ready().iter().map(|one| one.event.id).collect();
        assert_eq!(handed, [events[1]], "a dead letter lets the next one go");
        assert_eq!(bench.due("ci", START).await, [events[1]]);
    });
}

/// In steps, over a restart, and with order keys: nothing is left behind nothing.
pub fn what_waits_is_discarded_in_steps_and_what_is_behind_goes_first<E: Engine>() {
    run(async {
        let bench = Bench::<E>::new();
        let mut events = Vec::new();
        for number in 0..6 {
            let event = bench.accept(&number.to_string()).await;
            let key = (number < 4).then(|| "a".into());
            let gone = Delivery { order_key: key, ..delivery(&event, "gone") };
            let all = vec![gone, delivery(&event, "ci")];
            bench.routed(outcome(&event, EventState::Routed, all));
            events.push(event.id);
        }
        let cause = "discarded: moved";
        bench.store.recorded().await.unwrap();
        assert_eq!(bench.store.discard("nobody", "x", 10).await.unwrap(), 0);
        // Three are behind the first of their key.
        assert_eq!(bench.store.discard("gone", cause, 2).await.unwrap(), 2);
        assert_eq!(bench.due("gone", START).await, [events[0], events[4], events[5]]);
        let bench = bench.reopened(End::Orderly).await;
        assert_eq!(bench.store.discard("gone", cause, 2).await.unwrap(), 2);
        assert_eq!(bench.store.discard("gone", cause, 3).await.unwrap(), 2);
        assert_eq!(bench.store.discard("gone", cause, 3).await.unwrap(), 0);
        assert!(bench.due("gone", START).await.is_empty());
        assert_eq!(bench.due("ci", START).await.len(), 6);
        let backlog = bench.store.backlog().await.unwrap();
        let of = |name: &str| backlog.iter().find(|row| row.destination == name).unwrap().clone();
        assert_eq!((of("gone").waiting, of("gone").dead, of("gone").oldest_ms), (0, 6, None));
        assert_eq!((of("ci").waiting, of("ci").dead), (6, 0));
        let rows = bench.detail(events[1]).await.deliveries;
        let gone = rows.iter().find(|one| one.row.destination == "gone").unwrap();
        assert_eq!(gone.row.cause.as_deref(), Some(cause));
        assert!(bench.store.replay(events[1], Some("gone")).await.unwrap());
        assert_eq!(bench.due("gone", START).await, [events[1]]);
    });
}
