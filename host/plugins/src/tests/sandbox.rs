//! The sandbox, proven further: what verdicts, handles, shapes and leftovers can't do.
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::{Fault, GateError, Verdict, inspect};

/// A guest of the corpus with that much memory and time enough.
async fn answer_of(wasm: &[u8], memory: u64, event: &Event) -> Answer {
    let mut spec = spec("hostile");
    (spec.limits.memory, spec.limits.time) = (memory, Duration::from_secs(5));
    let (_yard, plugins) = loaded(spec, wasm).await;
    ask(&plugins, "hostile", event).await
}

const MEMORY: u64 = 64 << 20;

#[tokio::test]
async fn a_table_bomb_is_stopped_by_its_memory() {
    let answer = answer_of(&guest!("hostile/table.wat"), 1 << 20, &event(1, "{}")).await;
    assert_eq!(answer.result, Err(Fault::Memory(1 << 20)));
}

#[tokio::test]
async fn a_verdict_with_thousands_of_deliveries_breaks_the_contract() {
    let answer = answer_of(&guest!("hostile/many-deliveries.wat"), MEMORY, &event(1, "{}")).await;
    assert_eq!(answer.result, Err(Fault::Contract("5000 deliveries; 64 is the limit".into())));
}

#[tokio::test]
async fn a_huge_string_is_stopped_before_the_host_holds_it() {
    let answer = answer_of(&guest!("hostile/huge-string.wat"), MEMORY, &event(1, "{}")).await;
    assert_eq!(answer.result, Err(Fault::Output(4 << 20)));
}

#[tokio::test]
async fn a_log_line_cannot_take_over_a_terminal_or_look_like_two() {
    let answer = answer_of(&guest!("hostile/log-control.wat"), MEMORY, &event(1, "{}")).await;
    let [line] = answer.log.as_slice() else { panic!("{:?}", answer.log) };
    assert!(line.contains("ERROR all"), "{line}");
    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
}

#[tokio::test]
async fn headers_that_are_the_hosts_or_no_headers_are_refused_by_name() {
    let (_yard, plugins) = loaded(spec("hostile"), &guest!("hostile/headers.wat")).await;
    for (body, part) in [
        ("webhook-signature|v1,x", "`webhook-signature` is the host's"),
        ("Host|evil.example", "`Host` is the host's"),
        ("content-length|5", "`content-length` is the host's"),
        ("transfer-encoding|chunked", "`transfer-encoding` is the host's"),
        ("x-a\r\nhost|b", "is no header name"),
        ("|empty", "is no header name"),
        ("x-a|b\r\nhost: evil.example", "a character that no header may have"),
        ("x-a|b\nc", "a character that no header may have"),
        ("x-a|b\0", "a character that no header may have"),
    ] {
        let answer = ask(&plugins, "hostile", &event(1, body)).await;
        let Err(Fault::Contract(why)) = &answer.result else { panic!("{body:?}: {answer:?}") };
        assert!(why.contains(part), "{body:?}: {why}");
        assert!(!why.contains(char::is_control), "{why:?}");
    }
    let answer = ask(&plugins, "hostile", &event(1, "x-team|blue")).await;
    assert!(matches!(answer.result, Ok(Verdict::Deliver(_))), "{answer:?}");
}

/// "No bytes leak between two calls or two plugins."
#[tokio::test]
async fn nothing_is_left_for_the_next_call_or_another_plugin() {
    let yard = Yard::new();
    yard.put("leaves.wasm", &guest!("hostile/leaves.wat"));
    yard.put("seeks.wasm", &guest!("hostile/seeks.wat"));
    let specs = ["leaves", "seeks"].map(|name| {
        let mut spec = spec(name);
        spec.limits.time = Duration::from_secs(5);
        spec
    });
    // Few places, so that each is soon taken again.
    let options = Options { max_instances: 4, ..yard.options() };
    let plugins = Plugins::open(options, specs.into()).unwrap();
    for report in plugins.load_all().await {
        report.result.unwrap();
    }
    for number in 0..12 {
        let left = ask(&plugins, "leaves", &event(number, "{}")).await;
        assert_eq!(left.result, Ok(Verdict::Pass));
        let sought = ask(&plugins, "seeks", &event(number, "{}")).await;
        assert_eq!(sought.result, Ok(Verdict::Drop("clean".into())));
        let again = ask(&plugins, "seeks", &event(number, "{}")).await;
        assert_eq!(again.result, Ok(Verdict::Drop("clean".into())));
    }
}

