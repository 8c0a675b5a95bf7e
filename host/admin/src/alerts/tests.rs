//! Each alert once, each end once, whatever flickers.
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn sign(subject: &str) -> Sign {
    Sign { rule: Rule::DeadLetters, subject: subject.to_owned(), what: "it is <bad>".to_owned() }
}

/// All can be judged.
fn judged(_: Rule, _: &str) -> bool {
    false
}

fn watch() -> Watch {
    Watch::new(Duration::from_secs(60), Duration::from_secs(300))
}

fn states(changes: &[Change]) -> Vec<(State, &str)> {
    changes.iter().map(|change| (change.state, change.subject.as_str())).collect()
}

#[test]
fn an_alert_is_told_once_after_it_held_and_resolved_once_after_it_was_gone() {
    let mut watch = watch();
    assert!(watch.look(0, vec![sign("ci")], judged).is_empty());
    assert!(watch.look(59_000, vec![sign("ci")], judged).is_empty());
    assert_eq!(states(&watch.look(60_000, vec![sign("ci")], judged)), [(State::Firing, "ci")]);
    assert!(watch.look(70_000, vec![sign("ci")], judged).is_empty(), "it is not repeated");
    assert!(watch.look(369_000, vec![], judged).is_empty());
    let over = watch.look(370_000, vec![], judged);
    assert_eq!(states(&over), [(State::Resolved, "ci")]);
    assert_eq!((over[0].since_ms, over[0].at_ms), (0, 370_000));
    assert!(watch.look(999_000, vec![], judged).is_empty());
}

/// Told while the clock said 2100, it would have been resolved in 2100.
#[test]
fn regression_an_alert_ends_though_the_clock_was_set_back() {
    let mut watch = watch();
    let ahead = 74 * 365 * 24 * 3_600_000;
    watch.look(ahead, vec![sign("ci"), sign("new")], judged);
    assert_eq!(watch.look(ahead + 60_000, vec![sign("ci")], judged).len(), 1);
    assert!(watch.look(1_000, vec![], judged).is_empty());
    assert_eq!(states(&watch.look(302_000, vec![], judged)), [(State::Resolved, "ci")]);
}

#[test]
fn what_flickers_is_not_told_and_what_was_told_does_not_end_by_flickering() {
    let mut watch = watch();
    for second in 0..100 {
        let signs = if second % 2 == 0 { vec![sign("ci")] } else { vec![] };
        assert!(watch.look(second * 10_000, signs, judged).is_empty(), "at {second}");
    }
    watch.look(2_000_000, vec![sign("ci")], judged);
    assert_eq!(watch.look(2_060_000, vec![sign("ci")], judged).len(), 1);
    for n in 1..100 {
        let signs = if n % 2 == 0 { vec![sign("ci")] } else { vec![] };
        assert!(watch.look(2_060_000 + n * 100_000, signs, judged).is_empty(), "at {n}");
    }
}

#[test]
fn after_a_restart_it_is_neither_repeated_nor_forgotten() {
    let mut before = watch();
    before.look(0, vec![sign("ci"), sign("slow")], judged);
    let mut told = before.look(60_000, vec![sign("ci"), sign("slow")], judged);
    told.extend(before.look(400_000, vec![sign("ci")], judged));
    assert_eq!(told.len(), 3, "two began, one ended");
    let mut kept = Told::default();
    told.iter().for_each(|change| kept.note("alerts", change));
    let standing = Told::read(&kept.bytes()).standing();
    assert_eq!(states(&standing), [(State::Firing, "ci")]);

    let mut after = watch();
    after.resume(standing, 500_000);
    assert!(after.look(510_000, vec![sign("ci")], judged).is_empty());
    assert_eq!(states(&after.look(900_000, vec![], judged)), [(State::Resolved, "ci")]);
}

