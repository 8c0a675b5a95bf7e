//! A plugin harms only its own event: each hostile guest is stopped, by name.
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use super::*;
use crate::build::{Job, build};
use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::engine::{self, Purpose};
use crate::run::{Code, Guest, Linkers, Log, instance};
use crate::{Fault, GateError, Limits, Verdict};

/// What a guest of the corpus comes to; the time is what a busy machine needs.
async fn fault_of(wasm: &[u8]) -> (Fault, Answer) {
    fault_within(Duration::from_secs(5), wasm).await
}

async fn fault_within(time: Duration, wasm: &[u8]) -> (Fault, Answer) {
    let mut spec = spec("hostile");
    spec.limits.time = time;
    let (_yard, plugins) = loaded(spec, wasm).await;
    let answer = ask(&plugins, "hostile", &event(1, "{}")).await;
    (answer.result.clone().expect_err("a fault"), answer)
}

async fn refusal_of(wasm: &[u8]) -> GateError {
    let wasm = Bytes::copy_from_slice(wasm);
    crate::check(&Compiler::InProcess, &spec("hostile"), wasm).await.expect_err("a refusal")
}

#[tokio::test]
async fn an_endless_loop_is_stopped_by_its_time() {
    let (fault, answer) =
        fault_within(Duration::from_millis(100), &guest!("hostile/loop.wat")).await;
    assert_eq!(fault, Fault::Time(Duration::from_millis(100)));
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_by_its_memory() {
    let (fault, _) = fault_of(&guest!("hostile/memory.wat")).await;
    assert_eq!(fault, Fault::Memory(64 << 20));
}

#[tokio::test]
async fn a_huge_answer_is_stopped_before_the_host_holds_it() {
    let (fault, _) = fault_of(&guest!("hostile/huge-answer.wat")).await;
    assert_eq!(fault, Fault::Output(4 << 20));
    let (fault, _) = fault_of(&guest!("hostile/lying-answer.wat")).await;
    assert!(matches!(&fault, Fault::Trap(text) if text.contains("out of bounds")), "{fault}");
}

#[tokio::test]
async fn a_trap_tells_the_last_words() {
    let (fault, answer) = fault_of(&guest!("hostile/trap.wat")).await;
    assert!(fault.to_string().contains("unreachable"), "{fault}");
    assert!(fault.to_string().ends_with("its last words: panicked at line 7"), "{fault}");
    assert_eq!(answer.log, ["error: panicked at line 7"]);
}

#[tokio::test]
async fn a_deep_recursion_is_a_trap() {
    let (fault, _) = fault_of(&guest!("hostile/deep.wat")).await;
    assert!(matches!(&fault, Fault::Trap(text) if text.contains("stack")), "{fault}");
}

#[tokio::test]
async fn a_log_flood_is_cut_to_its_cap() {
    let mut spec = spec("hostile");
    spec.limits.time = Duration::from_secs(20);
    let (_yard, plugins) = loaded(spec, &guest!("hostile/log-flood.wat")).await;
    let answer = ask(&plugins, "hostile", &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Pass));
    assert!(answer.log.iter().map(String::len).sum::<usize>() < 17 << 10);
    assert!(answer.log.last().is_some_and(|line| line.contains("full")));
}

#[tokio::test]
async fn calls_into_the_host_are_counted() {
    let mut spec = spec("hostile");
    spec.limits.time = Duration::from_secs(20);
    let (_yard, plugins) = loaded(spec, &guest!("hostile/host-flood.wat")).await;
    let answer = ask(&plugins, "hostile", &event(1, "{}")).await;
    assert_eq!(answer.result, Err(Fault::HostCalls));
    assert!(answer.log.len() <= crate::limits::LOG_LINES);
}

#[tokio::test]
async fn a_verdict_that_breaks_the_contract_is_a_fault() {
    let (fault, _) = fault_of(&guest!("hostile/traversal.wat")).await;
    assert!(matches!(&fault, Fault::Contract(text) if text.contains("../etc/passwd")), "{fault}");
}

#[tokio::test]
async fn the_gate_refuses_what_never_gets_ready() {
    assert!(matches!(refusal_of(&guest!("hostile/loop-always.wat")).await, GateError::Probe(_)));
    let text = refusal_of(&guest!("hostile/large-memory.wat")).await.to_string();
    assert!(text.contains("memory"), "{text}");
}

