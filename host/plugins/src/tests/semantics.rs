//! What a guest sees: its snapshot, its event, its body, its fixed world.
use super::*;
use crate::{Fault, Limits, Verdict};

fn reason(answer: &Answer) -> &str {
    match &answer.result {
        Ok(Verdict::Drop(reason)) => reason,
        other => panic!("no drop: {other:?}"),
    }
}

#[tokio::test]
async fn each_call_starts_from_what_init_left_and_leaves_nothing() {
    let (_yard, plugins) = loaded(spec("counter"), &guest!("guests/counter.wat")).await;
    for number in 0..3 {
        assert_eq!(reason(&ask(&plugins, "counter", &event(number, "{}")).await), "T");
    }
    let status = &plugins.status()[0];
    assert!(status.warnings.is_empty(), "{:?}", status.warnings);
    assert_eq!(status.last_error, None);
}

#[tokio::test]
async fn a_component_without_snapshot_pays_for_init_and_behaves_the_same() {
    // A second module of the same kind, instantiated twice, is beyond the snapshot's art.
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/counter.wat"));
    let mut wasm = hookwright_testkit::guest::component(text);
    let extra = wat::parse_str("(component (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))").unwrap();
    wasm.extend_from_slice(&component_section(&extra));
    let (_yard, plugins) = loaded(spec("counter"), &wasm).await;
    for number in 0..3 {
        assert_eq!(reason(&ask(&plugins, "counter", &event(number, "{}")).await), "T");
    }
    assert!(plugins.status()[0].warnings[0].contains("no snapshot"));
}

/// A nested component's section: id 4, its length, its bytes.
pub(super) fn component_section(inner: &[u8]) -> Vec<u8> {
    let mut out = vec![4];
    let mut rest = inner.len();
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
    out.extend_from_slice(inner);
    out
}

#[tokio::test]
async fn the_body_is_lent() {
    let (_yard, plugins) = loaded(spec("select"), &guest!("guests/select.wat")).await;
    let answer = ask(&plugins, "select", &event(1, r#"{"a": 1.50}"#)).await;
    assert_eq!(reason(&answer), "1.50");
    assert_eq!(answer.log, [r#"info: {"a": 1.50}"#]);
    assert_eq!(reason(&ask(&plugins, "select", &event(1, "no JSON")).await), "none");
}

#[tokio::test]
async fn a_large_body_goes_by_the_slow_lane() {
    let large = format!(r#"{{"b": "{}", "a": [1]}}"#, "x".repeat(3 << 20));
    let mut slow = spec("select");
    slow.limits.time = Duration::from_secs(5);
    let (_yard, plugins) = loaded(slow.clone(), &guest!("guests/select.wat")).await;
    let whole = Event { body: large.into(), ..event(1, "") };
    let answer = ask(&plugins, "select", &whole).await;
    assert_eq!(reason(&answer), "[1]");
    let tight = Limits { memory: 12 << 20, ..slow.limits };
    plugins.prepare(vec![Spec { limits: tight, ..slow }]).await.unwrap().finish();
    let larger = format!(r#"{{"a": "{}"}}"#, "x".repeat(13 << 20));
    let whole = Event { body: larger.into(), ..event(1, "") };
    let answer = ask(&plugins, "select", &whole).await;
    assert_eq!(answer.result, Err(Fault::Memory(12 << 20)));
}

#[tokio::test]
async fn chance_and_clock_are_fixed_to_the_event() {
    let (_yard, plugins) = loaded(spec("chance"), &guest!("guests/chance.wat")).await;
    let first = ask(&plugins, "chance", &event(1, "{}")).await;
    let again = ask(&plugins, "chance", &event(1, "{}")).await;
    let other = ask(&plugins, "chance", &event(2, "{}")).await;
    assert_eq!(reason(&first), reason(&again));
    assert_ne!(reason(&first)[..16], reason(&other)[..16]);
    let seconds: u64 = reason(&first)[16..]
        .bytes()
        .rev()
        .fold(0, |value, letter| value * 16 + u64::from(letter - b'a'));
    assert_eq!(seconds, 1_700_000_000);
}

#[tokio::test]
async fn a_plugin_that_is_not_loaded_says_why() {
    let yard = Yard::new();
    let plugins = yard.open(vec![spec("absent")]);
    assert!(plugins.load_all().await[0].result.is_err());
    let answer = ask(&plugins, "absent", &event(1, "{}")).await;
    assert!(
        matches!(&answer.result, Err(Fault::NotLoaded(why)) if why.contains("absent.wasm is missing"))
    );
    let answer = ask(&plugins, "nobody", &event(1, "{}")).await;
    assert!(matches!(answer.result, Err(Fault::NotLoaded(_))));
}