/// The process that runs this has variables, arguments and folders.
#[tokio::test]
async fn the_world_behind_wasi_is_empty() {
    assert!(std::env::vars_os().count() > 0);
    let answer = answer_of(&guest!("hostile/wasi-reads.wat"), MEMORY, &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Drop("0000".into())));
}

#[tokio::test]
async fn handles_of_wasi_are_bounded() {
    let answer = answer_of(&guest!("hostile/wasi-handles.wat"), MEMORY, &event(1, "{}")).await;
    let Err(Fault::Trap(why)) = &answer.result else { panic!("{answer:?}") };
    assert!(why.contains("table has no free keys") || why.contains("resource"), "{why}");
    assert!(answer.took < Duration::from_secs(20), "{:?}", answer.took);
}

/// The fault: waits took their time, so that a guest could tell to half a millisecond how
/// long things took, and what others did meanwhile.
#[tokio::test]
async fn regression_time_passes_for_a_guest_only_as_it_waits_and_no_wait_takes_any() {
    let mut spec = spec("hostile");
    spec.limits.time = Duration::from_secs(5);
    let (_yard, plugins) = loaded(spec, &guest!("hostile/wasi-sleeps.wat")).await;
    let answer = ask(&plugins, "hostile", &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Pass), "it waits for an hour");
    let answer = answer_of(&guest!("guests/wasi-waits.wat"), MEMORY, &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(Verdict::Drop("tttttttt".into())));
}

#[tokio::test]
async fn many_imports_are_refused_in_few_words() {
    for (count, part) in [(900, "and 890 more"), (10_000, "exceeds limit")] {
        let mut text = String::from("(component");
        for number in 0..count {
            text.push_str(&format!("(import \"acme:vault/key{number}@1.0.0\" (instance))"));
        }
        text.push_str("(instance $none)");
        for name in ["lifecycle", "handler"] {
            let export = format!("(export \"hookwright:plugin/{name}@0.1.0\" (instance $none))");
            text.push_str(&export);
        }
        text.push(')');
        let wasm = Bytes::from(wat::parse_str(&text).unwrap());
        let refusal = crate::check(&Compiler::InProcess, &spec("hostile"), wasm).await;
        let text = refusal.unwrap_err().to_string();
        assert!(text.contains(part) && text.len() < 2_000, "{text}");
    }
}

/// A good plugin with these types added to it.
fn with_types(types: &str) -> Vec<u8> {
    let mut wasm = guest!("guests/pass.wat");
    let extra = wat::parse_str(format!("(component {types})")).unwrap();
    wasm.extend_from_slice(&super::semantics::component_section(&extra));
    wasm
}

#[tokio::test]
async fn deep_and_wide_types_are_refused_or_cost_nothing() {
    let deep = |count: usize| {
        let next = |number: usize| format!("(type $t{number} (list $t{}))", number - 1);
        (1..count).fold("(type $t0 (list u8))".to_owned(), |text, number| text + &next(number))
    };
    let double = |number: usize| format!("(type $t{number} (tuple $t{0} $t{0}))", number - 1);
    let doubled =
        (1..64).fold("(type $t0 (tuple u8 u8))".to_owned(), |text, number| text + &double(number));
    let fields: String = (0..200_000).map(|number| format!("(field \"f{number}\" u8)")).collect();
    for (what, types) in [
        ("deep", deep(20_000)),
        ("doubled", doubled),
        ("wide", format!("(type (record {fields}))")),
    ] {
        let wasm = Bytes::from(with_types(&types));
        match crate::check(&Compiler::InProcess, &spec("hostile"), wasm).await {
            Ok(_) => {}
            Err(GateError::Broken(why) | GateError::Compile(why)) => {
                assert!(why.len() < 1_000, "{what}: {} bytes", why.len());
            }
            Err(other) => panic!("{what}: {other}"),
        }
    }
    let lengths = with_types(&deep(50));
    assert!(inspect(&lengths).is_ok(), "some depth is no crime");
}

