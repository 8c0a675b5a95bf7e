//! What plugins keep: with the outcome, in order, until it is over.
use super::*;
use hookwright_model::{StateRow, StateValue};

fn row(key: &str, value: Option<StateValue>, expires_ms: Option<u64>) -> StateRow {
    StateRow { plugin: "p".parse().unwrap(), key: key.into(), value, expires_ms }
}

fn number(number: i64) -> Option<StateValue> {
    Some(StateValue::Number(number))
}

#[test]
fn rows_are_kept_with_outcomes_in_the_order_in_which_they_came() {
    let opened = Opened::new();
    for count in 1..=50 {
        let event = opened.accept("a");
        let mut routed = outcome(&event, EventState::Routed, vec![delivery(&event, "ci")]);
        if count % 2 == 0 {
            // By way of the journal.
            let changed = Payload { body: Some("changed".into()), ..Payload::default() };
            routed.deliveries[0].payload = Some(Arc::new(changed));
        }
        routed.state_rows = vec![row("n", number(count), None)];
        opened.store.routed(routed);
    }
    let event = opened.accept("a");
    let mut routed = outcome(&event, EventState::Dropped, Vec::new());
    let bytes = Some(StateValue::Bytes(Bytes::from_static(b"\0text")));
    routed.state_rows = vec![
        row("gone", number(1), None),
        row("b", bytes.clone(), Some(START + 1_000)),
        row("gone", None, None),
        row("over", number(1), Some(START)),
    ];
    opened.store.routed(routed);
    opened.store.flush().unwrap();
    let wanted = vec![row("b", bytes, Some(START + 1_000)), row("n", number(50), None)];
    assert_eq!(opened.store.state().unwrap(), wanted);
    assert_eq!(opened.again().store.state().unwrap(), wanted);
}
