//! The compiler in a child process: this test binary plays the child.
use super::*;
use crate::{GateError, compile_child_main};

/// The test harness writes to the child's standard output, so the answer goes to descriptor 3.
const SCRIPT: &str = r#"exec 3>&1 1>/dev/null; exec "$0" --exact tests::child::plays_the_child --ignored --nocapture"#;

fn compiler() -> Compiler {
    let this = std::env::current_exe().unwrap().display().to_string();
    Compiler::Child { program: "/bin/sh".into(), args: vec!["-c".into(), SCRIPT.into(), this] }
}

#[test]
#[ignore = "not a test: the others start it as their child"]
fn plays_the_child() {
    let Ok(output) = std::fs::File::options().write(true).open("/dev/fd/3") else { return };
    assert_eq!(compile_child_main(std::io::stdin().lock(), output), 0);
}

#[tokio::test]
async fn a_child_compiles_and_reports() {
    let yard = Yard::new();
    yard.put("counter.wasm", &guest!("guests/counter.wat"));
    yard.put("bad.wasm", &guest!("guests/refuses-settings.wat"));
    let options = Options { compiler: compiler(), ..yard.options() };
    let plugins = Plugins::open(options, vec![spec("counter"), spec("bad")]).unwrap();
    let reports = plugins.load_all().await;
    let bad = reports[0].result.as_ref().unwrap_err().to_string();
    assert!(bad.contains("/keep: must be a list"), "{bad}");
    assert!(reports[1].result.as_ref().unwrap().snapshot_size.is_some());
    let answer = ask(&plugins, "counter", &event(1, "{}")).await;
    assert_eq!(answer.result, Ok(crate::Verdict::Drop("T".into())));
}

#[tokio::test]
async fn a_child_that_dies_tells_why() {
    let dies = |script: &str| {
        let args = vec!["-c".to_owned(), script.to_owned()];
        Compiler::Child { program: "/bin/sh".into(), args }
    };
    let wasm = Bytes::from(guest!("guests/pass.wat"));
    for (script, part) in [
        ("echo no room >&2; exit 3", "no room"),
        ("kill -9 $$", "signal: 9"),
        ("exit 0", "cut off"),
    ] {
        let error = crate::check(&dies(script), &spec("p"), wasm.clone()).await;
        match error {
            Err(GateError::Compile(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
