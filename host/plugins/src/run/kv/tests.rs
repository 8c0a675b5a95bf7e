//! Tests of the plugins' state: single cases, then many calls against a simple model.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::limits::{STATE_BYTES, STATE_KEYS};

const START: u64 = 1_700_000_000_000;

fn state() -> (State, Clock, Arc<Keyspace>) {
    let clock = Clock::manual(START);
    let state = State::new(clock.clone(), Vec::new());
    let space = state.space(&"p".parse().unwrap());
    (state, clock, space)
}

fn call(space: &Arc<Keyspace>) -> Changes {
    Changes::new(space.clone(), false)
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn commit(state: &State, changes: Changes) -> Vec<StateRow> {
    state.commit([changes], |rows| rows)
}

#[test]
fn writes_are_the_calls_own_until_they_are_committed() {
    let (state, _, space) = state();
    let mut writer = call(&space);
    assert_eq!(writer.set("a", bytes("one"), None), Ok(()));
    assert_eq!(writer.get("a"), Some(bytes("one")));
    assert_eq!(call(&space).get("a"), None);
    let rows = commit(&state, writer);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value, Some(StateValue::Bytes(bytes("one"))));
    assert_eq!(call(&space).get("a"), Some(bytes("one")));
    let mut deleter = call(&space);
    assert_eq!(deleter.delete("a"), Ok(()));
    assert_eq!((deleter.get("a"), call(&space).get("a")), (None, Some(bytes("one"))));
    assert_eq!(commit(&state, deleter)[0].value, None);
    assert_eq!(call(&space).get("a"), None);
}

#[test]
fn counts_show_at_once_and_are_taken_back() {
    let (state, _, space) = state();
    let (mut first, mut second, mut third) = (call(&space), call(&space), call(&space));
    let sums = [&mut first, &mut second, &mut third].map(|call| call.increment("n", 1, None));
    assert_eq!(sums, [Ok(1), Ok(2), Ok(3)], "no two get the same");
    drop(second);
    assert_eq!(call(&space).get("n"), Some(bytes("2")));
    assert_eq!(commit(&state, third)[0].value, Some(StateValue::Number(1)), "what is certain");
    assert_eq!(commit(&state, first)[0].value, Some(StateValue::Number(2)));
}

#[test]
fn a_window_begins_with_its_first_count_and_ends_for_all() {
    let (state, clock, space) = state();
    let mut first = call(&space);
    assert_eq!(first.increment("n", 1, Some(1_000)), Ok(1));
    commit(&state, first);
    clock.set(START + 999);
    let mut late = call(&space);
    assert_eq!(late.increment("n", 1, Some(1_000)), Ok(2));
    clock.set(START + 1_000);
    let mut next = call(&space);
    assert_eq!(next.increment("n", 1, Some(1_000)), Ok(1), "a new window");
    assert!(commit(&state, late).is_empty(), "its window is over");
    assert_eq!(commit(&state, next)[0].expires_ms, Some(START + 2_000));
    assert_eq!(call(&space).get("n"), Some(bytes("1")));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (state, _, space) = state();
    let mut greedy = call(&space);
    assert_eq!(greedy.set("", bytes("x"), None), Err(Refused::Key));
    assert_eq!(greedy.set(&"k".repeat(257), bytes("x"), None), Err(Refused::Key));
    let large = Bytes::from(vec![0; STATE_VALUE + 1]);
    assert_eq!(greedy.set("k", large, None), Err(Refused::Value));
    assert_eq!(greedy.set("k", bytes("word"), None), Ok(()));
    assert_eq!(greedy.increment("k", 1, None), Err(Refused::NoNumber));
    assert_eq!(greedy.increment("n", i64::MAX, None), Ok(i64::MAX));
    assert_eq!(greedy.increment("n", 1, None), Err(Refused::NoNumber));
    for number in 2..STATE_WRITES {
        assert_eq!(greedy.set(&number.to_string(), Bytes::new(), None), Ok(()));
    }
    assert_eq!(greedy.set("one more", Bytes::new(), None), Err(Refused::Full));
    assert_eq!(greedy.delete("one more"), Err(Refused::Full));
    drop(greedy);
    let value = Bytes::from(vec![0; STATE_VALUE]);
    let mut kept = 0;
    loop {
        let mut writer = call(&space);
        match writer.set(&format!("large {kept}"), value.clone(), None) {
            Ok(()) => kept += 1,
            Err(refused) => {
                assert_eq!(refused, Refused::Full);
                break;
            }
        }
        commit(&state, writer);
    }
    assert!((200..=256).contains(&kept), "{kept} of 16 KiB fit 4 MiB");
}

