//! Cases of a plugin that asks other hosts: canned answers, requests without one, answers that nobody asks for.
use std::path::Path;
use std::process::Command;

use hookwright_tests::{artifact, plugins_dir};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// `hookwright … plugin test` of a folder of cases, with `enrich`.
fn test(cases: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(artifact("hookwright"));
    command.args(["--json", "plugin", "test"]).arg(cases).args(args);
    text(command.arg("--plugin").arg(plugins_dir().join("enrich.wasm")))
}

fn text(command: &mut Command) -> (Option<i32>, String) {
    let kept = tempfile::tempdir().expect("a folder");
    let done = command.env("XDG_CACHE_HOME", kept.path()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), format!("{}{}", text(&done.stdout), text(&done.stderr)))
}

const DEFAULTS: &str = "grants = [\"http:api.example.com\"]\n\
    [settings]\nvalue = \"/id\"\nurl = \"https://api.example.com/{}\"\nadd = \"who\"\ntimeout_ms = 50\n";

fn folder(cases: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in cases {
        std::fs::write(folder.path().join(name), text).expect("a write");
    }
    folder
}

/// The case's entry in what `--json` gives.
fn entry(out: &str, name: &str) -> serde_json::Value {
    let answer: serde_json::Value = serde_json::from_str(out).expect(out);
    let all = answer["cases"].as_array().expect("cases");
    all.iter().find(|case| case["case"] == name).expect(name).clone()
}

#[test]
fn our_own_plugins_pass_their_cases() {
    let (code, out) = test(&root().join("plugins/enrich"), &[]);
    assert_eq!(code, Some(0), "{out}");
    for name in ["found", "unknown", "times-out", "down", "garbage", "nothing-to-ask"] {
        assert_eq!(entry(&out, name)["result"], "ok", "{out}");
    }
}

#[test]
fn the_guides_case_passes() {
    let guide = std::fs::read_to_string(root().join("docs/plugins.md")).expect("the guide");
    let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks.filter(|block| block.contains("[[http]]")).collect();
    assert_eq!(blocks.len(), 1, "the guide has one case with [[http]]");
    let cases = folder(&[("guide.toml", blocks[0])]);
    let (code, out) = test(cases.path(), &[]);
    assert_eq!((code, &entry(&out, "guide")["result"]), (Some(0), &"ok".into()), "{out}");
}

const EVENT: &str = "[event]\nbody = '{\"id\": 7}'\n\n";

