//! An author's first five minutes, as the README tells them: new, test, build, check, drop in.
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use hookwright_tests::{HostBuilder, Receiver, artifact, eventually, plugins_dir};

fn text(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

fn run(folder: &Path, program: &Path, args: &[&str]) -> String {
    let mut command = Command::new(program);
    // What cargo sets for this test is not what an author's shell has.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO") && name != "CARGO_HOME" || name == "RUSTFLAGS" {
            command.env_remove(name);
        }
    }
    let done = command.args(args).current_dir(folder).output().expect("it runs");
    let out = text(&done);
    assert!(done.status.success(), "{} {args:?}\n{out}", program.display());
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_builds_passes_its_test_and_takes_over_in_a_running_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let hookwright = artifact("hookwright");
    run(folder.path(), &hookwright, &["plugin", "new", "only-pushes"]);
    let project = folder.path().join("only-pushes");
    // What is compiled already serves here too: a first build takes minutes.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    std::os::unix::fs::symlink(root.join("target"), project.join("target")).expect("a link");
    std::fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("a copy");
    let tested = run(&project, Path::new("cargo"), &["test"]);
    assert!(tested.contains("test result: ok"), "{tested}");
    let built = run(&project, &hookwright, &["plugin", "build"]);
    assert!(built.contains("plugins-built/only-pushes.wasm"), "{built}");
    let checked =
        run(&project, &hookwright, &["plugin", "check", "plugins-built/only-pushes.wasm"]);
    assert!(checked.contains("hookwright:plugin"), "{checked}");

    let tested = run(&project, &hookwright, &["plugin", "test"]);
    assert!(tested.contains("2 ok"), "{tested}");
    let shown =
        run(&project, &hookwright, &["plugin", "inspect", "plugins-built/only-pushes.wasm"]);
    assert!(shown.contains("keep  list of text"), "{shown}");
    // Found by an assessment: from beside its folder, `build` and `test` meant two places.
    std::fs::remove_dir_all(project.join("plugins-built")).expect("a folder");
    run(folder.path(), &hookwright, &["plugin", "build", "only-pushes"]);
    assert!(project.join("plugins-built/only-pushes.wasm").exists(), "it is in the project");
    assert!(!folder.path().join("plugins-built").exists(), "and nothing is beside it");
    for args in [["test", "only-pushes"], ["check", "only-pushes"], ["inspect", "only-pushes"]] {
        run(folder.path(), &hookwright, &[&["plugin"], &args[..]].concat());
    }
    run(folder.path(), &hookwright, &["plugin", "bench", "only-pushes", "--seconds", "1"]);

    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"only-pushes\"]\ndestinations = [\"sink\"]\n\
         [plugins.only-pushes]\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    std::fs::copy(
        project.join("plugins-built/only-pushes.wasm"),
        host.plugins().join("only-pushes.wasm"),
    )
    .expect("a copy");
    eventually("the plugin is active", Duration::from_secs(30), || async {
        let plugins = host.api("plugins").await.ok()?;
        plugins["plugins"][0]["digest"].is_string().then_some(())
    })
    .await;
    let posted =
        host.client.post(host.ingress(), "/in/a", &[], "{\"ref\":\"refs/heads/main\"}").await;
    let id = posted.expect("an answer").id();
    let event = eventually("the event is routed", Duration::from_secs(10), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["state"] != "accepted").then_some(event)
    })
    .await;
    assert_eq!(event["rulings"][0]["plugin"], "only-pushes", "{event}");
    assert_eq!(event["rulings"][0]["decision"], "pass", "{event}");
}

