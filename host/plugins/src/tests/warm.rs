//! Instances that are kept from event to event: who gets them, and when they go.
use super::*;
use crate::{Fault, GateError, LoadError, Verdict, Warm};

async fn warm(keep: usize, calls: u32, wasm: &[u8]) -> (Yard, Plugins) {
    loaded(Spec { warm: Some(Warm { keep, calls }), ..spec("warm") }, wasm).await
}

/// The letter that `counter` drops an event with: T is that of a fresh instance.
async fn letter(plugins: &Plugins) -> String {
    match ask(plugins, "warm", &event(1, "{}")).await.result {
        Ok(Verdict::Drop(letter)) => letter,
        other => panic!("{other:?}"),
    }
}

async fn letters(plugins: &Plugins, count: usize) -> String {
    let mut all = String::new();
    for _ in 0..count {
        all.push_str(&letter(plugins).await);
    }
    all
}

#[tokio::test]
async fn an_instance_serves_as_many_events_as_the_settings_say() {
    let (_yard, plugins) = warm(1, 3, &guest!("guests/counter.wat")).await;
    assert_eq!(letters(&plugins, 7).await, "TUVTUVT");
    let (_yard, plugins) = loaded(spec("warm"), &guest!("guests/counter.wat")).await;
    assert_eq!(letters(&plugins, 3).await, "TTT", "without the setting each event has its own");
}

#[tokio::test]
async fn a_failure_ends_the_instance() {
    let (_yard, plugins) = warm(1, 100, &guest!("guests/counter.wat")).await;
    assert_eq!(letters(&plugins, 2).await, "TU");
    let bad = Event { kind: "bad".into(), ..event(2, "{}") };
    let answer = ask(&plugins, "warm", &bad).await;
    assert!(matches!(answer.result, Err(Fault::Trap(_))), "{answer:?}");
    assert_eq!(letters(&plugins, 2).await, "TU");
}

#[tokio::test]
async fn no_event_fails_by_what_another_one_left() {
    let (_yard, plugins) = warm(1, 100, &guest!("guests/once.wat")).await;
    for number in 0..4 {
        let answer = ask(&plugins, "warm", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass));
        let told = answer.log.iter().any(|line| line.contains("a fresh one tries"));
        assert_eq!(told, number > 0, "{number}: {:?}", answer.log);
    }
}

#[tokio::test]
async fn an_instance_with_more_than_half_of_its_memory_is_not_kept() {
    let mut spec = Spec { warm: Some(Warm { keep: 1, calls: 100 }), ..spec("warm") };
    spec.limits.memory = 200 << 10;
    let (_yard, plugins) = loaded(spec, &guest!("guests/counter.wat")).await;
    assert_eq!(letters(&plugins, 2).await, "TT");
}

#[tokio::test]
async fn a_guest_with_wasi_keeps_no_instances() {
    let yard = Yard::new();
    yard.put("warm.wasm", &guest!("hostile/wasi-reads.wat"));
    let warm = Some(Warm { keep: 1, calls: 100 });
    let plugins = yard.open(vec![Spec { warm, ..spec("warm") }]);
    let error = plugins.load_all().await.remove(0).result.unwrap_err();
    assert!(matches!(error, LoadError::Gate(GateError::Warm(_))), "{error}");
}
