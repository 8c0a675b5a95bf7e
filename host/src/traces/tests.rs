//! Which events are taken, and that all parts of one find the same place.
use bytes::Bytes;

use super::*;
use crate::model::EventId;

fn event(row: i64, parent: Option<&str>) -> Event {
    let mut headers = HeaderMap::new();
    headers.extend(parent.map(|parent| (TRACEPARENT, parent.parse().unwrap())));
    Event {
        id: EventId::new(EventId::first_row_at(1_700_000_000_000) + row, 7),
        source: "hub".parse().unwrap(),
        kind: "push".into(),
        headers,
        body: Bytes::new(),
    }
}

fn delivery(event: Event, attempts: u32) -> Delivery {
    Delivery {
        event: Arc::new(event),
        destination: "ci".parse().unwrap(),
        payload: None,
        due_ms: 0,
        order_key: None,
        tries: 0,
        attempts,
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_part_of_the_events_is_taken_and_always_the_same_part() {
    let taken = |percent: u32| -> Vec<i64> {
        let (spans, _out) = Spans::new(percent);
        (0..2_000).filter(|row| spans.place(&event(*row, None)).is_some()).collect()
    };
    assert!(taken(0).is_empty());
    assert_eq!(taken(100).len(), 2_000);
    let tenth = taken(10);
    assert!((140..260).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(tenth, taken(10));
}

#[test]
fn what_the_source_says_of_its_trace_is_followed() {
    let (none, _out) = Spans::new(0);
    let (all, _out) = Spans::new(100);
    let sampled = event(1, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01")));
    let place = none.place(&sampled).expect("it is taken");
    assert_eq!(
        (place.trace, place.parent),
        (u128::from_str_radix(TRACE, 16).unwrap(), Some(0x00f0_67aa_0ba9_02b7))
    );
    assert!(all.place(&event(1, Some(&format!("00-{TRACE}-00f067aa0ba902b7-00")))).is_none());
}

#[test]
fn the_receiver_is_under_the_attempt_that_is_exported() {
    let (spans, mut out) = Spans::new(100);
    for number in 0..2 {
        let delivery = delivery(event(1, None), number);
        let mut headers = HeaderMap::new();
        spans.pass_on(&delivery, &mut headers);
        let told = trace::parent(&headers).expect("a context");
        let outcome = Outcome::Answered { status: 500, retry_after_s: None, excerpt: Bytes::new() };
        let attempt = Attempt { number: number + 1, at_ms: 1, took_us: 2, outcome };
        spans.attempted(&delivery, &attempt, false);
        let span = out.try_recv().expect("a span");
        assert_eq!((span.trace, span.id, true), (told.trace, told.span, told.sampled));
        assert_eq!(span.error.as_deref(), Some("answered 500"));
    }
}

#[test]
fn a_full_queue_drops_and_nothing_waits() {
    let (spans, mut out) = Spans::new(100);
    for row in 0..10_000 {
        spans.routed(&event(row, None), true, &[], 1_700_000_000_000_000);
    }
    let mut count = 0;
    while out.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, WAITING);
}