#[test]
fn our_own_plugins_pass_the_gate_and_ask_for_nothing_but_the_contract() {
    for (name, config) in [
        ("filter", r#"{"keep":[{"field":"kind","regex":"^push$"}]}"#),
        ("route", r#"{"rules":[{"to":["ci"]}]}"#),
        ("transform", r#"{"output":{"who":"$/sender/login"}}"#),
        ("redact", r#"{"patterns":[{"known":"email"}]}"#),
        ("thin-github", "{}"),
    ] {
        let file = plugins_dir().join(format!("{name}.wasm"));
        let file = file.to_str().expect("a path of text");
        let args = ["--json", "plugin", "check", file, "--settings", config];
        let done = Command::new(artifact("hookwright")).args(args).output().expect("it runs");
        assert!(done.status.success(), "{name}: {}", text(&done));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let imports = report["imports"].as_array().expect("imports");
        let own = |import: &serde_json::Value| {
            let import = import.as_str().unwrap_or_default();
            import.starts_with("hookwright:plugin/") || import.starts_with("wasi:")
        };
        assert!(imports.iter().all(own), "{name}: {imports:?}");
        assert!(report["snapshot_size"].is_u64(), "{name} is snapshotted: {report}");
    }
}

#[test]
fn check_says_what_is_wrong_with_a_component() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("a write");
        let done =
            Command::new(artifact("hookwright")).args(["plugin", "check"]).arg(&file).output();
        let done = done.expect("it runs");
        (done.status.code(), text(&done))
    };
    let whole = std::fs::read(plugins_dir().join("thin-github.wasm")).expect("a plugin");
    let (code, out) = check("good.wasm", &whole);
    assert_eq!(code, Some(0), "{out}");
    let (code, out) = check("half.wasm", &whole[..whole.len() / 2]);
    assert_eq!(code, Some(1), "{out}");
    let (code, out) = check("text.wasm", b"hello");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("no WebAssembly"), "{out}");
}

/// A project with one component and the named cases.
fn project_of(plugin: &str, cases: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("plugins-built")).expect("a new folder");
    std::fs::create_dir(folder.path().join("cases")).expect("a new folder");
    let file = format!("{plugin}.wasm");
    std::fs::copy(plugins_dir().join(&file), folder.path().join("plugins-built").join(&file))
        .expect("a built plugin");
    for (name, text) in cases {
        std::fs::write(folder.path().join("cases").join(name), text).expect("a write");
    }
    folder
}

/// `hookwright plugin …` in a folder, with native code kept beside it.
fn plugin(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(artifact("hookwright"));
    command.arg("plugin").args(args).current_dir(folder);
    let done = command.env("XDG_CACHE_HOME", folder.join("kept")).output().expect("it runs");
    (done.status.code(), text(&done))
}

const BIG: &str = r#"# What is left of an order.
[event]
kind = "order"
body = '''
{ "id": 12345678901234567890, "total": 10.50, "who": { "name": "Ann" } }
'''
"#;

#[test]
fn cases_are_recorded_compared_and_shown() {
    let folder = project_of(
        "transform",
        &[
            ("order.toml", BIG),
            (
                "defaults.toml",
                "[settings.output]\nid = \"$/id\"\nsum = \"$/total\"\nby = \"$/who/name\"\n",
            ),
            (
                "no-total.toml",
                "[event]\nbody = '{}'\n\n[settings]\nmissing = \"reject\"\noutput = \"$/total\"\n",
            ),
            ("bad-settings.toml", "[settings]\noutpt = 1\n\n[expect]\nfailure = \"settings\"\n"),
        ],
    );
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!(code, Some(1), "without an expectation a case fails: {out}");
    assert!(out.contains("1 ok, 2 no expectation"), "{out}");
    let (code, out) = plugin(folder.path(), &["test", "--record"]);
    assert_eq!(code, Some(0), "{out}");
    let order = folder.path().join("cases/order.toml");
    let written = std::fs::read_to_string(&order).expect("the case");
    assert!(written.starts_with(BIG.trim_end()), "what a person wrote stays: {written}");
    for part in ["verdict = \"amend\"", "12345678901234567890", "10.50"] {
        assert!(written.contains(part), "`{part}` is not in\n{written}");
    }
    let rejected = std::fs::read_to_string(folder.path().join("cases/no-total.toml"));
    assert!(rejected.expect("the case").contains("failure = \"reject\""));
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!((code, out.contains("3 ok")), (Some(0), true), "{out}");

    // What is expected otherwise is shown, and only that.
    let (event, expected) = written.split_once("[expect]").expect("an expectation");
    let other = expected.replace("10.50", "10.5");
    std::fs::write(&order, format!("{event}[expect]{other}")).expect("a write");
    let (code, out) = plugin(folder.path(), &["test", "--case", "order"]);
    assert_eq!(code, Some(1), "{out}");
    let changed: Vec<_> = out
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("- ") || line.starts_with("+ ") || line.starts_with("-\t"))
        .collect();
    assert_eq!(changed.len(), 2, "{out}");
    let mut command = Command::new(artifact("hookwright"));
    command.args(["--json", "plugin", "test"]).current_dir(folder.path());
    let done = command.env("XDG_CACHE_HOME", folder.path().join("kept")).output();
    let done = done.expect("it runs");
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((done.status.code(), &answer["failed"]), (Some(1), &1.into()), "{answer}");

    // A case with a mistake is named with its file.
    std::fs::write(&order, "[event]\nbdy = 1\n").expect("a write");
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("order.toml") && out.contains("line 2"), "{out}");
}