/// "A request that no answer is written for fails the case, and is shown so that it can be pasted."
#[test]
fn a_request_without_an_answer_fails_the_case_and_what_is_shown_can_be_pasted() {
    // What the plugin made of it is as expected, and yet the case fails.
    let asks = format!("{EVENT}[expect]\nfailure = \"retry\"\n");
    let cases = folder(&[("defaults.toml", DEFAULTS), ("asks.toml", &asks), ("new.toml", EVENT)]);
    let (code, out) = test(cases.path(), &["--record"]);
    assert_eq!(code, Some(1), "{out}");
    let told = entry(&out, "asks");
    assert_eq!((&told["result"], &told["difference"]), (&"differs".into(), &().into()), "{out}");
    let shown = told["requests"][0].as_str().expect("a text");
    assert!(shown.starts_with("no answer is written for this request"), "{shown}");
    let (_, table) = shown.split_once('\n').expect("a table below");

    // Nothing is recorded before there is an answer.
    let file = cases.path().join("new.toml");
    assert_eq!(std::fs::read_to_string(&file).expect("the case"), EVENT);
    std::fs::write(&file, format!("{EVENT}{table}")).expect("a write");
    let (_, out) = test(cases.path(), &["--record", "--case", "new"]);
    assert_eq!(entry(&out, "new")["result"], "recorded", "{out}");
    let written = std::fs::read_to_string(&file).expect("the case");
    assert!(written.starts_with(&format!("{EVENT}{table}")), "what was written stays: {written}");
    assert!(written.contains("\"who\": {}"), "{written}");
    let (code, out) = test(cases.path(), &["--case", "new"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn an_answer_that_nobody_asks_for_fails_the_case() {
    let answer = |id: u8| {
        format!("[[http]]\nurl = \"https://api.example.com/{id}\"\nanswer = {{ status = 404 }}\n\n")
    };
    let expect = "[expect]\nverdict = \"amend\"\nbody = '{\"id\": 7, \"who\": null}'\n";
    let one = |answers: &str| format!("{EVENT}{answers}{expect}");
    let cases = folder(&[
        ("defaults.toml", DEFAULTS),
        ("right.toml", &one(&answer(7))),
        ("twice.toml", &one(&answer(7).repeat(2))),
        ("other.toml", &one(&(answer(8) + &answer(7)))),
        (
            "refused.toml",
            &format!("[settings]\nurl = 1\n\n{}[expect]\nfailure = \"settings\"\n", answer(7)),
        ),
    ]);
    let (code, out) = test(cases.path(), &[]);
    assert_eq!((code, &entry(&out, "right")["result"]), (Some(1), &"ok".into()), "{out}");
    for (name, number, id) in [("twice", 2, 7), ("other", 1, 8), ("refused", 1, 7)] {
        let told = entry(&out, name);
        let text = format!(
            "never asked for: [[http]] number {number}, GET https://api.example.com/{id}\n"
        );
        assert_eq!(told["requests"], serde_json::json!([text]), "{out}");
        assert_eq!(told["result"], "differs", "{out}");
    }
    let mut command = Command::new(artifact("hookwright"));
    command.args(["plugin", "test"]).arg(cases.path()).args(["--case", "other"]);
    let (_, page) = text(command.arg("--plugin").arg(plugins_dir().join("enrich.wasm")));
    assert!(page.contains("    never asked for") && !page.contains("--record"), "{page}");
}

/// The grants' rules, the caps and the limits are those of a host.
#[test]
fn what_a_host_refuses_or_ends_is_refused_and_ended_here() {
    let strays = "[event]\nbody = '{\"id\": 7}'\n\n[settings]\nvalue = \"/id\"\n\
        url = \"https://elsewhere.example/{}\"\nadd = \"who\"\n\n[expect]\nfailure = \"other\"\n\
        reason = \"the request is refused: no grant for `elsewhere.example`\"\n";
    let answer = |answer: &str| {
        format!("{EVENT}[[http]]\nurl = \"https://api.example.com/7\"\nanswer = {{ {answer} }}\n\n")
    };
    let large = answer("status = 200, body = { file = \"large.json\" }")
        + "[expect]\nfailure = \"other\"\nreason = \"the answer has more than 1 MiB\"\n";
    // The call's own end comes before the request's: 20 times 10 ms.
    let slow = answer("failure = \"timeout\"")
        + "[limits]\ntime = \"10ms\"\n\n[settings]\nvalue = \"/id\"\nurl = \"https://api.example.com/{}\"\n\
           add = \"who\"\ntimeout_ms = 60000\n\n[expect]\nfailure = \"time\"\n";
    let cases = folder(&[
        ("defaults.toml", DEFAULTS),
        ("strays.toml", strays),
        ("large.toml", &large),
        ("large.json", &format!("\"{}\"", "x".repeat(1 << 20))),
        ("slow.toml", &slow),
    ]);
    let (code, out) = test(cases.path(), &[]);
    assert_eq!(code, Some(0), "{out}");

    let shown = |file: &str, text: &str, part: &str| {
        std::fs::write(cases.path().join(file), text).expect("a write");
        let (code, out) = test(cases.path(), &["--case", "strays"]);
        assert!(code == Some(1) && out.contains(file) && out.contains(part), "{out}");
    };
    let url = "[[http]]\nurl = \"https://elsewhere.example/\"\nanswer = { status = 200 }\n";
    shown("strays.toml", url, "no grant for `elsewhere.example`: write `grants");
    shown("strays.toml", "grants = [\"net\"]\n", "write `kv`, `responder`, or `http:`");
    let misspelt = "[[http]]\nurl = \"https://api.example.com/\"\nanswr = {}\n";
    shown("strays.toml", misspelt, "line 3");
    let shared = "[[http]]\nurl = \"https://api.example.com/7\"\n";
    shown("defaults.toml", shared, "[[http]] stands in the case that asks");
}

#[test]
fn bench_takes_such_a_case_with_its_defaults_and_sends_nothing() {
    let mut command = Command::new(artifact("hookwright"));
    command.args(["plugin", "bench", "--seconds", "1", "--case"]);
    command.arg(root().join("plugins/enrich/cases/found.toml"));
    let (code, out) = text(command.arg(plugins_dir().join("enrich.wasm")));
    assert!(code == Some(0) && out.contains("failure: other"), "{out}");
}