/// Counts in memory begin anew at a start: "Resolved" was told, though nothing had
/// gone well since, and then the beginning once more.
#[test]
fn regression_what_cannot_be_judged_yet_is_neither_resolved_nor_told_again() {
    let mut told = Told::default();
    let mut before = watch();
    before.look(0, vec![sign("ci")], judged);
    before.look(60_000, vec![sign("ci")], judged).iter().for_each(|one| told.note("alerts", one));
    let mut after = watch();
    after.resume(Told::read(&told.bytes()).standing(), 100_000);
    let unsure = |_: Rule, subject: &str| subject == "ci";
    for minute in 0..60 {
        assert!(after.look(100_000 + minute * 60_000, vec![], unsure).is_empty(), "at {minute}");
    }
    assert_eq!(states(&after.standing()), [(State::Firing, "ci")]);
    let again = 100_000 + 60 * 60_000;
    assert!(after.look(again, vec![sign("ci")], judged).is_empty(), "it is not told again");
    assert!(after.look(again + 60_000, vec![], unsure).is_empty());
    // Its time to be well begins once it can be judged.
    assert!(after.look(again + 359_000, vec![], judged).is_empty());
    let over = after.look(again + 360_000, vec![], judged);
    assert_eq!((states(&over), over[0].since_ms), (vec![(State::Resolved, "ci")], 0));
    // Nor does what is not told yet begin by it.
    after.look(9_000_000, vec![sign("ci")], judged);
    assert!(after.look(9_090_000, vec![], unsure).is_empty());
}

#[test]
fn each_shape_says_the_same_to_its_reader() {
    let mut watch = Watch::new(Duration::ZERO, Duration::ZERO);
    let firing = watch.look(1_700_000_000_000, vec![sign("ci")], judged).remove(0);
    let resolved = watch.look(1_700_000_060_000, vec![], judged).remove(0);
    let json = |change: &Change, shape: &Shape| -> Value {
        serde_json::from_str(&body(change, shape)).unwrap()
    };
    let standard = json(&firing, &Shape::Standard);
    assert_eq!(standard["type"], "alert.firing");
    assert_eq!(standard["timestamp"], "2023-11-14T22:13:20.000Z");
    assert_eq!(standard["data"]["key"], "destination.dead-letters/ci");
    let slack = json(&firing, &Shape::Slack);
    let text = slack["text"].as_str().unwrap();
    assert!(text.contains("*destination.dead-letters/ci* it is &lt;bad&gt;"), "{text}");
    let shape = Shape::PagerDuty;
    let (begin, end) = (json(&firing, &shape), json(&resolved, &shape));
    assert_eq!(
        (&begin["event_action"], &end["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(begin["dedup_key"], end["dedup_key"]);
    assert_eq!(
        (&begin["routing_key"], &begin["payload"]["severity"]),
        (&ROUTING_KEY.into(), &"warning".into()),
        "the key itself is filled in when it is sent"
    );
}

#[test]
fn every_rule_is_read_back_by_its_name() {
    for rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.as_str()), Some(rule));
    }
    for text in [&b"{}"[..], b"no JSON", b"{\"channels\": 1}"] {
        assert_eq!(Told::read(text), Told::default());
    }
}

/// Only the channel of standard webhooks was read back: one with Slack or
/// PagerDuty alone was told again after a restart, or never of the end.
#[test]
fn regression_each_channel_is_told_once_of_the_beginning_and_once_of_the_end() {
    let mut watch = Watch::new(Duration::ZERO, Duration::ZERO);
    watch.look(1_000, vec![sign("ci")], judged);
    let mut told = Told::default();
    let mut tell = |channel: &str, standing: &[Change], at_ms| {
        told = Told::read(&told.bytes());
        let due = told.due(channel, standing, at_ms);
        due.iter().for_each(|change| told.note(channel, change));
        due
    };
    assert_eq!(states(&tell("pager", &watch.standing(), 1_000)), [(State::Firing, "ci")]);
    assert!(tell("pager", &watch.standing(), 2_000).is_empty());
    // One that comes later, or could not be reached, catches up.
    assert_eq!(states(&tell("slack", &watch.standing(), 3_000)), [(State::Firing, "ci")]);
    watch.look(4_000, vec![], judged);
    let over = tell("pager", &watch.standing(), 4_000);
    assert_eq!(states(&over), [(State::Resolved, "ci")]);
    assert_eq!((over[0].since_ms, over[0].at_ms), (1_000, 4_000));
    assert!(tell("pager", &[], 5_000).is_empty() && tell("new", &[], 5_000).is_empty());
    assert_eq!(states(&tell("slack", &[], 9_000)), [(State::Resolved, "ci")]);
    assert_eq!(told.standing(), []);
}

proptest! {
    /// Of each subject begin and end take turns, begin first.
    #[test]
    fn begin_and_end_take_turns(there in prop::collection::vec(any::<bool>(), 1..200), step in 1u64..200_000) {
        let mut watch = watch();
        let mut last = State::Resolved;
        for (n, there) in there.into_iter().enumerate() {
            let signs = if there { vec![sign("ci")] } else { vec![] };
            for change in watch.look(n as u64 * step, signs, judged) {
                prop_assert_ne!(change.state, last);
                last = change.state;
            }
        }
    }
}
