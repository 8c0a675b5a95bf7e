//! Other languages than Rust, by their real toolchains: each example is built, passes its cases and serves in a host.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hookwright_tests::{HostBuilder, Receiver, artifact, eventually};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").into()
}

/// What `.ci/setup` installs.
fn tool(path: &str) -> PathBuf {
    let tool = root().join("target/tools").join(path);
    assert!(tool.exists(), "{} is missing: run `make setup`", tool.display());
    tool
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = format!("{}{}", text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{command:?}\n{out}");
    out
}

/// Builds the example, runs its cases, and sends an order through a host that has it.
async fn whole_way(language: &str, prepare: impl FnOnce(&Path, &mut Command)) {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("large-orders");
    let example = root().join(format!("plugins/examples-{language}/large-orders"));
    run(Command::new("cp").arg("-r").arg(&example).arg(&project));
    let contract = |path: PathBuf| std::fs::read_to_string(path).expect("the contract");
    assert_eq!(
        contract(project.join("wit/types.wit")),
        contract(root().join("wit/v0.1/types.wit"))
    );

    let mut build = Command::new(artifact("hookwright"));
    prepare(&project, &mut build);
    let built = run(build.args(["plugin", "build"]).current_dir(&project));
    assert!(built.contains("large-orders.wasm") && !built.contains("wasi:"), "{built}");

    let mut test = Command::new(artifact("hookwright"));
    test.args(["plugin", "test"]).current_dir(&project);
    let tested = run(test.env("XDG_CACHE_HOME", folder.path()));
    assert!(tested.contains("3 ok"), "{tested}");

    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"large-orders\"]\n\
         [plugins.large-orders]\nconfig = {{ limit = 1000, to = [\"review\"] }}\nlimits = {{ time = \"1s\" }}\n\
         [destinations.review]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let component = std::fs::read(project.join("plugins-built/large-orders.wasm")).expect("built");
    let host = HostBuilder::new(&settings).start().await;
    std::fs::write(host.plugins().join("large-orders.wasm"), component).expect("a write");
    eventually("the plugin is in force", Duration::from_secs(180), || async {
        let plugins = host.api("plugins").await.ok()?;
        plugins["plugins"][0]["digest"].is_string().then_some(())
    })
    .await;
    let body = "{\"id\":1,\"amount\":1000.50}";
    host.client.post(host.ingress(), "/in/a", &[], body).await.expect("an answer");
    eventually("the order arrives", Duration::from_secs(30), || async {
        (sink.count() == 1).then_some(())
    })
    .await;
    assert_eq!(sink.received()[0].body, body.as_bytes());
}

/// One after the other: a component with an interpreter takes the compiler most of a minute.
#[tokio::test(flavor = "multi_thread")]
async fn javascript_and_python_go_the_whole_way() {
    let (modules, tool) = (tool("js/node_modules"), tool("python/bin/componentize-py"));
    whole_way("js", |project, _| {
        std::os::unix::fs::symlink(modules, project.join("node_modules")).expect("a link");
    })
    .await;
    whole_way("python", |_, build| {
        build.env("HOOKWRIGHT_COMPONENTIZE_PY", tool);
    })
    .await;
}