#[tokio::test]
async fn a_guest_that_never_starts_or_never_gets_ready_is_stopped() {
    let (init, start) = (guest!("hostile/init-loop.wat"), guest!("hostile/start-loop.wat"));
    for (wasm, part) in [(init, "`init` failed"), (start, "`describe` failed")] {
        let job = Job { init_time: Duration::from_millis(200), ..Job::new(&spec("hostile")) };
        let built = tokio::task::spawn_blocking(move || build(&job, &wasm)).await.unwrap();
        let text = built.expect_err("a refusal").to_string();
        assert!(text.contains(part) && text.contains("took longer than"), "{text}");
    }
}

#[tokio::test]
async fn the_gate_refuses_by_name() {
    assert_eq!(refusal_of(&guest!("hostile/core-module.wat")).await, GateError::CoreModule);
    let text = refusal_of(&guest!("hostile/other-contract.wat")).await.to_string();
    assert!(text.contains("0.9.0") && text.contains("0.1"), "{text}");
    let text = refusal_of(&guest!("hostile/wants-network.wat")).await.to_string();
    assert!(text.contains("wants the network (`wasi:sockets/tcp`)"), "{text}");
    let text = refusal_of(&guest!("hostile/wants-unknown.wat")).await.to_string();
    assert!(text.contains("acme:vault/keys") && text.contains("plugin/kv"), "{text}");
    let refusal = refusal_of(&guest!("hostile/wrong-interface.wat")).await;
    assert!(matches!(refusal, GateError::Interface(_)), "{refusal}");
}