#[test]
fn a_case_begins_with_a_state_and_expects_what_is_written() {
    let settings = "[settings]\nlimit = 3\nseconds = 60\nby = \"/id\"\n";
    let event = "[event]\nbody = '{\"id\": 7}'\n\n";
    let full = format!(
        "{event}[state]\n\"count:7\" = 3\n\n[expect]\nverdict = \"drop\"\nstate = {{ \"count:7\" = 4 }}\n"
    );
    let folder = project_of(
        "throttle",
        &[("defaults.toml", settings), ("first.toml", event), ("full.toml", &full)],
    );
    let (code, out) = plugin(folder.path(), &["test", "--record"]);
    assert_eq!((code, out.contains("1 ok, 1 recorded")), (Some(0), true), "{out}");
    let first = std::fs::read_to_string(folder.path().join("cases/first.toml")).expect("a case");
    assert!(first.contains("verdict = \"pass\"\nstate = { \"count:7\" = 1 }"), "{first}");
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!((code, out.contains("2 ok")), (Some(0), true), "no case sees another one's: {out}");
    let wrong = full.replace("= 4", "= 5");
    std::fs::write(folder.path().join("cases/full.toml"), wrong).expect("a write");
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!((code, out.contains("+state = { \"count:7\" = 4 }")), (Some(1), true), "{out}");
}

#[test]
fn a_case_may_expect_a_limit() {
    let folder = project_of(
        "thin-github",
        &[(
            "limit.toml",
            "[event]\nkind = \"push\"\n\n[limits]\nmemory = \"1MiB\"\n\n[expect]\nfailure = \"memory\"\n",
        )],
    );
    std::fs::write(
        folder.path().join("plugins-built/thin-github.wasm"),
        hookwright_tests::hostile("memory"),
    )
    .expect("a write");
    let (code, out) = plugin(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn bench_compares_a_plugin_with_one_that_does_nothing() {
    let file = plugins_dir().join("thin-github.wasm");
    let file = file.to_str().expect("a path of text");
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out) = plugin(folder.path(), &["bench", file, "--seconds", "1"]);
    assert_eq!(code, Some(0), "{out}");
    for part in ["this plugin", "pass-through", "its own work", "KiB"] {
        assert!(out.contains(part), "`{part}` is not in\n{out}");
    }
    let (code, out) = plugin(folder.path(), &["bench", file, "--settings", "{\"x\":1}"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("refuses its settings"), "{out}");
}

/// `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_pass_through_of_the_bench_is_what_its_text_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let file = root.join("host/author/guests/pass.wasm");
    let made = hookwright_testkit::guest::guest("guests/pass");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &made).expect("a write");
    }
    assert_eq!(std::fs::read(&file).expect("the guest"), made, "run `UPDATE_DOCS=1 make test`");
}

#[test]
fn inspect_shows_what_a_component_is_and_which_settings_it_knows() {
    let file = plugins_dir().join("route.wasm");
    let file = file.to_str().expect("a path of text");
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out) = plugin(folder.path(), &["inspect", file]);
    assert_eq!(code, Some(0), "{out}");
    for part in
        ["route ", "hookwright:plugin@0.1.0", "grants     none", "rules  list of table, required"]
    {
        assert!(out.contains(part), "`{part}` is not in\n{out}");
    }
    let done =
        Command::new(artifact("hookwright")).args(["--json", "plugin", "inspect", file]).output();
    let report: serde_json::Value =
        serde_json::from_slice(&done.expect("it runs").stdout).expect("JSON");
    assert_eq!(report["name"], "route");
    assert_eq!(report["settings"]["required"][0], "rules", "{report}");
    assert_eq!(report["wants"], serde_json::json!([]), "{report}");
}
