//! Order keys where a delivery goes by the journal first, and another does not.
use super::*;

/// A payload goes through the journal first, an unchanged body need not.
#[test]
fn a_changed_body_is_not_overtaken_by_an_unchanged_one() {
    for _ in 0..20 {
        let opened = Opened::new();
        let events: Vec<_> = (0..6).map(|number| opened.accept(&number.to_string())).collect();
        for (number, event) in events.iter().enumerate() {
            let payload = if number % 2 == 0 { changed("y") } else { None };
            let keyed = Delivery { order_key: Some("a".into()), payload, ..delivery(event, "ci") };
            let routed = outcome(event, EventState::Routed, vec![keyed]);
            opened.store.routed(Routed { first: true, ..routed });
        }
        opened.store.flush().unwrap();
        for event in &events {
            assert_eq!(opened.due("ci", START), [event.id]);
            opened.settle(event.id, "ci", 1, Next::Delivered);
        }
    }
}