#[tokio::test]
async fn all_mistakes_in_the_settings_are_told() {
    let text = refusal_of(&guest!("guests/refuses-settings.wat")).await.to_string();
    assert!(text.contains("/keep: must be a list; /max: is missing"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_do_not_wait_for_loopers() {
    let yard = Yard::new();
    yard.put("loop.wasm", &guest!("hostile/loop.wat"));
    yard.put("pass.wasm", &guest!("guests/pass.wat"));
    let mut looper = spec("loop");
    looper.limits.time = Duration::from_millis(300);
    let plugins = yard.open(vec![looper, spec("pass")]);
    for report in plugins.load_all().await {
        report.result.unwrap();
    }
    let started = Instant::now();
    let loopers: Vec<_> = (0..8)
        .map(|number| {
            let plugins = plugins.clone();
            tokio::spawn(async move { ask(&plugins, "loop", &event(number, "{}")).await })
        })
        .collect();
    eventually("all loopers run", || plugins.status()[0].instances == 8).await;
    for number in 0..100 {
        let answer = ask(&plugins, "pass", &event(number, "{}")).await;
        assert_eq!(answer.result, Ok(Verdict::Pass));
    }
    // The eight need 1.2 s of the lane's two threads, shared by turns.
    assert!(loopers.iter().all(|looper| !looper.is_finished()), "{:?}", started.elapsed());
    for looper in loopers {
        let answer = looper.await.unwrap();
        assert!(matches!(answer.result, Err(Fault::Time(_))), "{:?}", answer.result);
        assert!(answer.took > Duration::from_millis(100));
    }
}

/// Polls a call twice as if no time passed: whether it is over after the first, and the bytes that it held at its end.
fn two_slices(wasm: &[u8]) -> (bool, u64) {
    let (engine, ticker) = engine::new(Purpose::Serve, 2).unwrap();
    let component = Component::new(&engine, wasm).unwrap();
    let code = Code::new(&Linkers::new(&engine, ticker).unwrap(), &component, false, None).unwrap();
    let log = Arc::new(Log::new(name("hostile"), None, 1_000));
    let guest = Guest::new(&Limits::default(), log, Bytes::new());
    let mut store = instance::store(&engine, guest, 1_000);
    store.set_epoch_deadline(u64::from(u32::MAX));
    let event = handler::Event {
        id: "evt_1".into(),
        source: "github".into(),
        kind: "push".into(),
        content_type: String::new(),
        received_ms: 0,
        replay: false,
        attributes: Vec::new(),
        headers: Vec::new(),
    };
    let mut call = Box::pin(instance::handle(&code, store, &event));
    let mut slice = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    match slice() {
        Poll::Ready(ended) => (true, ended.memory),
        Poll::Pending => match slice() {
            Poll::Ready(ended) => (false, ended.memory),
            Poll::Pending => panic!("it gave way twice"),
        },
    }
}

#[tokio::test]
async fn a_call_after_one_that_was_stopped_begins_in_the_slow_lane() {
    let (_yard, plugins) = loaded(spec("hostile"), &guest!("hostile/huge-string.wat")).await;
    let first = ask(&plugins, "hostile", &event(1, "{}")).await;
    assert!(first.result.as_ref().is_err_and(|fault| fault.limit().is_some()), "{first:?}");
    let second = event(2, "{}");
    let mut second = Box::pin(ask(&plugins, "hostile", &second));
    let slice = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(slice.is_pending(), "the caller's thread did the work");
    assert!(second.await.result.is_err());
}

#[test]
fn a_guest_that_takes_much_memory_takes_it_in_the_slow_lane() {
    let (at_once, memory) = two_slices(&guest!("hostile/memory.wat"));
    assert!(!at_once && memory > 60 << 20, "{memory} bytes, and the caller's thread took them");
    let (at_once, _) = two_slices(&guest!("guests/pass.wat"));
    assert!(at_once);
}

/// An event whose body is so many lists in each other, for a guest that looks up a pointer
/// of so many tokens.
fn deep(levels: usize, tokens: usize, content_type: Option<&'static str>) -> Event {
    let mut event = event(1, "");
    event.kind = tokens.to_string().into();
    event.body = ["[".repeat(levels), "]".repeat(levels)].concat().into();
    if let Some(value) = content_type {
        event.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(value));
    }
    event
}

/// The fault: a plugin without a grant ended the whole host.
#[tokio::test]
async fn regression_a_long_pointer_into_a_deep_body_harms_only_its_own_event() {
    let mut spec = spec("hostile");
    spec.limits.time = Duration::from_secs(10);
    let (_yard, plugins) = loaded(spec, &guest!("hostile/long-pointer.wat")).await;
    for (levels, tokens, found) in
        [(400_000, 256, "found"), (400_000, 1, "found"), (200, 256, "nowhere")]
    {
        let answer = ask(&plugins, "hostile", &deep(levels, tokens, None)).await;
        assert_eq!(answer.result, Ok(Verdict::Drop(found.into())), "{tokens} into {levels}");
    }
    for (tokens, part) in
        [(257, "257 reference tokens; 256 is the limit"), (100_000, "200000 bytes")]
    {
        let answer = ask(&plugins, "hostile", &deep(400_000, tokens, None)).await;
        let Err(Fault::Trap(why)) = &answer.result else { panic!("{answer:?}") };
        assert!(why.contains(part), "{why}");
    }
}

/// The fault: 21.7 s at 50 ms, since one lookup was quadratic in the depth and none was
/// interrupted.
#[tokio::test]
async fn regression_the_time_holds_inside_of_calls_into_the_host() {
    let (_yard, plugins) = loaded(spec("hostile"), &guest!("hostile/long-pointer.wat")).await;
    // Larger than what is walked in one go, and looked up without end.
    let answer = ask(&plugins, "hostile", &deep(2 << 20, 250, Some("application/json"))).await;
    assert_eq!(answer.result, Err(Fault::Time(Duration::from_millis(50))));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
}

/// The fault: a guest without a loop is never interrupted, and what it calls was not, either.
#[tokio::test]
async fn regression_the_time_holds_where_a_guest_only_calls_the_host() {
    let text =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/hostile/log-flood.wat"));
    let start = text.find("(func (export \"hookwright:plugin/handler").unwrap();
    let calls = "(call $log (i32.const 2) (i32.const 0) (i32.const 3145728))\n".repeat(9_000);
    let handle = format!(
        "(func (export \"hookwright:plugin/handler@0.1.0#handle\")
         (param i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32) (result i32)
         (call $drop-body (local.get 14))
         (if (i32.eq (local.get 5) (i32.const 16)) (then (return (i32.const 2048))))
         {calls} (i32.const 2048)) )"
    );
    let memory = "(memory (export \"memory\") 64)";
    let small =
        text.find("(memory").map(|at| &text[at..at + text[at..].find('\n').unwrap()]).unwrap();
    let wasm =
        hookwright_testkit::guest::component(&(text[..start].replace(small, memory) + &handle));
    let (_yard, plugins) = loaded(spec("hostile"), &wasm).await;
    let answer = ask(&plugins, "hostile", &event(1, "{}")).await;
    assert_eq!(answer.result, Err(Fault::Time(Duration::from_millis(50))));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
}