#[test]
fn calls_under_way_share_what_is_left() {
    let (_, _, space) = state();
    let value = Bytes::from(vec![0; STATE_VALUE]);
    let mut under_way = Vec::new();
    let refused = loop {
        let mut writer = call(&space);
        let taken = writer.set(&format!("k{}", under_way.len()), value.clone(), None);
        if let Err(refused) = taken {
            break refused;
        }
        under_way.push(writer);
    };
    assert_eq!(refused, Refused::Full);
    assert!(under_way.len() * STATE_VALUE <= STATE_BYTES);
    under_way.pop();
    assert_eq!(call(&space).set("again", value, None), Ok(()), "what is taken back is free");
}

#[test]
fn keys_that_are_over_make_room() {
    let (state, clock, space) = state();
    for number in 0..STATE_KEYS {
        let mut writer = call(&space);
        assert_eq!(writer.set(&number.to_string(), Bytes::new(), Some(1_000)), Ok(()));
        commit(&state, writer);
    }
    assert_eq!(call(&space).set("more", Bytes::new(), None), Err(Refused::Full));
    clock.set(START + 2_000);
    assert_eq!(call(&space).set("more", Bytes::new(), None), Ok(()));
}

#[test]
fn it_goes_on_from_the_stores_rows_and_each_plugin_has_its_own() {
    let row = |plugin: &str, number| StateRow {
        plugin: plugin.parse().unwrap(),
        key: "n".into(),
        value: Some(StateValue::Number(number)),
        expires_ms: None,
    };
    let state = State::new(Clock::manual(START), vec![row("p", 7), row("q", 70)]);
    for (plugin, sum) in [("p", 8), ("q", 71), ("r", 1)] {
        let space = state.space(&plugin.parse().unwrap());
        assert_eq!(call(&space).increment("n", 1, None), Ok(sum));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8),
    Delete(u8),
    Add(u8, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4, any::<u8>()).prop_map(|(key, value)| Step::Set(key, value)),
        (0u8..4).prop_map(Step::Delete),
        (0u8..4, -5i64..6).prop_map(|(key, by)| Step::Add(key, by)),
    ]
}

proptest! {
    /// Calls one after the other, some taken back, against a plain map.
    #[test]
    fn it_is_a_map_whose_failed_calls_leave_nothing(
        calls in prop::collection::vec((prop::collection::vec(step(), 0..8), any::<bool>()), 0..20)
    ) {
        let (state, _, space) = state();
        let mut model: BTreeMap<String, StateValue> = BTreeMap::new();
        let mut rows: BTreeMap<String, StateValue> = BTreeMap::new();
        for (steps, ends_well) in calls {
            let (mut call, mut own) = (call(&space), model.clone());
            for step in steps {
                match step {
                    Step::Set(key, value) => {
                        let value = Bytes::from(vec![value; usize::from(value % 5)]);
                        prop_assert_eq!(call.set(&key.to_string(), value.clone(), None), Ok(()));
                        own.insert(key.to_string(), StateValue::Bytes(value));
                    }
                    Step::Delete(key) => {
                        prop_assert_eq!(call.delete(&key.to_string()), Ok(()));
                        own.remove(&key.to_string());
                    }
                    Step::Add(key, by) => {
                        let wanted = match own.get(&key.to_string()) {
                            Some(StateValue::Bytes(_)) => Err(Refused::NoNumber),
                            Some(StateValue::Number(number)) => Ok(number + by),
                            None => Ok(by),
                        };
                        prop_assert_eq!(call.increment(&key.to_string(), by, None), wanted);
                        if let Ok(number) = wanted {
                            own.insert(key.to_string(), StateValue::Number(number));
                        }
                    }
                }
                for key in 0..4u8 {
                    let wanted = own.get(&key.to_string()).map(text);
                    prop_assert_eq!(call.get(&key.to_string()), wanted);
                }
            }
            if ends_well {
                model = own;
                for row in commit(&state, call) {
                    match row.value {
                        Some(value) => _ = rows.insert(row.key.into(), value),
                        None => _ = rows.remove(&*row.key),
                    }
                }
            } else {
                drop(call);
            }
            prop_assert_eq!(&rows, &model, "the rows say the same");
            let table = space.table.lock();
            let held: usize = model.iter().map(|(key, value)| key.len() + value.size()).sum();
            prop_assert_eq!((table.bytes, table.reserved, table.entries.len()), (held, 0, model.len()));
        }
    }
}

#[test]
fn regression_a_preview_counts_for_itself_alone() {
    let (_state, _clock, space) = state();
    let mut real = Changes::new(space.clone(), false);
    assert_eq!(real.increment("n", 2, None), Ok(2));
    let mut preview = Changes::new(space.clone(), true);
    assert_eq!(preview.increment("n", 5, None), Ok(7));
    assert_eq!(preview.increment("n", 1, None), Ok(8));
    assert_eq!(preview.writes(), [("n".to_owned(), Some(StateValue::Number(8)))]);
    assert_eq!(real.increment("n", 1, None), Ok(3), "nobody else sees it");
    drop(preview);
    assert_eq!(real.increment("n", 1, None), Ok(4));
}