/// The fault: at the gate it was alone in a pool for two, so that it passed, and failed
/// on the host once others ran.
#[tokio::test]
async fn regression_a_component_that_needs_more_of_the_pool_than_its_place_is_refused_at_the_gate()
{
    let wasm = guest!("guests/pass.wat");
    let nested = wasmparser::Parser::new(0)
        .parse_all(&wasm)
        .filter(|payload| matches!(payload, Ok(wasmparser::Payload::ComponentSection { .. })));
    let index = u8::try_from(nested.count()).unwrap();
    for (what, count, module) in [
        ("core module instances", 60, String::new()),
        ("memories", 6, "(memory 1)".to_owned()),
        ("tables", 10, "(table 1 funcref)".repeat(6)),
    ] {
        let made = "(core instance (instantiate $m))".repeat(count);
        let extra =
            wat::parse_str(format!("(component (core module $m {module}) {made})")).unwrap();
        let mut wasm = [wasm.clone(), super::semantics::component_section(&extra)].concat();
        // A section of instances: one, of that component, with nothing handed in.
        wasm.extend_from_slice(&[5, 4, 1, 0, index, 0]);
        let refusal = crate::check(&Compiler::InProcess, &spec("hostile"), wasm.into()).await;
        let Err(GateError::Compile(why)) = refusal else { panic!("{what}: {refusal:?}") };
        assert!(why.contains(what), "{what}: {why}");
    }
}

#[tokio::test]
async fn a_hundred_megabytes_of_code_are_not_even_read() {
    let yard = Yard::new();
    let file = std::fs::File::create(yard.plugins_dir().join("hostile.wasm")).unwrap();
    file.set_len(100 << 20).unwrap();
    let plugins = yard.open(vec![spec("hostile")]);
    let error = plugins.load_all().await.remove(0).result.unwrap_err().to_string();
    assert_eq!(error, "the file has 104857600 bytes; 67108864 is the limit for a plugin");
}

#[tokio::test]
async fn what_a_plugin_writes_as_its_verdict_is_read_with_care() {
    let (_yard, plugins) = loaded(spec("hostile"), &guest!("hostile/raw-verdict.wat")).await;
    let mut spec = spec("hostile");
    spec.quarantine.calls = 0;
    plugins.prepare(vec![spec]).await.unwrap().finish();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    // The first two say which verdict or failure it is; of the rest, small numbers are tags,
    // lengths and counts, and those about 8192 lead back into the bytes.
    let word = prop_oneof![0u32..5, 8_192u32..8_800, any::<u32>()];
    let words = (0u32..2, 0u32..5, prop::collection::vec(word, 0..150));
    let (mut verdicts, mut faults) = (0, 0);
    for _ in 0..2_000 {
        let words = words.new_tree(&mut runner).unwrap().current();
        let words = [words.0, words.1].into_iter().chain(words.2);
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let event = Event { body: bytes.into(), ..event(1, "") };
        match ask(&plugins, "hostile", &event).await.result {
            Ok(Verdict::Deliver(targets)) => {
                assert!((1..=64).contains(&targets.len()));
                verdicts += 1;
            }
            Ok(_) | Err(Fault::Retry(_) | Fault::Reject(_) | Fault::Other(_)) => verdicts += 1,
            Err(Fault::Contract(_) | Fault::Trap(_) | Fault::Output(_)) => faults += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(verdicts > 50 && faults > 50, "{verdicts} verdicts, {faults} faults");
}
