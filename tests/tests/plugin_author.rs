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
    eventually("the plugin is in force", Duration::from_secs(30), || async {
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
